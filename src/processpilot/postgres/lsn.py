"""Positions in the write-ahead log (pg_lsn: manual, "pg_lsn Type")."""

from __future__ import annotations

import re

from processpilot.errors import UsageError

_TEXT = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class Lsn(int):
    """A byte position in the write-ahead log; arithmetic gives plain integers."""

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Return the position written as two hexadecimal numbers, such as 0/16B3748."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise UsageError(f'"{text}" is not a log position such as 0/16B3748')
        return cls(int(match[1], 16) << 32 | int(match[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

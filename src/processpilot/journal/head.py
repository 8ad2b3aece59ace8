"""The end of the chain as people keep it: a position and the hash of the event there.

Kept elsewhere, it shows that nothing up to it was rewritten or cut off; the chain alone cannot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from processpilot.errors import UsageError
from processpilot.journal.event import FIRST_PREVIOUS_HASH

_TEXT = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Head:
    """An event's position and hash; position 0 stands before the first."""

    position: int = 0
    hash: str = FIRST_PREVIOUS_HASH

    @classmethod
    def parse(cls, text: str) -> Head:
        """Return the head written as POSITION:HASH, the form of `str`."""
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f'"{text}" is not POSITION:HASH with a hash of 64 hexadecimal digits',
                hint="Give the head as `processpilot journal verify` printed it.",
            )
        return cls(int(match[1]), match[2])

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"

"""The written runbook as a file: its lines, whatever encoding it was saved in."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

import ftfy.bad_codecs

from processpilot.errors import NotFoundError, UsageError

LIMIT_BYTES = 2 * 1024 * 1024
_WINDOWS = "sloppy-windows-1252"
_HINT = "Give a disaster-recovery document as Markdown or plain text."

assert ftfy.bad_codecs.search_function(_WINDOWS) is not None


@dataclass(frozen=True, slots=True)
class Source:
    """The document: its name for messages, its lines without line ends, how it was encoded."""

    name: str
    lines: tuple[str, ...]
    encoding: str = "utf-8"


def read_source(path: Path) -> Source:
    """Return the document at `path`; UsageError for what is no text, is empty or too large."""
    try:
        size = path.stat().st_size
        if size > LIMIT_BYTES:
            raise UsageError(
                f"{path} has {size} bytes, more than the {LIMIT_BYTES} that are read", hint=_HINT
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"there is no document at {path}", hint=_HINT) from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}", hint=_HINT) from None
    text, encoding = _decoded(path, data)
    if not text.strip():
        raise UsageError(f"{path} is empty: it has {len(data)} bytes and no text", hint=_HINT)
    return source_of(text, path.name, encoding)


def source_of(text: str, name: str, encoding: str = "utf-8") -> Source:
    """Return a text as a document of that name."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return Source(name, tuple(lines), encoding)


def _decoded(path: Path, data: bytes) -> tuple[str, str]:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError:
                break
    if b"\0" in data:
        raise UsageError(f"{path} is no text: byte {data.index(0)} is 0", hint=_HINT)
    try:
        return data.decode(), "utf-8"
    except UnicodeDecodeError:
        pass
    control = sum(byte < 32 and byte not in b"\t\n\r\f\v" for byte in data)
    if control * 50 > len(data):
        raise UsageError(
            f"{path} is no text: {control} of its {len(data)} bytes are control characters",
            hint=_HINT,
        )
    return data.decode(_WINDOWS), "windows-1252"

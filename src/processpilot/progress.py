"""How long operations report where they are; nothing here draws."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives progress; may be called from several threads, and must return quickly."""

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Note that `phase` has done `done` of `total` bytes (None: not known)."""
        ...


def silent(phase: str, done: int, total: int | None) -> None:
    """Ignore progress."""

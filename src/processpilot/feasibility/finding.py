"""Findings: what a plan cannot hold, where it says so, the arithmetic, and a way out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error cannot hold; a warning will hurt on the day; a note is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """What a rule says of one place of the plan, as in "scenarios[0].steps[2]".

    Without a severity it has the usual one of its code.
    """

    code: str
    place: str
    message: str
    arithmetic: str = ""
    way_out: str = ""
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A remark with its severity, and with line and column, from 1, in the plan's file."""

    code: str
    severity: Severity
    place: str
    line: int
    column: int
    message: str
    arithmetic: str
    way_out: str


_ORDER = {severity: n for n, severity in enumerate(Severity)}


def rank(finding: Finding) -> tuple[int, int, int, str]:
    """Return what findings are sorted by: the worst first, then as in the file."""
    return _ORDER[finding.severity], finding.line, finding.column, finding.code

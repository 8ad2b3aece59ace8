"""report.html: the report as one page that needs nothing else, for a screen or for paper."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from processpilot.evidence.report import Phase, Report

_TEMPLATES = Path(__file__).with_name("templates")
_LEAST_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Bar:
    """A phase on the time line; offsets and widths in per cent of the whole clock."""

    phase: Phase
    left: float
    width: float


def render_page(report: Report) -> str:
    """Return the page's text."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {
        "duration": format_duration,
        "bytes": format_bytes,
        "moment": _moment,
    }
    bars = _bars(report)
    return environment.get_template("report.html").render(report=report, bars=bars)


def format_duration(seconds: float | None) -> str:
    """Return seconds as people say them: 12.3 s, 4 min 05 s, 2 h 10 min."""
    if seconds is None:
        return "not measured"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest:02d} s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes:02d} min" if minutes else "")


def format_bytes(count: float | None) -> str:
    """Return a size as people say it, in powers of ten."""
    if count is None:
        return "unknown"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(count) < 1000 or unit == "TB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError("unreachable")


def _moment(at: datetime | None) -> str:
    return "not yet" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _bars(report: Report) -> list[Bar]:
    if not report.phases:
        return []
    begin = report.phases[0].begin_at
    whole = max((report.phases[-1].end_at - begin).total_seconds(), 0.001)
    return [
        Bar(
            phase,
            100 * (phase.begin_at - begin).total_seconds() / whole,
            max(_LEAST_SHARE, 100 * phase.duration_s / whole),
        )
        for phase in report.phases
    ]

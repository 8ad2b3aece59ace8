"""Where a run's evidence lies: a folder per run beside the journal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from processpilot.evidence.page import render_page
from processpilot.evidence.report import Report


@dataclass(frozen=True, slots=True)
class StoredReport:
    """The two files of a report."""

    json_path: Path
    html_path: Path


def store_report(report: Report, folder: Path) -> StoredReport:
    """Write report.json and report.html into `folder`, in one step each."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stored = StoredReport(folder / "report.json", folder / "report.html")
    _replace(stored.json_path, report.to_json())
    _replace(stored.html_path, render_page(report))
    return stored


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.replace(path)

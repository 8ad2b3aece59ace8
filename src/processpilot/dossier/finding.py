"""What a run showed that somebody should look after: with an owner and a date, or without yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from processpilot.evidence.report import Report
from processpilot.incident.state import Incident
from processpilot.runbook.state import RunState
from processpilot.runbook.step import StepOutcome


@dataclass(frozen=True, slots=True)
class RunFinding:
    """One finding; `owner` and `due` are None until a review names them."""

    code: str
    text: str
    source: str
    owner: str | None = None
    due: str | None = None
    closed: bool = False


def findings_of(run: RunState, report: Report, incident: Incident | None) -> list[RunFinding]:
    """Return what the run itself shows, then what its review wants done."""
    found = [*_objectives(report), *_steps(run), *_warnings(run), *_checks(report)]
    return [*found, *(() if incident is None else (*_pages(incident), *_actions(incident)))]


def _objectives(report: Report) -> Iterator[RunFinding]:
    for objective in report.objectives:
        for name, met, limit_s in (
            ("recovery time", objective.rto_met, objective.rto_s),
            ("data loss", objective.rpo_met, objective.rpo_s),
        ):
            if met is False:
                text = f"{objective.title}: the objective of {limit_s:g} s for {name} was missed"
                yield RunFinding("objective-missed", text, "report")
    if report.warnings:
        for warning in report.warnings:
            yield RunFinding("passed-over", warning, "report")


def _steps(run: RunState) -> Iterator[RunFinding]:
    for step in run.steps:
        source = f"step {step.spec.id}"
        if step.outcome is StepOutcome.SKIPPED:
            yield RunFinding("step-skipped", f"{step.spec.title}: {step.reason}", source)
        elif step.outcome in (StepOutcome.FAILED, StepOutcome.UNKNOWN):
            why = "nobody saw its end" if step.error is None else step.error.message
            yield RunFinding("step-failed", f"{step.spec.title}: {why}", source)
        elif step.attempt > 1:
            text = f"{step.spec.title} took {step.attempt} attempts"
            yield RunFinding("step-repeated", text, source)
        if step.added_by is not None:
            text = f"{step.spec.title} was not in the plan; {step.added_by} added it"
            yield RunFinding("step-added", text, source)


def _warnings(run: RunState) -> Iterator[RunFinding]:
    for name, text in run.warned.items():
        yield RunFinding("warned", text, name)


def _checks(report: Report) -> Iterator[RunFinding]:
    for check in report.checks:
        if check.outcome not in ("passed", "skipped"):
            text = f"{check.name}: expected {check.expected}, found {check.actual}"
            yield RunFinding("check-not-passed", text, f"step {check.step}")


def _pages(incident: Incident) -> Iterator[RunFinding]:
    reached = {page.who for page in incident.pages if page.delivered}
    for who in sorted({page.who for page in incident.pages} - reached):
        text = f"{who} was paged and could not be reached over any channel"
        yield RunFinding("not-reached", text, f"incident {incident.incident_id}")


def _actions(incident: Incident) -> Iterator[RunFinding]:
    for action in incident.actions:
        yield RunFinding(
            "review-action",
            action.text,
            f"incident {incident.incident_id}",
            action.owner,
            action.due,
            action.closed_at is not None,
        )

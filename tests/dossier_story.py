"""One incident and its run in a real journal, as evidence and reviews are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from incident_plans import BEGIN, SetClock, staffed

from processpilot.dossier.pack import Sources, pack_of_run
from processpilot.dossier.review import Material
from processpilot.evidence.report import build_report
from processpilot.incident.kind import PREFIX, Kind
from processpilot.incident.record import Declaration, declare, read_incident, write
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.runbook.history import read_run
from processpilot.runbook.runner import RunRequest, begin_run
from processpilot.runbook.state import Kind as RunKind
from processpilot.runbook.state import stream_of
from processpilot.runbook.step import StepSpec

RUN, INCIDENT = "r1", "i1"
SECRET = "hunter2"  # noqa: S105 - what must not be found anywhere
STEPS = (
    StepSpec("look", "Look at <it>", "command", timebox_s=600.0),
    StepSpec("agree", "Swap it in", "swap", 300.0, "commander", after=("look",)),
    StepSpec("check", "Check it", "validate", 60.0, after=("agree",), brings_up=("database",)),
)


class Story:
    """A journal in which an incident was declared, answered, recovered and resolved."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock()
        self.journal = Journal.open(folder / "journal.sqlite", self.clock)
        self.plan = staffed(folder)

    def tell(self) -> Story:
        """Write everything down, a minute apart."""
        declaration = Declaration(
            INCIDENT, "failure", "Database failure", ["it is silent"], BEGIN - timedelta(seconds=9)
        )
        declare(self.journal, declaration)
        self._incident(
            Kind.PAGED, level=1, who="Ada", channel="ada-mail", delivered=False, detail="refused"
        )
        self._incident(
            Kind.PAGED, level=1, who="Ada", channel="ada-hook", delivered=True, detail=""
        )
        self._incident(Kind.ANSWERED, run_id=RUN)
        details: dict[str, JsonValue] = {
            "title": "Database failure",
            "incident": INCIDENT,
            "last_passed_at": (BEGIN - timedelta(seconds=9)).isoformat(),
            "declared_at": BEGIN.isoformat(),
            "reasons": ["it is silent"],
            "plan": self.plan.text,
            "objectives": [
                {
                    "component": "database",
                    "title": "Database",
                    "rto_s": 60.0,
                    "rpo_s": 3600.0,
                    "watched": True,
                }
            ],
        }
        request = RunRequest(RUN, "failure", "the agent", self.plan.hash, STEPS, details)
        begin_run(self.journal, request)
        self._steps()
        self._incident(Kind.ACKNOWLEDGED, by="ada")
        self._incident(Kind.RESOLVED, resolution="missed", stopped_by=None)
        return self

    def _steps(self) -> None:
        command: dict[str, JsonValue] = {
            "command": "psql --host db password=***",
            "exit_status": 0,
            "duration_s": 1.5,
            "sha256": "ab" * 32,
            "tail": SECRET,
        }
        self._run(RunKind.STEP_STARTED, step="look", attempt=1)
        self._run(RunKind.STEP_FINISHED, step="look", outcome="passed", result=command)
        self._run(RunKind.APPROVAL_REQUESTED, step="agree", role="commander")
        self.clock.at += timedelta(minutes=9)
        self._run(RunKind.APPROVAL_GIVEN, step="agree", by="cleo", role="commander", comment="go")
        self._run(RunKind.STEP_STARTED, step="agree", attempt=1)
        self._run(RunKind.STEP_FINISHED, step="agree", outcome="passed", result={})
        self._run(RunKind.STEP_STARTED, step="check", attempt=1)
        self._run(RunKind.STEP_FINISHED, step="check", outcome="passed", result={"checks": [CHECK]})
        self._run(RunKind.RUN_FINISHED, verdict="missed")

    def _run(self, kind: RunKind, **data: JsonValue) -> None:
        self.clock.at += timedelta(minutes=1)
        self.journal.append(stream_of(RUN), kind, data)

    def _incident(self, kind: Kind, **data: JsonValue) -> None:
        self.clock.at += timedelta(minutes=1)
        write(self.journal, read_incident(self.journal, INCIDENT), kind, data)

    def sources(self) -> Sources:
        """Return what the evidence of the run is made from."""
        run = read_run(self.journal, RUN)
        head = self.journal.head()
        return Sources(
            run,
            self.journal.read(stream_of(RUN)),
            build_report(run, {"processpilot": "1"}),
            self.plan.plan,
            (head.position, head.hash),
            read_incident(self.journal, INCIDENT),
            self.journal.read(f"{PREFIX}{INCIDENT}"),
        )

    def pack(self) -> Mapping[str, JsonValue]:
        """Return the evidence of the run."""
        return pack_of_run(self.sources())

    def material(self) -> Material:
        """Return what the review of the incident is written from."""
        sources = self.sources()
        assert sources.incident is not None
        return Material(
            sources.incident, sources.incident_events, sources.run, sources.events, sources.report
        )


CHECK: Mapping[str, JsonValue] = {
    "name": "rows",
    "outcome": "failed",
    "expected": "3",
    "actual": "2",
    "detail": "",
}


def moment(minutes: float) -> datetime:
    """Return a moment after the story's beginning."""
    return BEGIN + timedelta(minutes=minutes)

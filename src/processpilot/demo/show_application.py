"""The second disaster: a release that dies under load, a restart that does not help, a rollback."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from processpilot.demo import stage
from processpilot.demo.outcome import Outcome, count_outcome
from processpilot.demo.places import Places
from processpilot.demo.releases import BROKEN, GOOD, REPAIRED, Fault, Releases
from processpilot.demo.show import Show
from processpilot.demo.supervisor import Supervisor
from processpilot.errors import UnavailableError
from processpilot.evidence.page import format_duration
from processpilot.evidence.report import Report, StepLine
from processpilot.incident.begin import find_scenario, request_run
from processpilot.runbook.runner import begin_run
from processpilot.runbook.state import Verdict
from processpilot.wiring.wired import open_plan

_FORWARD: Final = "release-forward"
_START_S: Final = 5.0


class ApplicationShow(Show):
    """The performance whose victim is the application; its fault can be chosen."""

    def __init__(
        self, places: Places, supervisor: Supervisor, console: Console, fault: Fault
    ) -> None:
        super().__init__(places, supervisor, console)
        self._releases = Releases(places.releases)
        self._fault = fault

    def _prepare_application(self) -> None:
        with self._act(f"git work tree with the releases {', '.join(GOOD)}; {GOOD[-1]} built"):
            self._releases.create()
            self._releases.build(self._places.database_url)

    def destroy(self) -> None:
        """Deploy the release that cannot stand the load."""
        count = stage.acknowledged(self._places)
        self._console.print(
            Panel(
                Text.from_markup(
                    f"[bold red]Disaster:[/] release {BROKEN} is deployed, and under load it "
                    f"{_WHAT[self._fault]}.\n{count} writes have been acknowledged until now. "
                    "From here on only the product acts."
                ),
                border_style="red",
            )
        )
        self._releases.release_broken(self._fault)
        self._releases.build(self._places.database_url)
        api = self._supervisor.driver("api", timeout_s=_START_S)
        api.stop()
        # It may be dead before supervisord calls it started.
        with suppress(UnavailableError):
            api.start()

    def summarise(self, report: Report, report_dir: Path) -> bool:
        """Print what happened; return whether everybody's work is whole and in time."""
        self._supervisor.driver("load").stop()
        outcome = count_outcome(self._places, self._clock)
        met = report.recovery_time_s is not None and report.recovery_time_s <= report.rto_s
        whole = met and outcome.is_whole and self._releases.checked_out() == GOOD[-1]
        colour = "green" if whole else "red"
        grid = Table.grid(padding=(0, 2))
        _add_recovery(grid, report, met=met)
        _add_outcome(grid, outcome)
        grid.add_row("report", str(report_dir / "report.html"))
        title = f"[bold {colour}]{report.title}: {report.verdict}[/]"
        self._console.print(Panel(grid, title=title, border_style=colour))
        # A run that waits for people is not crossed by another.
        return whole and self._go_forward()

    def _go_forward(self) -> bool:
        """Release the repair, and let a run put it in place; return whether that passed."""
        self._releases.release_repaired()
        self._console.print(f"The way forward: {REPAIRED} repairs the fault and is tagged.")
        with closing(open_plan(self._places.plan)) as wired:
            run_id = wired.new_id()
            scenario = find_scenario(wired.loaded.plan, _FORWARD)
            begin_run(wired.journal, request_run(wired.loaded, scenario, run_id, "the demo", None))
            report = self._see(wired, run_id)
        current = self._releases.checked_out()
        self._console.print(f"Release {current} serves: {report.verdict}.")
        return report.verdict is Verdict.PASSED and current == REPAIRED


_WHAT = {
    Fault.DIES: "dies, and at every start again",
    Fault.ANSWERS_500: "answers nothing but errors, after every start again",
}


def _add_recovery(grid: Table, report: Report, *, met: bool) -> None:
    noticed = next((phase for phase in report.phases if phase.name == "detection"), None)
    if noticed is not None:
        after = format_duration(noticed.duration_s)
        grid.add_row("noticed", f"after {after}, from what the probes saw:")
    for reason in report.reasons:
        grid.add_row("", reason)
    for step in report.steps:
        grid.add_row(f"  {step.outcome}", _step_line(step))
    grid.add_row(
        "recovered in",
        f"[bold]{format_duration(report.recovery_time_s)}[/], objective "
        f"{format_duration(report.rto_s)}: {'met' if met else 'missed'}",
    )
    outcomes = {step.id: step.outcome for step in report.steps}
    if outcomes.get("restarted") != "passed" and outcomes.get("rollback") == "passed":
        grid.add_row("what helped", f"not the restart, but the rollback to {GOOD[-1]}")


def _step_line(step: StepLine) -> str:
    took = "" if step.duration_s is None else f"  {format_duration(step.duration_s)}"
    why = f": {step.message}" if step.message and step.outcome != "passed" else ""
    return f"{step.title}{took}{why}"


def _add_outcome(grid: Table, outcome: Outcome) -> None:
    writes = outcome.writes
    grid.add_row("lost", f"[bold]{writes.lost} of {writes.acknowledged}[/] acknowledged writes")
    grid.add_row(
        "turned away",
        f"{outcome.turned_away} requests got 502, 503 or 504; {outcome.failed} failed in all, and "
        "were sent again",
    )
    grid.add_row(
        "mail",
        f"{outcome.mails_received} of {outcome.mails_written} sent, "
        f"{outcome.mails_repeated} of them twice",
    )
    grid.add_row(
        "figures",
        "equal to the requests" if outcome.figures_wrong == 0 else f"{outcome.figures_wrong} wrong",
    )

"""The demo as it is seen: setting up, the disaster, the recovery, and a summary."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from processpilot.agent.examine import is_ready
from processpilot.agent.overview import agent_status
from processpilot.cli.follow import Lines, LiveRun
from processpilot.cli.frame import progress_shown
from processpilot.cli.recover import show_progress
from processpilot.clock import SystemClock
from processpilot.demo import stage
from processpilot.demo.places import Places
from processpilot.demo.supervisor import Supervisor
from processpilot.errors import ProcessPilotError
from processpilot.evidence.page import format_bytes, format_duration
from processpilot.evidence.report import Report, build_report
from processpilot.evidence.versions import versions
from processpilot.postgres.binaries import Installation
from processpilot.recovery.ledger import count_lost
from processpilot.runbook.decide import waits_of
from processpilot.runbook.history import read_run, run_ids
from processpilot.runbook.state import Verdict, stream_of
from processpilot.wiring.wired import Wired, open_plan

_LOAD_S = 8.0
_AFTER_S = 3.0
_PATIENCE_S = 3600.0


class Show:
    """One performance. Whoever calls ends the supervisor afterwards."""

    def __init__(self, places: Places, supervisor: Supervisor, console: Console) -> None:
        self._places = places
        self._supervisor = supervisor
        self._console = console
        self._clock = SystemClock()

    def set_up(self, installation: Installation, size_bytes: int) -> None:
        """Bring everything up, up to steady load under synchronous protection."""
        places, supervisor, clock = self._places, self._supervisor, self._clock
        with self._act(f"PostgreSQL {installation.version} and supervisord"):
            stage.create_cluster(places, installation)
            supervisor.start()
            stage.start_database(places, supervisor, clock)
        with (
            self._act(f"the application's tables, filled to {format_bytes(size_bytes)}"),
            progress_shown(as_json=False) as progress,
        ):
            stage.seed_application(places, size_bytes, progress)
        self._prepare_application()
        with self._act("the application: API, frontend, mail, analytics"):
            stage.start_application(places, supervisor, clock)
        with self._act("processpilot init: encrypted repository, keys, plan"):
            stage.set_up_protection(places, supervisor)
        with progress_shown(as_json=False) as progress:
            manifest, took = stage.take_first_backup(places, progress)
        self._said(
            f"processpilot backup create: {format_bytes(manifest.source_bytes)} read, "
            f"{format_bytes(manifest.stored_bytes)} stored",
            took,
        )
        with self._act("processpilot up: log streamed, commits wait for it"):
            findings = stage.start_agent(places, supervisor, clock)
        if not is_ready(findings):
            bad = [f for f in findings if f.outcome in ("failed", "unknown")]
            for finding in bad:
                self._console.print(f"    check: {finding.name}: {finding.detail}")
        with self._act("steady load on the application"):
            stage.start_load(places, supervisor, clock)
            clock.sleep(_LOAD_S)

    def _prepare_application(self) -> None:
        """Do what the application needs before it is started; here nothing."""

    def destroy(self) -> None:
        """Kill PostgreSQL with SIGKILL and delete its data directory."""
        count = stage.acknowledged(self._places)
        self._console.print(
            Panel(
                Text.from_markup(
                    f"[bold red]Disaster:[/] PostgreSQL is killed and {self._places.data_dir} "
                    f"is deleted.\n{count} writes have been acknowledged since the backup. From "
                    "here on only the product acts."
                ),
                border_style="red",
            )
        )
        os.kill(stage.postmaster_pid(self._places), signal.SIGKILL)
        while self._places.data_dir.exists():
            shutil.rmtree(self._places.data_dir, ignore_errors=True)

    def watch(self) -> Report:
        """Follow what the agent does until the run is finished or waits for a person."""
        with closing(open_plan(self._places.plan)) as wired:
            run_id = self._wait_for_run(wired)
            report = self._see(wired, run_id)
            self._clock.sleep(_AFTER_S)
            return report

    def _see(self, wired: Wired, run_id: str) -> Report:
        """Show a run until it is finished or waits for a person; return its report."""
        if self._console.is_terminal:
            with LiveRun(self._console) as view:
                self._follow(wired, run_id, view)
        else:
            self._follow(wired, run_id, Lines(as_json=False))
        server = wired.facts().server_version if wired.facts() else None
        return build_report(read_run(wired.journal, run_id), versions(server))

    def _wait_for_run(self, wired: Wired) -> str:
        """Return the run that the agent begins; meanwhile show what the probes say."""
        begun = self._clock.monotonic()
        with self._console.status("the probes are being watched") as spinner:
            while not (ids := run_ids(wired.journal)):
                status = agent_status(wired)
                failing = ", ".join(status["failing"]) if status else ""
                spinner.update(f"noticing: {failing or 'no probe is failing yet'}")
                if self._clock.monotonic() - begun > 120:
                    raise ProcessPilotError(
                        "no incident was opened within 120 s",
                        hint=f"Read {stage.log_of(self._places, 'processpilot')}.",
                    )
                time.sleep(0.1)
        return ids[0]

    def _follow(self, wired: Wired, run_id: str, view: LiveRun | Lines) -> None:
        seen = 0
        begun = self._clock.monotonic()
        while self._clock.monotonic() - begun < _PATIENCE_S:
            events = wired.journal.read(stream_of(run_id))
            if isinstance(view, LiveRun):
                view.show(events)
                show_progress(wired, view)
            else:
                for event in events[seen:]:
                    view.on_event(event)
            seen = len(events)
            state = read_run(wired.journal, run_id)
            if state.is_finished or waits_of(state):
                return
            time.sleep(0.2)

    def summarise(self, report: Report, report_dir: Path) -> bool:
        """Print the summary; return whether the verdict is passed and nothing is lost since."""
        self._supervisor.driver("load").stop()
        with closing(open_plan(self._places.plan)) as wired:
            ledger = wired.loaded.plan.ledger
            assert ledger is not None
            final = count_lost(ledger, wired.loaded, wired.address)
        before = report.acknowledged_transactions or 0
        self._print_summary(report, report_dir)
        self._console.print(
            f"After the recovery {final.acknowledged - before} more writes were acknowledged; "
            f"of all {final.acknowledged}, {final.lost} are missing now."
        )
        return report.verdict is Verdict.PASSED and final.lost == 0

    def _print_summary(self, report: Report, report_dir: Path) -> None:
        colour = "green" if report.verdict is Verdict.PASSED else "red"
        grid = Table.grid(padding=(0, 2))
        lost, of = report.lost_transactions, report.acknowledged_transactions
        met = (report.recovery_time_s or 1e9) <= report.rto_s
        grid.add_row("lost", f"[bold]{lost} of {of}[/] acknowledged writes")
        grid.add_row(
            "recovered in",
            f"[bold]{format_duration(report.recovery_time_s)}[/], objective "
            f"{format_duration(report.rto_s)}: {'met' if met else 'missed'}",
        )
        grid.add_row(
            "data loss",
            f"{format_duration(report.data_loss_window_s)}, objective "
            f"{format_duration(report.rpo_s)}",
        )
        for phase in report.phases:
            grid.add_row(f"  {phase.name}", format_duration(phase.duration_s))
        passed = sum(1 for check in report.checks if check.outcome == "passed")
        others = [c for c in report.checks if c.outcome != "passed"]
        grid.add_row("checks", f"{passed} of {len(report.checks)} passed")
        for check in others:
            grid.add_row(f"  {check.outcome}", f"{check.name}: {check.detail or check.actual}")
        grid.add_row("report", str(report_dir / "report.html"))
        title = f"[bold {colour}]{report.title}: {report.verdict}[/]"
        self._console.print(Panel(grid, title=title, border_style=colour))

    @contextmanager
    def _act(self, text: str) -> Iterator[None]:
        begun = self._clock.monotonic()
        if self._console.is_terminal:
            self._console.print(f"[dim]…  {text}[/]", end="\r")
        yield
        self._said(text, self._clock.monotonic() - begun)

    def _said(self, text: str, took: float) -> None:
        self._console.print(f"[green]✓[/]  {text}  [dim]{format_duration(took)}[/]")

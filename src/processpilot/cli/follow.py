"""Following a run: a line per event for logs, or a live view on a terminal."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from processpilot.cli.frame import note
from processpilot.evidence.page import format_bytes, format_duration
from processpilot.journal.event import Event
from processpilot.runbook.decide import decide
from processpilot.runbook.forecast import Durations, clock_begins_at, forecast
from processpilot.runbook.state import Kind, RunState, fold
from processpilot.runbook.step import StepOutcome, StepState
from processpilot.runbook.words import event_json, event_line

_STYLES = {
    StepOutcome.PASSED: ("✓", "green"),
    StepOutcome.RUNNING: ("▶", "cyan"),
    StepOutcome.FAILED: ("✗", "bold red"),
    StepOutcome.SKIPPED: ("–", "yellow"),
    StepOutcome.UNKNOWN: ("?", "magenta"),
    StepOutcome.NOT_NEEDED: ("○", "dim"),
    StepOutcome.NOT_RUN: ("·", "dim"),
    StepOutcome.WAITING: ("·", "dim"),
}


class Lines:
    """Writes each event as one line on stderr, or as one JSON object a line on stdout."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def on_event(self, event: Event) -> None:
        """Print one event."""
        if self._as_json:
            print(json.dumps(event_json(event)), flush=True)  # noqa: T201
        else:
            note(f"{event.at:%H:%M:%S}  {event_line(event)}")

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        """Progress is not for logs."""


class LiveRun:
    """The live view of one run: steps, progress with rate and time left, clock and objective."""

    def __init__(self, console: Console, durations: Durations | None = None) -> None:
        self._lock = threading.Lock()
        self._durations = durations or {}
        self._events: list[Event] = []
        self._state: RunState | None = None
        self._progress: tuple[str, int, int | None] | None = None
        self._since = (0.0, 0)
        # Live draws once while it is made, so everything it draws from is there before.
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.refresh()
        self._live.stop()

    def show(self, events: tuple[Event, ...]) -> None:
        """Show a run as its events tell it."""
        with self._lock:
            self._events = list(events)
            self._state = fold(events) if events else None

    def on_event(self, event: Event) -> None:
        """Take in an event; one that people wrote in between is caught up by `show`."""
        with self._lock:
            if event.kind == Kind.RUN_BEGUN:
                self._events = []
            if self._events and event.sequence != self._events[-1].sequence + 1:
                return
            self._events.append(event)
            self._state = fold(self._events)
            self._progress = None

    def forget_progress(self) -> None:
        """Show no progress: the running step reports none."""
        with self._lock:
            self._progress = None

    def on_progress(self, phase: str, done: int, total: int | None) -> None:
        """Take in how far the running step is, in bytes."""
        with self._lock:
            now = time.monotonic()
            if self._progress is None or self._progress[0] != phase:
                self._since = (now, done)
            self._progress = (phase, done, total)

    def _render(self) -> RenderableType:
        with self._lock:
            state, progress, since = self._state, self._progress, self._since
        parts: list[RenderableType] = []
        if state is not None:
            parts += [_clock(state, self._durations), _steps(state)]
            if progress is not None and not state.is_finished:
                parts.append(_progress_line(progress, since))
            if not state.is_finished:
                parts += [
                    Text(f"warning: {text}", style="yellow") for text in state.warned.values()
                ]
            for wait in decide(state).waits:
                parts.append(Text(f"waits for a person: {wait.text}", style="bold yellow"))
        return Group(*parts)


def _clock(state: RunState, durations: Durations) -> Text:
    end = state.finished_at or datetime.now(UTC)
    took = (end - clock_begins_at(state)).total_seconds()
    objectives = state.details.get("objectives") or ()
    rto = float(objectives[0]["rto_s"]) if objectives else None
    text = Text(f"{state.details.get('title', state.scenario)}  ", style="bold")
    text.append(f"{format_duration(took)}", style="bold cyan")
    if rto is not None:
        text.append(f" since the last sign of life, objective {format_duration(rto)}", "default")
    if not state.is_finished:
        found = forecast(state, datetime.now(UTC), durations)
        if found.known:
            basis = f"{found.measured} of {found.known} steps measured before"
            text.append(f"\ndone at {found.end_at:%H:%M:%S} UTC by forecast ({basis})", "dim")
    return text


def _steps(state: RunState) -> Table:
    grid = Table.grid(padding=(0, 1))
    groups = {group.id: group.title for group in state.groups}
    told: set[str] = set()
    for step in state.steps:
        for depth, group in enumerate(step.spec.groups):
            if group not in told:
                grid.add_row(
                    "", Text(f"{'  ' * depth}{groups.get(group, group)}", style="bold"), ""
                )
                told.add(group)
        mark, style = _STYLES[step.outcome]
        title = f"{'  ' * len(step.spec.groups)}{step.spec.title}"
        undone = "" if step.undo is None else f" (undone: {step.undo})"
        grid.add_row(
            Text(mark, style=style),
            Text(title + undone, style="" if step.outcome is StepOutcome.PASSED else style),
            Text(_took(step), style="dim"),
        )
        if step.error is not None and step.outcome is StepOutcome.FAILED:
            grid.add_row("", Text(step.error.message, style="red"), "")
            if step.error.hint:
                grid.add_row("", Text(step.error.hint, style="yellow"), "")
    return grid


def _took(step: StepState) -> str:
    if step.begin_at is None:
        return ""
    end = step.end_at or datetime.now(UTC)
    return format_duration((end - step.begin_at).total_seconds())


def _progress_line(progress: tuple[str, int, int | None], since: tuple[float, int]) -> Table:
    phase, done, total = progress
    elapsed = max(time.monotonic() - since[0], 1e-3)
    rate = (done - since[1]) / elapsed
    grid = Table.grid(padding=(0, 1))
    bar = ProgressBar(total=total or 1, completed=min(done, total or 1), width=30)
    words = f"{format_bytes(done)}" + (f" of {format_bytes(total)}" if total else "")
    if rate > 0 and elapsed > 0.3:
        words += f", {format_bytes(rate)}/s"
        if total and total > done:
            words += f", {format_duration((total - done) / rate)} left"
    grid.add_row(f"{phase:>9}", bar, words)
    return grid

"""A tabletop drill: a scenario gone through by people, on the clock; nothing is carried out.

Every step waits for somebody to say that they would have done it. People who are absent in this
drill cannot, so that their seconds do. It stands in a stream of its own, so that no real run waits
for it, is forecast from it, or is confused with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from processpilot.drill.history import read_rehearsal
from processpilot.drill.state import ConfirmedStep, Kind, Rehearsal, stream_of
from processpilot.errors import LockedError, NotFoundError, RefusedError, UsageError
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.plan.load import LoadedPlan
from processpilot.plan.outside import Drill, DrillKind
from processpilot.plan.scenario import Scenario
from processpilot.plan.team import Team
from processpilot.runbook.authority import accounts_of
from processpilot.runbook.compose import compose
from processpilot.runbook.state import Verdict
from processpilot.runbook.step import StepSpec

_TRIES = 8


@dataclass(frozen=True, slots=True)
class TableStep:
    """A step of the table: open, ready, confirmed; the clock begins when it gets ready."""

    spec: StepSpec
    ready_at: datetime | None
    confirmed: ConfirmedStep | None

    @property
    def is_ready(self) -> bool:
        """Whether people are to go through it now."""
        return self.ready_at is not None and self.confirmed is None

    @property
    def duration_s(self) -> float | None:
        """How long people took, None until it is confirmed."""
        if self.ready_at is None or self.confirmed is None:
            return None
        return (self.confirmed.at - self.ready_at).total_seconds()


@dataclass(frozen=True, slots=True)
class Seat:
    """Who confirms in which drill; `team` is the plan's."""

    journal: Journal
    rehearsal_id: str
    by: str
    team: Team


def scenario_of(loaded: LoadedPlan, drill: Drill) -> Scenario:
    """Return the scenario that a tabletop drill goes through: its own, or the plan's first."""
    plan = loaded.plan
    if drill.scenario is not None:
        found = plan.scenario(drill.scenario)
        assert found is not None, "the plan's references hold"
        return found
    if not plan.scenarios:
        raise NotFoundError("the plan has no scenario to go through")
    return plan.scenarios[0]


def table_steps(loaded: LoadedPlan, drill: Drill) -> tuple[StepSpec, ...]:
    """Return the scenario's steps, each to be confirmed by people and carried out by nobody."""
    composed = compose(loaded.plan, scenario_of(loaded, drill), asks=True)
    return tuple(
        replace(
            step,
            action="manual",
            settings={"action": "manual", "instruction": f"Say how you would do it: {step.title}."},
            precondition=None,
            only_if=None,
            probe=None,
            undo=None,
        )
        for step in composed.steps
    )


def table_of(rehearsal: Rehearsal) -> tuple[TableStep, ...]:
    """Return the steps with where they stand. Pure."""
    confirmed = {step.step_id: step for step in rehearsal.confirmed}
    table = []
    for spec in rehearsal.steps:
        before = [confirmed[name] for name in spec.after if name in confirmed]
        ready_at = None
        if len(before) == len(spec.after):
            ready_at = max((step.at for step in before), default=rehearsal.begun_at)
        table.append(TableStep(spec, ready_at, confirmed.get(spec.id)))
    return tuple(table)


def begin_table(
    journal: Journal,
    rehearsal_id: str,
    begun: dict[str, JsonValue],
    loaded: LoadedPlan,
    drill: Drill,
) -> Rehearsal:
    """Write down that a tabletop drill begins; `begun` is what every drill's first event says."""
    steps = table_steps(loaded, drill)
    data = {
        **begun,
        "absent": list(drill.absent),
        "scenario": scenario_of(loaded, drill).id,
        "steps": [step.to_json() for step in steps],
    }
    journal.append(stream_of(rehearsal_id), Kind.BEGUN, data, expected_sequence=1)
    return read_rehearsal(journal, rehearsal_id)


def confirm(
    seat: Seat, step_id: str | None, *, done: bool = True, comment: str | None = None
) -> Rehearsal:
    """Say that a step would be done, or could not be; return the drill after it.

    The last step gives the verdict. RefusedError for whoever is absent or does not fill the role.
    """
    for left in reversed(range(_TRIES)):
        rehearsal = _open(seat)
        step = _chosen(rehearsal, step_id)
        _require_seat(seat, rehearsal, step.spec)
        try:
            seat.journal.append(
                stream_of(seat.rehearsal_id),
                Kind.STEP_CONFIRMED,
                {"step": step.spec.id, "by": seat.by, "done": done, "comment": comment},
                expected_sequence=rehearsal.sequence + 1,
            )
            break
        except LockedError:
            if left == 0:
                raise
    return _concluded(seat.journal, seat.rehearsal_id)


def abort(seat: Seat, reason: str) -> Rehearsal:
    """End a tabletop drill before its time; return it."""
    rehearsal = _open(seat)
    _finish(seat.journal, rehearsal, Verdict.ABORTED, (f"{seat.by} ended it: {reason}",))
    return read_rehearsal(seat.journal, seat.rehearsal_id)


def judge_table(rehearsal: Rehearsal) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict of a table that was gone through, and why it is no better. Pure."""
    table = table_of(rehearsal)
    failed = tuple(
        f"{step.spec.id} could not be done: {step.confirmed.comment or step.confirmed.by}"
        for step in table
        if step.confirmed is not None and not step.confirmed.done
    )
    if failed:
        return Verdict.FAILED, failed
    late = tuple(_late(table))
    return (Verdict.MISSED, late) if late else (Verdict.PASSED, ())


def absent_accounts(team: Team, absent: frozenset[str]) -> frozenset[str]:
    """Return the names and accounts of people who are absent."""
    accounts = {a for person in team.people if person.name in absent for a in person.accounts}
    return absent | accounts


def _late(table: tuple[TableStep, ...]) -> Iterator[str]:
    for step in table:
        took, box = step.duration_s, step.spec.timebox_s
        if took is not None and box is not None and took > box:
            yield f"{step.spec.id} took {took:.0f} s, its time box is {box:g} s"


def _open(seat: Seat) -> Rehearsal:
    rehearsal = read_rehearsal(seat.journal, seat.rehearsal_id)
    if rehearsal.kind is not DrillKind.TABLETOP:
        raise RefusedError(f"drill {rehearsal.rehearsal_id} is no tabletop drill; it walks alone")
    if rehearsal.is_finished:
        raise RefusedError(f"drill {rehearsal.rehearsal_id} is finished: {rehearsal.verdict}")
    return rehearsal


def _chosen(rehearsal: Rehearsal, step_id: str | None) -> TableStep:
    ready = [step for step in table_of(rehearsal) if step.is_ready]
    if step_id is not None:
        for step in ready:
            if step.spec.id == step_id:
                return step
        raise RefusedError(f"step {step_id} of drill {rehearsal.rehearsal_id} does not wait now")
    if len(ready) != 1:
        names = ", ".join(step.spec.id for step in ready)
        raise UsageError(f"several steps wait: {names}", hint="Name one with --step ID.")
    return ready[0]


def _require_seat(seat: Seat, rehearsal: Rehearsal, spec: StepSpec) -> None:
    absent = frozenset(str(name) for name in rehearsal.details.get("absent", ()))
    if seat.by in absent_accounts(seat.team, absent):
        raise RefusedError(
            f"{seat.by} is absent in drill {rehearsal.rehearsal_id}",
            hint="Let their secondary do it; that is what this drill is for.",
        )
    role = spec.approval or spec.role
    if role is None:
        return
    accounts = accounts_of(_without(seat.team, absent), {}, role)
    if accounts is not None and seat.by not in accounts:
        raise RefusedError(
            f"{seat.by} does not fill the role {role} in this drill; "
            f"it needs {', '.join(sorted(accounts))}",
            hint="Let one of them confirm.",
        )


def _without(team: Team, absent: frozenset[str]) -> Team:
    """Return the team as it is without those who are absent."""
    roles = tuple(
        role.model_copy(
            update={
                "primary": None if role.primary in absent else role.primary,
                "secondary": None if role.secondary in absent else role.secondary,
            }
        )
        for role in team.roles
    )
    return team.model_copy(update={"roles": roles})


def _concluded(journal: Journal, rehearsal_id: str) -> Rehearsal:
    rehearsal = read_rehearsal(journal, rehearsal_id)
    failed = any(not step.done for step in rehearsal.confirmed)
    if failed or len(rehearsal.confirmed) == len(rehearsal.steps):
        _finish(journal, rehearsal, *judge_table(rehearsal))
        return read_rehearsal(journal, rehearsal_id)
    return rehearsal


def _finish(
    journal: Journal, rehearsal: Rehearsal, verdict: Verdict, reasons: tuple[str, ...]
) -> None:
    took = (journal.clock.now() - rehearsal.begun_at).total_seconds()
    data: dict[str, JsonValue] = {
        "verdict": str(verdict),
        "reasons": list(reasons),
        "recovery_time_s": round(took, 3) if verdict is not Verdict.ABORTED else None,
    }
    stream, number = stream_of(rehearsal.rehearsal_id), rehearsal.sequence + 1
    journal.append(stream, Kind.FINISHED, data, expected_sequence=number)

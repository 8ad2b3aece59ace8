"""What people may do to a run, from any process.

Each act is checked against the run as it is and written at exactly that place in the stream, so two
people who decide at once cannot both be followed. Where several steps wait, the act names its step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processpilot.errors import LockedError, NotFoundError, RefusedError, UsageError
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.plan.team import Team
from processpilot.runbook.authority import require_authority
from processpilot.runbook.decide import AwaitPeople, Need, decide
from processpilot.runbook.history import read_run
from processpilot.runbook.state import Kind, RunState, can_follow, stream_of
from processpilot.runbook.step import StepOutcome, StepSpec, StepState

_TRIES = 8
_APPROVAL = "approval"
_TROUBLE = (StepOutcome.FAILED, StepOutcome.UNKNOWN)
Entry = tuple[Kind, Mapping[str, JsonValue]]


@dataclass(frozen=True, slots=True)
class Person:
    """Who acts on which run; `team` is the plan's, where it says who may agree to what."""

    journal: Journal
    run_id: str
    by: str
    team: Team = Team()


def acknowledge(person: Person) -> RunState:
    """Write down that somebody has taken note and looks after the run; return the state before."""

    def entry(state: RunState) -> Entry:
        if state.acknowledged_by is not None:
            raise RefusedError(f"{state.acknowledged_by} has acknowledged run {state.run_id}")
        return Kind.RUN_ACKNOWLEDGED, {"by": person.by}

    return _write(person, entry)


def approve(person: Person, step_id: str | None, comment: str | None) -> StepState:
    """Agree to the step that waits for an approval; return that step."""
    return _judge(person, step_id, comment, Kind.APPROVAL_GIVEN)


def refuse(person: Person, step_id: str | None, comment: str | None) -> StepState:
    """Refuse the step that waits for an approval; return that step."""
    return _judge(person, step_id, comment, Kind.APPROVAL_REFUSED)


def needs_approval(state: RunState, step_id: str | None) -> StepState:
    """Return the step that an approval is for; RefusedError when none is, or several are."""
    step = waiting_step(state, step_id, lambda s: s.spec.approval is not None)
    if step.spec.approval is None:
        raise RefusedError(
            f"step {step.spec.id} of run {state.run_id} needs no approval",
            hint="Run `processpilot run show` to see what the run waits for.",
        )
    if step.approved_by is not None:
        raise RefusedError(f"{step.approved_by} has approved step {step.spec.id}")
    return step


def confirm(person: Person, step_id: str | None, *, done: bool, comment: str | None) -> StepState:
    """Say that a manual step is done, or that it did not work; return that step."""
    chosen: list[StepState] = []

    def entry(state: RunState) -> Entry:
        step = waiting_step(state, step_id, lambda s: s.is_manual)
        if not step.is_manual:
            raise RefusedError(f"step {step.spec.id} of run {state.run_id} is not done by people")
        if step.spec.approval is not None and step.approved_by is None:
            raise RefusedError(
                f"step {step.spec.id} waits until {step.spec.approval} agrees",
                hint=f"Run `processpilot run approve {state.run_id} --step {step.spec.id}` first.",
            )
        chosen[:] = [step]
        return Kind.STEP_CONFIRMED, _on(step, person, comment) | {"done": done}

    _write(person, entry)
    return chosen[0]


def retry(person: Person, step_id: str | None) -> StepState:
    """Have the failed step, or its undo, tried again; return that step."""
    chosen: list[StepState] = []

    def entry(state: RunState) -> Entry:
        step = waiting_step(state, step_id, _has_trouble)
        if not _has_trouble(step):
            raise RefusedError(
                f"step {step.spec.id} of run {state.run_id} is {step.outcome}, not failed"
            )
        chosen[:] = [step]
        return Kind.RETRY_REQUESTED, _on(step, person, None)

    _write(person, entry)
    return chosen[0]


def skip(person: Person, step_id: str | None, *, reason: str) -> StepState:
    """Leave the waiting or failed step out; return that step. The verdict then misses passed.

    A step that is nothing but an approval is left out only by who might give it.
    """
    _need_reason(reason)
    chosen: list[StepState] = []

    def entry(state: RunState) -> Entry:
        step = waiting_step(state, step_id, lambda _: True)
        if not step.spec.skippable and not step.is_settled and step.undo not in _TROUBLE:
            raise RefusedError(
                f"step {step.spec.id} of run {state.run_id} cannot be left out: later steps build "
                "on it",
                hint=f"Retry it, or end the run: processpilot run abort {state.run_id}",
            )
        if step.spec.action == _APPROVAL and step.spec.approval is not None:
            # What follows would go on as if the role had agreed.
            require_authority(person.team, state.roles, step.spec.approval, person.by)
        chosen[:] = [step]
        return Kind.STEP_SKIPPED, _on(step, person, None) | {"reason": reason}

    _write(person, entry)
    return chosen[0]


def add_step(person: Person, spec: StepSpec) -> RunState:
    """Put a step in behind the ones it names in `after`, or next of all; return the state before.

    What comes after all of these and has not begun waits for it.
    """

    def entry(state: RunState) -> Entry:
        if state.step(spec.id) is not None:
            raise RefusedError(f"run {state.run_id} has a step {spec.id} already")
        for other in spec.after:
            if state.step(other) is None:
                raise NotFoundError(f"run {state.run_id} has no step {other}")
        if state.aborted_by is not None:
            raise RefusedError(f"{state.aborted_by} has ended run {state.run_id}")
        if state.current is None:
            raise RefusedError(f"every step of run {state.run_id} is done")
        return Kind.STEP_ADDED, {"by": person.by, "spec": spec.to_json()}

    return _write(person, entry)


def hand_over(person: Person, role: str, to: str) -> RunState:
    """Write down that somebody else has a role from now on; return the state before."""
    if role not in {one.id for one in person.team.roles}:
        raise NotFoundError(f'the plan has no role "{role}"')
    if not to.strip():
        raise UsageError("a role is handed over to somebody", hint="Name them with --to NAME.")
    return _write(
        person, lambda _: (Kind.ROLE_HANDED_OVER, {"role": role, "to": to, "by": person.by})
    )


def pause(person: Person, *, reason: str) -> RunState:
    """Let no further step begin until the run is continued; return the state before."""

    def entry(state: RunState) -> Entry:
        if state.paused_by is not None:
            raise RefusedError(f"{state.paused_by} has paused run {state.run_id}")
        return Kind.RUN_PAUSED, {"by": person.by, "reason": reason}

    return _write(person, entry)


def go_on(person: Person) -> RunState:
    """Let a paused run go on; return the state before."""

    def entry(state: RunState) -> Entry:
        if state.paused_by is None:
            raise RefusedError(f"run {state.run_id} is not paused")
        return Kind.RUN_CONTINUED, {"by": person.by}

    return _write(person, entry)


def abort(person: Person, *, reason: str, undo: bool = False) -> RunState:
    """End the run after the steps that are running; return the state before.

    With `undo`, what steps of this run did and know how to undo is undone, the last one first.
    Without it, such undoing is ended after the one that is under way.
    """

    def entry(state: RunState) -> Entry:
        if state.aborted_by is not None and (undo or not state.undoing):
            raise RefusedError(f"{state.aborted_by} has ended run {state.run_id}")
        return Kind.ABORT_REQUESTED, {"by": person.by, "reason": reason, "undo": undo}

    return _write(person, entry)


def waiting_step(
    state: RunState, step_id: str | None, fits: Callable[[StepState], bool]
) -> StepState:
    """Return the step that people are to decide on: the one named, or the only one that fits."""
    must_be_open(state)
    if step_id is not None:
        return _named(state, step_id)
    waits = [w for w in decide(state).waits if w.need is not Need.CONTINUATION]
    steps = [step for wait in waits if (step := _of(state, wait)) is not None]
    chosen = [step for step in steps if fits(step)] or steps
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        names = ", ".join(step.spec.id for step in chosen)
        raise UsageError(
            f"several steps of run {state.run_id} wait: {names}", hint="Name one with --step ID."
        )
    if state.running:
        running = state.running[0].spec.id
        raise RefusedError(
            f"step {running} of run {state.run_id} is running",
            hint="Wait for its end; if its process died, run `processpilot run resume`.",
        )
    current = state.current
    if current is None:
        raise RefusedError(f"every step of run {state.run_id} is done")
    return current


def must_be_open(state: RunState) -> None:
    """Raise RefusedError for a run that has its verdict."""
    if state.is_finished:
        raise RefusedError(f"run {state.run_id} is finished: {state.verdict}")


def _named(state: RunState, step_id: str) -> StepState:
    step = state.step(step_id)
    if step is None:
        raise NotFoundError(f"run {state.run_id} has no step {step_id}")
    if step.outcome is StepOutcome.RUNNING:
        raise RefusedError(
            f"step {step_id} of run {state.run_id} is running",
            hint="Wait for its end; if its process died, run `processpilot run resume`.",
        )
    if step.is_being_undone:
        raise RefusedError(
            f"step {step_id} of run {state.run_id} is being undone",
            hint="Wait for its end; if its process died, run `processpilot run resume`.",
        )
    if step not in state.ready and not _has_trouble(step):
        raise RefusedError(
            f"step {step_id} of run {state.run_id} does not wait for anybody: "
            f"{'its turn has not come' if step.outcome is StepOutcome.WAITING else step.outcome}"
        )
    return step


def _of(state: RunState, wait: AwaitPeople) -> StepState | None:
    return None if wait.step_id is None else state.step(wait.step_id)


def _has_trouble(step: StepState) -> bool:
    return step.outcome in _TROUBLE or step.undo in _TROUBLE


def _judge(person: Person, step_id: str | None, comment: str | None, kind: Kind) -> StepState:
    chosen: list[StepState] = []

    def entry(state: RunState) -> Entry:
        step = needs_approval(state, step_id)
        assert step.spec.approval is not None
        require_authority(person.team, state.roles, step.spec.approval, person.by)
        chosen[:] = [step]
        return kind, _on(step, person, comment)

    _write(person, entry)
    return chosen[0]


def _on(step: StepState, person: Person, comment: str | None) -> dict[str, JsonValue]:
    return {
        "step": step.spec.id,
        "by": person.by,
        "role": step.spec.approval,
        "comment": comment,
    }


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("a step is skipped for a reason", hint="Give it with --reason TEXT.")


def _write(person: Person, entry: Callable[[RunState], Entry]) -> RunState:
    """Write what `entry` makes of the run; where somebody wrote first, it is judged anew."""
    for left in reversed(range(_TRIES)):
        state = read_run(person.journal, person.run_id)
        must_be_open(state)
        kind, data = entry(state)
        if not can_follow(state, person.journal.clock.now(), kind, data):
            raise RefusedError(
                f"run {state.run_id} is not where it can take this: {kind}",
                hint=f"Look where it stands with `processpilot run show {state.run_id}`.",
            )
        try:
            person.journal.append(
                stream_of(state.run_id), kind, data, expected_sequence=state.sequence + 1
            )
        except LockedError:
            if left == 0:
                raise
        else:
            return state
    raise AssertionError("unreachable")

"""Which of a drill's own steps are carried out in isolation. Pure.

Commands, checks, requests to the loopback and statements on the restored database are. What the
drill walks by itself, and what only people can do, is left out and said so. Anything else would
touch production or reach somebody, and is refused before the drill begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from processpilot.drill.questions import Impossible, Question, question_of
from processpilot.errors import RefusedError
from processpilot.plan.acceptance import is_accepted
from processpilot.plan.act import ActionName, CommandAct, SqlAct
from processpilot.plan.condition import (
    Condition,
    HttpCondition,
    SqlCondition,
    condition_from_json,
)
from processpilot.plan.model import Plan
from processpilot.plan.outside import Drill
from processpilot.plan.step import (
    ActStep,
    ApprovalStep,
    BuiltInStep,
    CheckStep,
    CommandStep,
    Group,
    HttpStep,
    ManualStep,
    SqlStep,
    Step,
    SubRunbook,
    WaitStep,
)

# The drill does these itself, on the copy.
_WALKED = frozenset(
    {
        ActionName.ASSESS,
        ActionName.RESTORE,
        ActionName.REPLAY,
        ActionName.PROVE,
        ActionName.VALIDATE,
        ActionName.LIST_BACKUPS,
        ActionName.DATABASE_HEALTH,
        ActionName.VERIFY_DATA,
    }
)


@dataclass(frozen=True, slots=True)
class Asking:
    """Questions that must all hold within a time."""

    questions: tuple[Question, ...]
    within_s: float


@dataclass(frozen=True, slots=True)
class DrillStep:
    """One step that is carried out: a command, a statement, or an asking.

    It is not needed unless `only_if` holds, and fails unless `precondition` does.
    """

    id: str
    title: str
    act: CommandAct | SqlAct | Asking
    retries: int = 0
    only_if: Question | None = None
    precondition: Question | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step that is not carried out, and why."""

    id: str
    why: str


@dataclass(frozen=True, slots=True)
class Playable:
    """A drill's steps in the order of the document."""

    steps: tuple[DrillStep, ...]
    left_out: tuple[LeftOut, ...]


def playable(plan: Plan, drill: Drill) -> Playable:
    """Return what of a drill's steps is carried out; RefusedError names those that must not be."""
    steps: list[DrillStep] = []
    left_out: list[LeftOut] = []
    refused: list[str] = []
    for step in _flat(drill.steps):
        match _judged(plan, step):
            case DrillStep() as found:
                steps.append(found)
            case LeftOut() as found:
                left_out.append(found)
            case Impossible(why=why):
                refused.append(f"step {step.id} {why}")
    if refused:
        raise RefusedError(
            f"drill {drill.id} cannot be carried out in isolation: {'; '.join(refused)}",
            hint="Take these steps out of the drill; the page docs/drills.md says which may stay.",
        )
    return Playable(tuple(steps), tuple(left_out))


def _flat(steps: tuple[Step, ...]) -> Iterator[ActStep | SubRunbook]:
    for step in steps:
        if isinstance(step, Group):
            yield from _flat(step.steps)
        else:
            yield step


def _judged(plan: Plan, step: ActStep | SubRunbook) -> DrillStep | LeftOut | Impossible:
    if isinstance(step, SubRunbook):
        return Impossible("runs another scenario")
    match step:
        case ManualStep() | ApprovalStep():
            return LeftOut(step.id, "people do it, and nobody is asked in this drill")
        case BuiltInStep() if step.action in _WALKED:
            return LeftOut(step.id, "the drill does it by itself")
        case CommandStep() if not is_accepted(plan, step):
            return LeftOut(step.id, "nobody has accepted its command (processpilot plan accept)")
        case CommandStep() | CheckStep() | HttpStep() | SqlStep() | WaitStep():
            return _carried_out(plan, step)
    return Impossible(f"would {_would(step)}")


def _carried_out(
    plan: Plan, step: CommandStep | CheckStep | HttpStep | SqlStep | WaitStep
) -> DrillStep | Impossible:
    act = _act(plan, step)
    only_if, precondition = _maybe(plan, step.only_if), _maybe(plan, step.precondition)
    if isinstance(act, Impossible):
        return act
    if isinstance(only_if, Impossible):
        return only_if
    if isinstance(precondition, Impossible):
        return precondition
    return DrillStep(step.id, step.title, act, step.retries, only_if, precondition)


def _act(
    plan: Plan, step: CommandStep | CheckStep | HttpStep | SqlStep | WaitStep
) -> CommandAct | SqlAct | Asking | Impossible:
    match step:
        case CommandStep():
            return step
        case SqlStep():
            if step.dsn is not None:
                return Impossible("executes on another database than the restored one")
            return step
        case HttpStep():
            fields = set(HttpCondition.model_fields) - {"kind"}
            request = step.model_dump(mode="json", by_alias=True, include=fields)
            return _asking(plan, (condition_from_json({**request, "kind": "http"}),), 0.0)
        case CheckStep():
            return _asking(plan, step.conditions, step.within_s)
        case WaitStep():
            if step.until is None:
                return Impossible("only waits, which measures nothing")
            return _asking(plan, (step.until,), step.limit_s)


def _asking(plan: Plan, conditions: tuple[Condition, ...], within_s: float) -> Asking | Impossible:
    questions: list[Question] = []
    for condition in conditions:
        match question_of(plan, condition):
            case Impossible() as impossible:
                return impossible
            case Question() as question:
                questions.append(question)
    return Asking(tuple(questions), within_s)


def _maybe(plan: Plan, condition: Condition | None) -> Question | Impossible | None:
    return None if condition is None else question_of(plan, condition)


def _would(step: ActStep) -> str:
    words = {
        "message": "send a message",
        "vendor": "call a vendor",
        "service": "change a service",
        "release": "change a release",
        "maintenance": "turn maintenance mode",
        "toggle": "turn a feature",
    }
    return words.get(str(step.action), f"{step.action}, which is for production")


def sql_questions(plan: Plan) -> tuple[SqlCondition, ...]:
    """Return the plan's validating queries that the restored database can answer."""
    return tuple(
        SqlCondition(kind="sql", query=check.query, expect=check.expect)
        for check in plan.validation
        if check.kind == "sql" and check.dsn is None
    )

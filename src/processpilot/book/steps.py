"""Steps as people go through them: numbered, with everything they have to know beside each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from processpilot.plan.act import BuiltInAct
from processpilot.plan.model import Plan
from processpilot.plan.step import ActStep, Group, Step, SubRunbook
from processpilot.plan.wording import Line, act_lines, condition_lines, duration_words


@dataclass(frozen=True, slots=True)
class Remark:
    """What else there is to know about a step: a word or two, and what follows them."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One step or group; `number` is 3 or 3.1, `children` are the steps of a group.

    `approval` and `role` are titles.
    """

    number: str
    id: str
    title: str
    kind: str
    role: str | None
    approval: str | None
    timebox_s: float | None
    lines: tuple[Line, ...]
    remarks: tuple[Remark, ...]
    children: tuple[Entry, ...] = ()


_KINDS = {
    "command": "command",
    "http": "request",
    "sql": "SQL",
    "service": "service",
    "check": "check",
    "wait": "wait",
    "message": "message",
    "manual": "by hand",
    "approval": "approval",
    "release": "release",
    "maintenance": "maintenance",
    "toggle": "toggle",
    "sequence": "one after the other",
    "parallel": "side by side",
    "runbook": "other scenario",
}
_ON_FAILURE = {
    "retry": "it is tried again",
    "undo": "it is undone",
    "go-on": "the run goes on: {}",
}


def entries(plan: Plan, steps: Sequence[Step], above: str = "") -> tuple[Entry, ...]:
    """Return the steps in order, each with its number below that of the group `above`."""
    return tuple(_entry(plan, step, f"{above}{n}") for n, step in enumerate(steps, start=1))


def step_count(found: Sequence[Entry]) -> int:
    """Return how many steps there are, those in groups counted and groups not."""
    return sum(step_count(entry.children) if entry.children else 1 for entry in found)


def role_title(plan: Plan, role_id: str) -> str:
    """Return what a role is called."""
    return next((r.title for r in plan.team.roles if r.id == role_id), role_id)


def _entry(plan: Plan, step: Step, number: str) -> Entry:
    children: tuple[Entry, ...] = ()
    lines: tuple[Line, ...] = ()
    remarks: tuple[Remark, ...] = ()
    approval = None
    match step:
        case Group():
            children = entries(plan, step.steps, f"{number}.")
        case SubRunbook():
            other = plan.scenario(step.scenario)
            assert other is not None, "references were checked"
            lines = (
                Line(f'Go through all steps of "{other.title}" ({other.id}), then go on here'),
            )
        case _:
            lines = tuple(line for line in act_lines(step) if line.text != step.title)
            remarks = tuple(_remarks(step))
            approval = None if step.approval is None else role_title(plan, step.approval)
    return Entry(
        number,
        step.id,
        step.title,
        "built-in" if isinstance(step, BuiltInAct) else _KINDS[step.action],
        None if step.role is None else role_title(plan, step.role),
        approval,
        step.timebox_s,
        lines,
        (*remarks, *_common(plan, step)),
        children,
    )


def _remarks(step: ActStep) -> Iterator[Remark]:
    if step.precondition is not None:
        yield Remark("First", tuple(condition_lines(step.precondition)))
    if step.only_if is not None:
        yield Remark("Only if", tuple(condition_lines(step.only_if)))
    if step.probe is not None:
        yield Remark("It has happened if", tuple(condition_lines(step.probe)))
    if step.retries:
        times = "once" if step.retries == 1 else f"up to {step.retries} times"
        yield _said("Tried again", times)
    if step.on_failure != "stop":
        yield _said("If it fails", _ON_FAILURE[step.on_failure].format(step.reason))
    if step.undo is not None:
        yield Remark("Undo", tuple(act_lines(step.undo)))


def _common(plan: Plan, step: Step) -> Iterator[Remark]:
    if step.brings_up:
        titles = ", ".join(plan.component(component).title for component in step.brings_up)
        yield _said("Then works again", titles)
    if step.estimate_s is not None:
        yield _said("Probably takes", duration_words(step.estimate_s))
    if step.note:
        yield _said("Note", step.note)
    if step.origin is not None:
        yield _said("From", step.origin)


def _said(label: str, text: str) -> Remark:
    return Remark(label, (Line(text),))

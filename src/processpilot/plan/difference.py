"""What one plan says that another does not, by meaning: comments, layout and quotes count nothing.

What has an id is found again wherever it stands, so a step that moved is one that moved, not one
removed and one added.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

from processpilot.plan.fields import Record
from processpilot.plan.model import Plan
from processpilot.plan.step import Group, Step
from processpilot.plan.wording import duration_words, shell_words, visible, without_password


class ChangeKind(StrEnum):
    """What happened to something."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs; `where` is what it belongs to, empty for the plan itself.

    `before` and `after` are in words; what was added has no `before`, what was removed no `after`.
    """

    kind: ChangeKind
    where: str
    subject: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        if self.kind is ChangeKind.ADDED:
            said = self.after
            return f"{place}{self.subject} added" + (f": {said}" if said else "")
        if self.kind is ChangeKind.REMOVED:
            said = self.before
            return f"{place}{self.subject} removed" + (f": {said}" if said else "")
        moved = " moved" if self.kind is ChangeKind.MOVED else ""
        if self.before == self.after:
            return f"{place}{self.subject}{moved} changed where passwords are left out"
        return f"{place}{self.subject}{moved}: {self.before} -> {self.after}"


def difference(before: Plan, after: Plan) -> tuple[Change, ...]:
    """Return what changed from one plan to the other, in the order of the document."""
    return tuple(_fields("", "", before, after))


# Fields whose own name is not what people call them.
_WORDS = {
    "rto_s": "recovery time objective",
    "rpo_s": "data loss objective",
    "timebox_s": "time box",
    "depends_on": "dependencies",
    "every_s": "interval",
    "after_s": "time to wait",
    "begin_s": "begin",
    "end_s": "end",
    "argv": "command",
    "env": "environment",
    "only_if": "condition",
    "json_body": "body",
    "means": "meaning",
    "page": "people paged",
    "brings_up": "components brought up",
    "dsn": "connection",
}
# What one of a list is called.
_ONE = {
    "components": "component",
    "scenarios": "scenario",
    "steps": "step",
    "roles": "role",
    "people": "person",
    "drills": "drill",
    "vendors": "vendor",
    "channels": "channel",
    "toggles": "toggle",
    "probes": "probe",
    "symptoms": "symptom",
    "validation": "check",
    "checklist": "checklist line",
    "escalation": "escalation level",
    "support": "support level",
    "providers": "provider",
    "procedures": "procedure",
    "follow_ups": "follow-up",
    "accepted": "accepted command",
    "conditions": "condition",
}
_KEYS = ("id", "name", "severity", "probe", "digest", "text", "means", "title")
_DURATION = "_s"
_COMMANDS = ("argv", "start", "stop", "status", "on", "off", "install", "build", "migrate")


def _fields(where: str, of: str, before: Record, after: Record) -> Iterator[Change]:
    """Yield what differs in the fields of two records that are the same thing."""
    if type(before) is not type(after):
        yield _changed(where, of or "kind", _in_words("", before), _in_words("", after))
        return
    for name in type(before).model_fields:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield from _field(where, of, name, old, new)


def _field(where: str, of: str, name: str, old: object, new: object) -> Iterator[Change]:
    if name == "steps" and _all_records(old, new):
        yield from _steps(where, old, new)  # type: ignore[arg-type]
    elif name in _ONE and _all_records(old, new):
        yield from _list(where, _ONE[name], _keyed(old), _keyed(new))  # type: ignore[arg-type]
    elif isinstance(old, Record) and isinstance(new, Record) and type(old) is type(new):
        inner = _called(name) if not of else f"{_called(name)} of {of}"
        yield from _fields(where, inner, old, new)
    else:
        subject = _called(name) if not of else f"{_called(name)} of {of}"
        yield _changed(where, subject, _in_words(name, old), _in_words(name, new))


def _list(
    where: str, one: str, old: Mapping[str, Record], new: Mapping[str, Record]
) -> Iterator[Change]:
    yield from _come_and_gone(where, one, old, new)
    for key, record in new.items():
        if key in old and old[key] != record:
            if one in ("component", "scenario", "drill", "provider", "procedure"):
                inner = f"{where}: {one} {key}" if where else f"{one} {key}"
                yield from _fields(inner, "", old[key], record)
            else:
                yield from _fields(where, f"{one} {key}", old[key], record)
    yield from _moves(where, one, list(old), list(new))


def _steps(where: str, old: Sequence[Step], new: Sequence[Step]) -> Iterator[Change]:
    """Yield the differences of two trees of steps, in which every id is there once."""
    before, after = dict(_flat(old, None)), dict(_flat(new, None))
    steps, now = ({k: step for k, (step, _) in tree.items()} for tree in (before, after))
    yield from _come_and_gone(where, "step", steps, now)
    for key, (step, group) in after.items():
        if key not in before:
            continue
        was, was_in = before[key]
        if was_in != group:
            yield _changed(where, f"place of {key}", _group(was_in), _group(group))
        if isinstance(was, Group) and isinstance(step, Group):
            was = was.model_copy(update={"steps": step.steps})
        if was != step:
            yield from _fields(where, key, was, step)
    yield from _moves(where, "step", list(before), list(after))


def _flat(
    steps: Sequence[Step], group: str | None
) -> Iterator[tuple[str, tuple[Step, str | None]]]:
    for step in steps:
        yield step.id, (step, group)
        if isinstance(step, Group):
            yield from _flat(step.steps, step.id)


def _come_and_gone(
    where: str, one: str, old: Mapping[str, Record], new: Mapping[str, Record]
) -> Iterator[Change]:
    for key, record in old.items():
        if key not in new:
            yield Change(ChangeKind.REMOVED, where, f"{one} {key}", _title(key, record), None)
    for key, record in new.items():
        if key not in old:
            yield Change(ChangeKind.ADDED, where, f"{one} {key}", None, _title(key, record))


def _moves(where: str, one: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """Yield as few moves as explain the new order of what is in both."""
    left = [key for key in old if key in set(new)]
    right = [key for key in new if key in set(old)]
    blocks = SequenceMatcher(None, left, right, autojunk=False).get_matching_blocks()
    stayed = {key for block in blocks for key in left[block.a : block.a + block.size]}
    for key in right:
        if key not in stayed:
            yield Change(
                ChangeKind.MOVED, where, f"{one} {key}", _after(key, old), _after(key, new)
            )


def _after(key: str, order: list[str]) -> str:
    n = order.index(key)
    return f"after {order[n - 1]}" if n else "first"


def _changed(where: str, subject: str, before: str, after: str) -> Change:
    return Change(ChangeKind.CHANGED, where, subject, before, after)


def _group(group: str | None) -> str:
    return "in no group" if group is None else f"in {group}"


def _called(name: str) -> str:
    return _WORDS.get(name) or name.removesuffix(_DURATION).replace("_", " ")


def _title(key: str, record: Record) -> str | None:
    title = getattr(record, "title", None)
    return None if title is None or title == key else visible(title)


def _keyed(records: Sequence[Record]) -> dict[str, Record]:
    """Return records by what they are known by: an id or a name, or else their number."""
    keyed: dict[str, Record] = {}
    for n, record in enumerate(records, start=1):
        found = (getattr(record, name, None) for name in _KEYS)
        key = visible(str(next((value for value in found if value), n)))
        keyed[key if key not in keyed else f"{key} ({n})"] = record
    return keyed


def _all_records(*values: object) -> bool:
    return all(
        isinstance(value, tuple) and all(isinstance(one, Record) for one in value)
        for value in values
    )


def _in_words(name: str, value: object) -> str:
    """Return the value of a field as people say it."""
    if value is None or value in ((), {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float | int) and name.endswith(_DURATION):
        return duration_words(value)
    if isinstance(value, Record):
        fields = type(value).model_fields
        said = ((n, getattr(value, n)) for n in fields if n in value.model_fields_set)
        return ", ".join(f"{_called(n)} {_in_words(n, v)}" for n, v in said)
    if isinstance(value, Mapping):
        return ", ".join(visible(without_password(f"{k}={v}")) for k, v in value.items())
    if isinstance(value, tuple):
        words = [str(one) if not isinstance(one, Record) else _in_words("", one) for one in value]
        return shell_words(words) if name in _COMMANDS else visible(", ".join(words))
    return visible(without_password(str(value)))

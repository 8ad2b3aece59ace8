"""Accepting imported commands: which wait, and a person's word written into the plan's file.

The file keeps every byte it had; entries are put at the end of its `accepted` list. What was
written is loaded again before it takes the old file's place.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from processpilot.errors import IntegrityError, NotFoundError, UsageError
from processpilot.plan.acceptance import digest_of, is_accepted
from processpilot.plan.act import CommandAct
from processpilot.plan.load import LoadedPlan, PlanError, parse_plan
from processpilot.plan.step import Step, every_step
from processpilot.plan.wording import visible
from processpilot.prose.words import without_secrets
from processpilot.prose.yamltext import scalar

_ACTIVE = re.compile(r"[`;|&()$<>\\\n]")


@dataclass(frozen=True, slots=True)
class Waiting:
    """An imported command nobody has accepted yet; `place` is the scenario or drill, with kind."""

    place: str
    step: str
    title: str
    command: str
    folder: str | None
    env: tuple[str, ...]
    origin: str
    digest: str

    @property
    def name(self) -> str:
        """How it is named on the command line: SCENARIO.STEP."""
        return f"{self.place}.{self.step}"


def waiting_commands(loaded: LoadedPlan) -> tuple[Waiting, ...]:
    """Return the commands that wait to be accepted, in the plan's order."""
    plan = loaded.plan
    return tuple(
        _waiting(place, step)
        for place, steps in _places(loaded)
        for step in every_step(steps)
        if isinstance(step, CommandAct) and not is_accepted(plan, step)
    )


def _places(loaded: LoadedPlan) -> Iterator[tuple[str, Sequence[Step]]]:
    yield from ((s.id, s.steps) for s in loaded.plan.scenarios)
    yield from ((d.id, d.steps) for d in loaded.plan.drills)


def _waiting(place: str, step: Step) -> Waiting:
    assert isinstance(step, CommandAct)
    env = tuple(f"{name}={value}" for name, value in sorted(step.env.items()))
    return Waiting(
        place, step.id, step.title, command_text(step.argv), step.folder,
        tuple(_shown(text) for text in env), step.origin or "", digest_of(step),
    )  # fmt: skip


def command_text(argv: Sequence[str]) -> str:
    """Return an argument list as one would type it; the line itself where a shell reads it."""
    if len(argv) == 3 and argv[1] == "-c" and argv[0] in ("sh", "bash"):
        return _shown(argv[2])
    words = (w if re.fullmatch(r"[\w@%+=:,./~{}-]+", w) else f"'{w}'" for w in argv)
    return _shown(" ".join(words))


def _shown(text: str) -> str:
    """Return what people are to accept: no secret is left out that a shell would carry out."""
    bare = without_secrets(text)
    return visible(bare if _ACTIVE.findall(bare) == _ACTIVE.findall(text) else text)


def chosen(waiting: Sequence[Waiting], names: Sequence[str]) -> tuple[Waiting, ...]:
    """Return the commands that people name: SCENARIO.STEP, a step's id, or a digest.

    NotFoundError for a name that no waiting command has; UsageError for one that several have.
    """
    found: list[Waiting] = []
    for name in names:
        fits = [w for w in waiting if name in (w.name, w.step, w.digest)]
        places = {(w.place, w.step) for w in fits}
        if not fits:
            raise NotFoundError(
                f'no command "{name}" waits to be accepted',
                hint="Run `processpilot plan accept` to list those that do.",
            )
        if len(places) > 1 and name != fits[0].digest:
            several = ", ".join(w.name for w in fits)
            raise UsageError(f'"{name}" may be {several}', hint="Name it as SCENARIO.STEP.")
        found += (w for w in fits if w not in found)
    return tuple(found)


def accepted_text(text: str, commands: Sequence[Waiting], by: str, at: datetime) -> str:
    """Return the plan's text with one more entry for each command; nothing else is changed."""
    entries = [_entry(command, by, at) for command in _each_once(commands)]
    node = _accepted_node(text)
    if node is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        lines = "".join(f"  {line}\n" for entry in entries for line in entry)
        return f"{text}{gap}\naccepted:\n{lines}"
    key, value = node
    if not isinstance(value, yaml.SequenceNode) or value.flow_style or not value.value:
        return _replaced_flow(text, key, value, entries)
    indent = " " * (value.start_mark.column)
    # The mark of a block's end lies behind comments and empty lines; the last entry's does not.
    end = _line_end(text, _last_index(value.value[-1]))
    head, tail = text[:end], text[end:]
    gap = "" if head.endswith("\n") else "\n"
    lines = "".join(f"{indent}{line}\n" for entry in entries for line in entry)
    return f"{head}{gap}{lines}{tail}"


def _each_once(commands: Sequence[Waiting]) -> list[Waiting]:
    """Return one of the commands that are the same wherever they stand."""
    return list({command.digest: command for command in reversed(commands)}.values())[::-1]


def _entry(command: Waiting, by: str, at: datetime) -> list[str]:
    shown = command.command.split("\n")[0]
    return [
        f"- digest: {_quoted(command.digest)}",
        f"  by: {scalar(by)}",
        f"  at: {_quoted(at.isoformat(timespec='seconds'))}",
        f"  command: {scalar(shown)}",
    ]


def _quoted(text: str) -> str:
    return f'"{text}"'


def _accepted_node(text: str) -> tuple[yaml.Node, yaml.Node] | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    return next(((key, value) for key, value in root.value if key.value == "accepted"), None)


def _replaced_flow(text: str, key: yaml.Node, value: yaml.Node, entries: list[list[str]]) -> str:
    """Return the text with an empty or one-line list written as a block, the old entries first."""
    old = yaml.safe_load(text)["accepted"] or []
    lines = [line for item in old for line in _as_block(item)]
    lines += [line for entry in entries for line in entry]
    begin, end = key.end_mark.index, value.end_mark.index
    block = "".join(f"\n  {line}" for line in lines)
    return f"{text[:begin]}:{block}{text[end:]}"


def _as_block(item: dict[str, object]) -> list[str]:
    made = [f"{key}: {_quoted(str(value)) if key != 'by' else scalar(value)}"
            for key, value in item.items()]  # fmt: skip
    return [f"{'- ' if n == 0 else '  '}{line}" for n, line in enumerate(made)]


def _last_index(node: yaml.Node) -> int:
    """Return where the last thing written in a node ends."""
    if isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
        return _last_index(node.value[-1][1])
    return int(node.end_mark.index)


def _line_end(text: str, index: int) -> int:
    found = text.find("\n", index)
    return len(text) if found < 0 else found + 1


def write_accepted(
    loaded: LoadedPlan, commands: Sequence[Waiting], by: str, at: datetime
) -> LoadedPlan:
    """Write the word into the plan's file, durably, and return the plan as it is now.

    IntegrityError, and the file untouched, if it changed meanwhile or would not be the same plan.
    """
    path = loaded.path
    if path.read_bytes() != loaded.text.encode():
        raise IntegrityError(
            f"{path} has changed since it was read", hint="Run `processpilot plan accept` again."
        )
    text = accepted_text(loaded.text, commands, by, at)
    _same_but_accepted(loaded, text, commands)
    _replace(path, text)
    return parse_plan(text, path)


def _same_but_accepted(loaded: LoadedPlan, text: str, commands: Sequence[Waiting]) -> None:
    why = None
    try:
        new = parse_plan(text, loaded.path).plan
    except PlanError as error:
        why = error.message
    else:
        before = loaded.plan.model_copy(update={"accepted": ()})
        digests = {a.digest for a in new.accepted}
        same = new.model_copy(update={"accepted": ()}) == before
        if not same or not {c.digest for c in commands} <= digests:
            why = "it would not be the same plan"
    if why is not None:
        raise IntegrityError(
            f"cannot add to {loaded.path}: {why}",
            hint="Write `accepted:` as a list at the end of the file and run it again.",
        )


def _replace(path: Path, text: str) -> None:
    """Put a file with that text in the old one's place, with its mode."""
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), target.stat().st_mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

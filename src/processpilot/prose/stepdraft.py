"""Steps in the making: what each does, what it was read from, how it is written into the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from processpilot.prose.draft import Claim, Fate, Fields, Many, Remark, Tone, fields
from processpilot.prose.shell import Command
from processpilot.prose.spans import duration_text
from processpilot.prose.words import bare, shortened, slug, unique

GROUP: Mapping[str, object] = {"action": "sequence"}


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step or a group. `settings` are the plan's other keys; `condition` says when it is needed.

    `command` is what it was read from; `name` is what its id is made of, else the title is.
    """

    title: str
    act: Mapping[str, object]
    steps: tuple[StepDraft, ...] = ()
    claims: tuple[Claim, ...] = ()
    remarks: tuple[Remark, ...] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    timebox_s: float | None = None
    condition: str = ""
    name: str = ""
    command: Command | None = None
    notes: tuple[str, ...] = ()

    @property
    def action(self) -> str:
        """Its action's name."""
        return str(self.act["action"])

    @property
    def is_group(self) -> bool:
        """Whether it holds steps of its own."""
        return self.action == "sequence"

    def having(self, **settings: object) -> StepDraft:
        """Return it with these settings; None takes one away."""
        return replace(self, settings={**self.settings, **settings})

    def remarked(self, tone: Tone, text: str) -> StepDraft:
        """Return it with one more remark."""
        return replace(self, remarks=(*self.remarks, Remark(tone, text)))


def command_step(command: Command, file: str) -> StepDraft:
    """Return a command as a step that waits for a person's word."""
    act: dict[str, object] = {"action": "command", "argv": list(command.argv)}
    if command.env:
        act["env"] = dict(command.env)
    if command.folder:
        act["folder"] = command.folder
    claims = [
        Claim(n, Fate.UNDERSTOOD, "a command; it waits until it is accepted") for n in command.lines
    ]
    claims += [Claim(n, Fate.UNDERSTOOD, f"a command's {w}") for n, w in command.from_lines]
    remarks = [Remark(Tone.NOTE, text) for text in command.remarks]
    if holes := command.placeholders:
        words = ", ".join(holes)
        remarks.append(Remark(Tone.FILL_IN, f"{words} stands for something only you know"))
    title = bare(command.title) if command.title else command.text.split("\n")[0]
    return StepDraft(
        shortened(title), act, claims=tuple(claims), remarks=tuple(remarks), command=command,
        settings={"origin": f"{file}:{command.lines[0]}"},
    )  # fmt: skip


def manual_step(text: str, lines: Sequence[int], why: str = "") -> StepDraft:
    """Return something that people do and confirm."""
    became = "a manual step" + (f": {why}" if why else "")
    claims = tuple(Claim(n, Fate.MANUAL, became) for n in lines)
    title = shortened(bare(text.split("\n")[0])) or "Do what the runbook says"
    return StepDraft(title, {"action": "manual", "instruction": text}, claims=claims)


def every_draft(steps: Sequence[StepDraft]) -> Iterator[StepDraft]:
    """Yield steps and groups, each group before what is in it."""
    for step in steps:
        yield step
        yield from every_draft(step.steps)


def changed(
    steps: Sequence[StepDraft], change: Callable[[StepDraft], StepDraft]
) -> tuple[StepDraft, ...]:
    """Return all steps changed, those inside a group before the group."""
    return tuple(change(replace(step, steps=changed(step.steps, change))) for step in steps)


def step_nodes(steps: Sequence[StepDraft], taken: set[str]) -> Many:
    """Return the steps as the plan has them; ids are unique among `taken`, which grows."""
    return Many(tuple(_node(step, taken) for step in steps))


_ORDER = (
    "timebox", "role", "approval", "retries", "only_if", "on_failure", "reason", "brings_up",
    "note", "origin",
)  # fmt: skip


def _node(step: StepDraft, taken: set[str]) -> Fields:
    identifier = unique(slug(step.name or step.title, "step"), taken)
    values: dict[str, object] = {"id": identifier, "title": step.title or "Step", **step.act}
    settings = dict(step.settings)
    if step.timebox_s:
        settings["timebox"] = duration_text(step.timebox_s)
    if notes := ". ".join(dict.fromkeys(text.rstrip(". ") for text in step.notes if text)):
        settings["note"] = notes
    if step.is_group:
        for key in ("approval", "only_if", "on_failure", "reason", "retries"):
            settings.pop(key, None)
    values |= {key: settings[key] for key in _ORDER if settings.get(key) is not None}
    made = fields(values, step.claims, step.remarks)
    if step.is_group:
        inner = step_nodes(step.steps, taken)
        made = replace(made, entries=(*made.entries, ("steps", inner)))
    return made

"""Steps as people write them: numbered lists, bold lines, headings, checklists, tables, shell.

Reads only; what a command is mapped to and what a group brings up is decided later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from processpilot.prose.commands import (
    Reading,
    code_steps,
    commanded,
    inline_commands,
    is_command,
)
from processpilot.prose.draft import Claim, Fate, understood
from processpilot.prose.outline import (
    Block,
    Code,
    Item,
    Items,
    Line,
    Paragraph,
    Row,
    Section,
    Table,
)
from processpilot.prose.shell import Command, split_line
from processpilot.prose.spans import Window, find_window, split_window
from processpilot.prose.stepdraft import GROUP, StepDraft, manual_step
from processpilot.prose.tables import column
from processpilot.prose.words import bare, shortened, without_secrets

_CONDITION = re.compile(
    r"[(\[]\s*((?:only )?(?:if|when|unless|falls|wenn|nur wenn)\b[^()\[\]]*|optional)[)\]]|"
    r"^((?:only )?(?:if|falls)\s[^,:]{3,80})[,:]\s*(?=\S)|^(if (?:necessary|needed|required))\b",
    re.IGNORECASE,
)
_WAY_BACK = re.compile(r"^(?:roll ?back|back ?out|abort|undo|fallback|fall back)\b", re.IGNORECASE)
_FACT = re.compile(
    r"^(owner|responsible|who|role|assigned to|verantwortlich|zuständig|duration|time|"
    r"time ?box|estimated (?:time|duration)|expected (?:time|duration)|dauer|zeit|"
    r"expected(?: (?:result|output|outcome))?|erwartet(?:es ergebnis)?|note|hinweis|warning|"
    r"achtung|caution)\s*:\s*(.+)$",
    re.IGNORECASE,
)
_WHO = re.compile(r"^(?:owner|responsible|who|role|assigned|verantw|zust)", re.IGNORECASE)
_HOW_LONG = re.compile(
    r"^(?:duration|time|estimated|expected (?:time|dur)|dauer|zeit)", re.IGNORECASE
)


@dataclass
class _Body:
    """What a group's blocks say: its steps, and facts of the group itself."""

    steps: list[StepDraft] = field(default_factory=list)
    notes: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    role: str | None = None
    timebox_s: float | None = None


def read_steps(section: Section, reading: Reading) -> tuple[StepDraft, ...]:
    """Return the steps of a section and of those under it, without a group for itself.

    Text that is neither goes as a note to the step after it; where there is no step at all, it is
    one for people.
    """
    body = _body(section.blocks, reading)
    steps = [*body.steps, *(section_step(inner, reading) for inner in section.sections)]
    if not steps:
        return tuple(manual_step(text, lines) for text, lines in body.notes)
    for text, lines in body.notes:
        claims = (*steps[0].claims, *understood("a note", *lines))
        steps[0] = replace(steps[0], notes=(*steps[0].notes, text), claims=claims)
    steps[0] = _with_facts(steps[0], body)
    return tuple(steps)


def section_step(section: Section, reading: Reading) -> StepDraft:
    """Return a section as a group; as one manual step where it only has text."""
    assert section.title is not None
    title, timebox, condition = _title(section.heading, reading)
    if _WAY_BACK.match(bare(title)) and not condition:
        condition = "if what was done has to be taken back"
    body = _body(section.blocks, reading)
    steps = [*body.steps, *(section_step(inner, reading) for inner in section.sections)]
    number = section.title.number
    if not steps:
        text = "\n".join(note for note, _ in body.notes)
        lines = (number, *(n for _, ns in body.notes for n in ns))
        whole = f"{bare(title)}: {text}" if text else bare(title)
        step = replace(manual_step(whole, lines), title=shortened(bare(title)))
    else:
        claims = understood("a group of steps", number)
        step = StepDraft(shortened(bare(title)), GROUP, tuple(steps), claims)
        for text, lines in body.notes:
            noted = (*step.claims, *understood("a note", *lines))
            step = replace(step, notes=(*step.notes, text), claims=noted)
    return replace(_with_facts(step, body, timebox), condition=condition)


def _with_facts(step: StepDraft, body: _Body, timebox_s: float | None = None) -> StepDraft:
    if body.role and "role" not in step.settings:
        step = step.having(role=body.role)
    found = timebox_s or body.timebox_s or step.timebox_s
    return replace(step, timebox_s=found, claims=(*step.claims, *body.claims))


def _title(text: str, reading: Reading) -> tuple[str, float | None, str]:
    """Return a title without window and condition, its time box, and the condition."""
    title, window = split_window(text)
    condition = ""
    if found := _CONDITION.search(title):
        condition = next(words for words in found.groups() if words)
        if not title[: found.start()].strip() and not title[found.end() :].strip():
            return title, timebox_of(window, reading), condition
        title = f"{title[: found.start()].rstrip()} {title[found.end() :].lstrip()}".strip()
    return title, timebox_of(window, reading), condition


def timebox_of(window: Window | None, reading: Reading) -> float | None:
    """Return how long a step has, by its window; windows from the incident on by difference.

    "3-5 min" is such a window only if something ends or begins at 3 min; else it says how long.
    """
    if window is None or window.end_s is None:
        return None
    if window.relative and window.begin_s in reading.moments_s:
        reading.moments_s.add(window.end_s)
        return window.length_s
    return window.end_s or None


def _body(blocks: Sequence[Block], reading: Reading) -> _Body:
    body = _Body()
    for block in blocks:
        match block:
            case Paragraph():
                _read_paragraph(block, body, reading)
            case Code():
                body.steps += code_steps(block, reading)
            case Items():
                for item in block.items:
                    _read_item(item, body, reading)
            case Table():
                body.steps += _table_steps(block, reading)
    return body


def _read_paragraph(block: Paragraph, body: _Body, reading: Reading) -> None:
    texts: list[Line] = []
    for line in block.lines:
        if _take_fact(line, body, reading):
            continue
        commands = inline_commands(line)
        if commands:
            body.steps += commanded(line.text, line, commands, reading)
        else:
            texts.append(line)
    if texts:
        words = without_secrets(" ".join(line.text for line in texts))
        body.notes.append((words, tuple(line.number for line in texts)))


def _take_fact(line: Line, body: _Body, reading: Reading) -> bool:
    """Take over who does it and how long it may take; says whether the line said that."""
    found = _FACT.match(line.text)
    if found is None:
        return False
    key, value = found[1], found[2]
    if _WHO.match(key) and (role := reading.known.role(value)):
        body.role = role
        body.claims += understood(f"the role {role}", line.number)
        return True
    window = find_window(value)
    if _HOW_LONG.match(key) and window is not None:
        body.timebox_s = timebox_of(window, reading)
        body.claims += understood("the time box", line.number)
        return True
    body.notes.append((without_secrets(line.text), (line.number,)))
    return True


def _read_item(item: Item, body: _Body, reading: Reading) -> None:
    """Add what one entry of a list is: a group, commands, or something for people."""
    if not item.blocks and len(item.lines) == 1 and _take_fact(item.head, body, reading):
        return
    title, timebox, condition = _title(item.text, reading)
    lines = tuple(line.number for line in item.lines if line.raw)
    own = [c for line in item.lines for c in inline_commands(line)]
    inner = _body(item.blocks, reading)
    if inner.steps:
        first = commanded(title, item.head, own, reading) if own else []
        group = StepDraft(
            shortened(bare(title)) or "Steps", GROUP, (*first, *inner.steps),
            understood("a group of steps", *lines), condition=condition,
        )  # fmt: skip
        for text, numbers in inner.notes:
            noted = (*group.claims, *understood("a note", *numbers))
            group = replace(group, notes=(*group.notes, text), claims=noted)
        body.steps.append(_with_facts(group, inner, timebox))
        return
    if own:
        steps = commanded(title, item.head, own, reading)
        extra = understood("a command's title", *lines[1:])
        steps[0] = replace(steps[0], claims=(*steps[0].claims, *extra))
    else:
        steps = [manual_step(without_secrets(title), lines)]
    for text, numbers in inner.notes:
        told = steps[-1].claims[0].fate if steps[-1].claims else Fate.UNDERSTOOD
        noted = (*steps[-1].claims, *(Claim(n, told, "a note") for n in numbers))
        steps[-1] = replace(steps[-1], notes=(*steps[-1].notes, text), claims=noted)
    steps = [replace(s, condition=condition) for s in steps]
    steps[-1] = _with_facts(steps[-1], inner, timebox)
    body.steps += steps


def _table_steps(table: Table, reading: Reading) -> list[StepDraft]:
    """Return the rows of a table as steps: what, who, how long, with which command."""
    head = table.head.cells
    what = column(head, "what")
    steps = [_row_step(row, head, what if what is not None else 0, reading) for row in table.rows]
    claims = understood("the head of a table of steps", table.head.number, table.rule)
    if not steps:
        return [manual_step(" / ".join(head), (table.head.number, table.rule))]
    steps[0] = replace(steps[0], claims=(*steps[0].claims, *claims))
    return steps


def _row_step(row: Row, head: Sequence[str], what: int, reading: Reading) -> StepDraft:
    def cell(name: str) -> str:
        found = column(head, name)
        return row.cells[found] if found is not None and found < len(row.cells) else ""

    def raw(name: str) -> str:
        found = column(head, name)
        return row.raw[found] if found is not None and found < len(row.raw) else ""

    told = row.cells[what] if what < len(row.cells) else ""
    told = told or " / ".join(c for c in row.cells if c) or "A step without words"
    title, timebox, condition = _title(told, reading)
    timebox = timebox_of(find_window(cell("when")), reading) or timebox
    texts = [raw("command").strip("` ")] if cell("command") else []
    texts = [t for t in texts if is_command(t)] or [
        c for r in row.raw for c in Line(row.number, r).codes if is_command(c)
    ]
    parts = [split_line(text, row.number) for text in texts]
    commands = [part for part in parts if isinstance(part, Command)]
    line = Line(row.number, title)
    if len(commands) > 1:
        inner = tuple(commanded(title, line, commands, reading))
        step = StepDraft(shortened(bare(title)), GROUP, inner)
    elif commands:
        step = commanded(title, line, commands, reading)[0]
    else:
        step = manual_step(without_secrets(title), (row.number,))
    note = cell("note")
    step = replace(step, timebox_s=timebox, condition=condition, notes=(note,) * bool(note))
    role = reading.known.role(cell("who")) if cell("who") else None
    return step.having(role=role) if role else step

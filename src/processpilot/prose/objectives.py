"""Components with their objectives, and what each priority means: from tables, lists and prose."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processpilot.plan.component import Priority
from processpilot.prose.draft import Claim, Leaf, Remark, Tone, understood
from processpilot.prose.outline import Block, Item, Items, Line, Paragraph, Row, Section, Table
from processpilot.prose.spans import find_duration
from processpilot.prose.tables import cell, columns
from processpilot.prose.words import bare

_PRIORITIES = (
    (Priority.CRITICAL, r"critical|kritisch|mission|sehr hoch|highest|urgent|"
                        r"\b(?:tier|p|prio|sev|class)[ -]?[01]\b|^[01]$"),
    (Priority.HIGH, r"\bhigh\b|\bhoch\b|major|\b(?:tier|p|prio|sev|class)[ -]?2\b|^2$"),
    (Priority.MEDIUM, r"medium|moderate|mittel|normal|\b(?:tier|p|prio|sev|class)[ -]?3\b|^3$"),
    (Priority.LOW, r"\blow\b|niedrig|gering|minor|\b(?:tier|p|prio|sev|class)[ -]?[45]\b|^[45]$"),
)  # fmt: skip
_RTO = re.compile(r"\bRTO\b((?:(?!\bRPO\b)[^|;,])*)", re.IGNORECASE)
_RPO = re.compile(r"\bRPO\b((?:(?!\bRTO\b)[^|;,])*)", re.IGNORECASE)
_DOWNTIME = re.compile(r"(?:max\w*\.? downtime|recovery time)\W+(.*)", re.IGNORECASE)
_LOSS = re.compile(r"(?:max\w*\.? data loss|recovery point)\W+(.*)", re.IGNORECASE)
_RANGE = re.compile(r"[0-9]\s*(?:[a-z]*\.?\s*)(?:-|–|to)\s*[0-9]", re.IGNORECASE)


@dataclass
class ComponentDraft:
    """A component as the document tells of it, in one place or several."""

    title: str
    rto_s: float | None = None
    rpo_s: float | None = None
    priority: Priority | None = None
    needs: tuple[str, ...] = ()
    claims: list[Claim] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


class Objectives:
    """The components found so far, by title, in the document's order."""

    def __init__(self) -> None:
        self.found: dict[str, ComponentDraft] = {}
        self.impact: dict[Priority, Leaf] = {}
        self.loose: list[tuple[float | None, float | None, int]] = []

    def component(self, title: str) -> ComponentDraft:
        """Return the component of that title; a new one if there is none yet."""
        name = bare(title)
        return self.found.setdefault(name.casefold(), ComponentDraft(name))

    def read_table(self, table: Table) -> Sequence[Claim]:
        """Take over a table of objectives; returns claims for its head; nothing if it is none."""
        known = columns(table.head.cells, ("rto", "rpo", "component", "priority", "needs"))
        if not {"rto", "rpo"} & set(known):
            return ()
        if "component" not in known:
            free = [n for n in range(len(table.head.cells)) if n not in known.values()]
            if not free:
                return ()
            known["component"] = free[0]
        for row in table.rows:
            self._row(row, known)
        return understood("the head of a table of objectives", table.head.number, table.rule)

    def _row(self, row: Row, known: dict[str, int]) -> None:
        title = cell(row.cells, known, "component")
        if not bare(title):
            return
        part = self.component(title)
        texts = {name: cell(row.cells, known, name) for name in ("rto", "rpo")}
        part.rto_s = _kept(find_duration(texts["rto"]), part.rto_s)
        part.rpo_s = _kept(find_duration(texts["rpo"]), part.rpo_s)
        for name, text in texts.items():
            if _RANGE.search(text):
                part.remarks.append(
                    Remark(Tone.ASSUMED, f'{name} "{text}" is a range; its end counts')
                )
        part.priority = priority_of(cell(row.cells, known, "priority")) or part.priority
        needs = cell(row.cells, known, "needs")
        part.needs = tuple(
            w.strip() for w in re.split(r"[,;/&]|\band\b|\bund\b", needs) if w.strip()
        )
        part.claims += understood(f"the component {part.title}", row.number)

    def read_prose(self, section: Section, about: str) -> None:
        """Take over objectives that stand in lists and sentences; `about` is what they are for."""
        for name, line in _told(section.blocks, about):
            self.read_line(line, name)
        for block in section.blocks:
            for item in block.items if isinstance(block, Items) else ():
                part = self.found.get(bare(item.head.lead or item.text).casefold())
                if item.blocks and part is not None:
                    part.claims += understood(f"the component {part.title}", item.head.number)

    def read_line(self, line: Line, about: str) -> bool:
        """Take over objectives of one line; says whether there are any."""
        found = objectives_in(line.text)
        if found is None:
            return False
        rto_s, rpo_s, begin = found
        own = bare(re.split(r"[:–—|(]| - |\bwith\b|\bmust\b|\bhas\b", line.text[:begin])[0])
        own = re.sub(r"^(?:target|our|the|objectives?)\b\s*", "", own, flags=re.IGNORECASE).strip()
        title = own if re.search(r"[^\W\d_]{2}", own) else about
        if not title:
            self.loose.append((rto_s, rpo_s, line.number))
            return True
        part = self.component(title)
        part.rto_s, part.rpo_s = _kept(rto_s, part.rto_s), _kept(rpo_s, part.rpo_s)
        rest = line.text[begin:]
        part.priority = (
            part.priority
            or priority_of(_unnumbered(rest))
            or priority_of(_unnumbered(line.text[:begin]))
        )
        part.claims += understood(f"objectives of {part.title}", line.number)
        return True

    def read_impact(self, blocks: Sequence[Block]) -> Sequence[Claim]:
        """Take over what each priority means; returns claims for a table's head."""
        heads: list[Claim] = []
        for block in blocks:
            match block:
                case Items(items):
                    for item in items:
                        self._impact_line(item)
                case Table(head, rows, rule):
                    heads += understood("the head of a table of priorities", head.number, rule)
                    for row in rows:
                        self._impact_row(row)
        return heads

    def _impact_line(self, item: Item) -> None:
        name, _, text = item.text.partition(":")
        if item.head.lead:
            name, text = item.head.lead, item.head.rest
            text = " ".join([text, *(line.text for line in item.lines[1:])]).strip()
        priority = priority_of(name)
        if priority is not None and text.strip() and priority not in self.impact:
            lines = (line.number for line in item.lines)
            claims = understood(f"what {priority} means", *lines)
            self.impact[priority] = Leaf(text.strip(), claims)

    def _impact_row(self, row: Row) -> None:
        filled = [text for text in row.cells if text]
        priority = priority_of(filled[0]) if len(filled) > 1 else None
        if priority is not None and priority not in self.impact:
            claims = understood(f"what {priority} means", row.number)
            self.impact[priority] = Leaf(". ".join(filled[1:]), claims)


def objectives_in(text: str) -> tuple[float | None, float | None, int] | None:
    """Return RTO and RPO that a line names, in seconds, and where it begins to speak of them."""
    values: list[float | None] = []
    begins: list[int] = []
    for patterns in ((_RTO, _DOWNTIME), (_RPO, _LOSS)):
        value = None
        for pattern in patterns:
            found = pattern.search(text)
            if found and value is None:
                value = find_duration(found[1])
                if value is not None:
                    begins.append(found.start())
        values.append(value)
    return (values[0], values[1], min(begins)) if begins else None


def priority_of(text: str) -> Priority | None:
    """Return the priority that a text names: critical, P1, Tier 2, hoch."""
    words = text.strip()
    for priority, pattern in _PRIORITIES:
        if re.search(pattern, words, re.IGNORECASE):
            return priority
    return None


def _unnumbered(text: str) -> str:
    """Return a text of which a bare number says nothing about priority."""
    return text if not text.strip().isdigit() else ""


def _kept(new: float | None, old: float | None) -> float | None:
    return old if new is None else new


def _told(blocks: Sequence[Block], about: str) -> Iterator[tuple[str, Line]]:
    """Yield the lines of blocks, each with the component that is spoken of there."""
    for block in blocks:
        match block:
            case Paragraph(lines):
                yield from ((about, line) for line in lines)
            case Items(items):
                for item in items:
                    yield from ((about, line) for line in item.lines)
                    if item.blocks:
                        yield from _told(item.blocks, bare(item.head.lead or item.text))

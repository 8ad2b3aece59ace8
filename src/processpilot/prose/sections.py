"""The sections of a document, each given to the reader of its topic.

What refers to components and roles waits in `Found` until all of these are known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from processpilot.prose.draft import Claim, understood
from processpilot.prose.objectives import Objectives
from processpilot.prose.outline import (
    Block,
    Code,
    Items,
    Line,
    Outline,
    Paragraph,
    Section,
    Table,
)
from processpilot.prose.outside import (
    Outside,
    every,
    ticked_lines,
)
from processpilot.prose.people import People, level_lines
from processpilot.prose.shell import SHELLS
from processpilot.prose.spans import find_window
from processpilot.prose.tables import columns
from processpilot.prose.topics import Topic, topic_of
from processpilot.prose.words import bare


@dataclass
class Found:
    """Everything the first pass found; sections that refer to it wait here for the second."""

    title: str = ""
    objectives: Objectives = field(default_factory=Objectives)
    people: People = field(default_factory=People)
    outside: Outside = field(default_factory=Outside)
    levels: list[tuple[str, int]] = field(default_factory=list)
    scenarios: list[Section] = field(default_factory=list)
    providers: list[Section] = field(default_factory=list)
    procedures: list[Section] = field(default_factory=list)
    drills: list[tuple[Section, float | None]] = field(default_factory=list)
    checklist: list[Block] = field(default_factory=list)
    loose: list[Section] = field(default_factory=list)
    asides: list[Section] = field(default_factory=list)
    heads: dict[str, list[Claim]] = field(default_factory=dict)
    unused: list[Claim] = field(default_factory=list)

    def head(self, topic: Topic, claims: Sequence[Claim]) -> None:
        """Remember what frames a part of the plan: headings, heads of tables."""
        key = "team.roles" if topic is Topic.CONTACTS else topic.value
        self.heads.setdefault(key, []).extend(claims)


def find_parts(outline: Outline) -> Found:
    """Return what the document is made of."""
    found = Found()
    top = outline.root
    if len(top.sections) == 1 and top.sections[0].level <= 2 and not _is_scenario(top.sections[0]):
        top = top.sections[0]
        found.title = bare(top.heading)
        if top.title is not None:
            found.heads.setdefault("name", []).extend(
                understood("the document's title", top.title.number)
            )
    else:
        _title_of(found, top)
    blocks = (*outline.root.blocks, *top.blocks) if top is not outline.root else top.blocks
    _Sorter(found).blocks(blocks, Topic.NOTHING, "")
    for section in top.sections:
        _Sorter(found).section(section, Topic.NOTHING)
    _single_scenario(found, top)
    for name, contact, lines in found.people.settle_contacts():
        found.outside.add_vendor(name, contact, lines)
    return found


def _title_of(found: Found, root: Section) -> None:
    """Take the document's title from a short first line, or a first heading about nothing else."""
    first = root.blocks[0] if root.blocks else None
    if isinstance(first, Paragraph) and len(first.lines[0].text) <= 80:
        found.title = bare(first.lines[0].text)
        claims = understood("the document's title", first.lines[0].number)
        found.heads.setdefault("name", []).extend(claims)
    elif root.sections and topic_of(root.sections[0].heading) is Topic.NOTHING:
        found.title = bare(root.sections[0].heading)


def _is_scenario(section: Section) -> bool:
    """Say whether the only section of a document is itself the disaster."""
    return topic_of(section.heading) is Topic.SCENARIO and not section.sections


def _single_scenario(found: Found, top: Section) -> None:
    """Take the whole document as one scenario where symptoms and steps stand right under it."""
    if not found.loose:
        found.procedures += found.asides
        return
    inner = found.loose
    if found.scenarios:
        found.procedures += found.asides
    else:
        inner = sorted([*found.loose, *found.asides], key=_begin)
    title = top.title or inner[0].title
    found.scenarios.append(Section(title, 1, (), tuple(inner)))


def _begin(section: Section) -> int:
    return section.title.number if section.title else 0


_MAY_BE_STEPS = (Topic.NOTHING, Topic.STEPS, Topic.SYMPTOMS)


class _Sorter:
    """Gives sections and blocks to the readers of their topics."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def section(self, section: Section, above: Topic, every_s: float | None = None) -> None:
        found, topic = self._found, topic_of(section.heading, above)
        assert section.title is not None
        mark = understood(_SAYS.get(topic, "a heading"), section.title.number)
        match topic:
            case Topic.SCENARIO:
                found.scenarios.append(section)
                return
            case Topic.SYMPTOMS | Topic.STEPS:
                found.loose.append(section)
                return
            case Topic.PROVIDERS | Topic.PROCEDURES if topic is above or not section.sections:
                waiting = found.providers if topic is Topic.PROVIDERS else found.procedures
                waiting.append(section)
                return
            case Topic.DRILLS:
                self._drills(section, every(section.heading) or every_s)
                return
            case Topic.TEAM if above is Topic.TEAM and not section.sections:
                if found.people.read_section(section):
                    return
            case Topic.FOLLOW_UPS if found.outside.read_follow_up(section):
                for inner in section.sections:
                    self.section(inner, topic)
                return
            case Topic.NOTHING if self._is_procedure(section):
                plain = [s for s in section.sections if topic_of(s.heading) in _MAY_BE_STEPS]
                found.asides.append(replace(section, sections=tuple(plain)))
                for inner in section.sections:
                    if inner not in plain:
                        self.section(inner, topic)
                return
        if topic is not Topic.NOTHING:
            found.head(topic, mark)
        self.blocks(section.blocks, topic, bare(section.heading), section)
        for inner in section.sections:
            self.section(inner, topic, every_s)

    def _is_procedure(self, section: Section) -> bool:
        """Say whether a section about nothing known holds commands."""
        return any(isinstance(b, Code) and b.language in SHELLS for b in section.blocks) or any(
            isinstance(b, Items) and any(isinstance(c, Code) for i in b.items for c in i.blocks)
            for b in section.blocks
        )

    def _drills(self, section: Section, every_s: float | None) -> None:
        found = self._found
        assert section.title is not None
        inner = [s for s in section.sections if topic_of(s.heading, Topic.DRILLS) is Topic.DRILLS]
        others = [s for s in section.sections if s not in inner]
        lists = [b for b in section.blocks if isinstance(b, Items | Table)]
        if inner or others or (lists and all(_says_when(b) for b in lists)):
            found.head(Topic.DRILLS, understood("the drills", section.title.number))
            for block in section.blocks:
                if ticked_lines(block):
                    found.checklist.append(block)
                elif isinstance(block, Items | Table):
                    found.drills.append((Section(section.title, 0, (block,)), every_s))
            for deeper in (*inner, *others):
                self.section(deeper, Topic.DRILLS, every_s)
        else:
            found.drills.append((section, every_s))

    def blocks(
        self, blocks: Sequence[Block], topic: Topic, about: str, section: Section | None = None
    ) -> None:
        """Give each block to the reader of the topic; tables also by what their heads say."""
        found = self._found
        for block in blocks:
            if isinstance(block, Table) and (claims := found.objectives.read_table(block)):
                found.head(Topic.OBJECTIVES, claims)
            elif isinstance(block, Table) and _is_team(block) and topic is not Topic.VENDORS:
                found.head(Topic.TEAM, found.people.read_table(block))
            elif reader := self._reader(topic):
                found.head(topic, reader([block]))
            elif topic is Topic.ESCALATION:
                found.levels += level_lines(Section(None, 0, (block,)))
                if isinstance(block, Table):
                    head = (block.head.number, block.rule)
                    found.head(topic, understood("the head of a table of levels", *head))
            elif topic is Topic.CHECKLIST:
                self._checklist(block)
            elif topic is Topic.SCENARIOS:
                self._listed_scenarios(block)
            elif topic in (Topic.OBJECTIVES, Topic.NOTHING):
                name = about if topic is Topic.OBJECTIVES and _is_name(about) else ""
                found.objectives.read_prose(Section(None, 0, (block,)), name)
                if ticked_lines(block):
                    found.checklist.append(block)
        if topic is Topic.ESCALATION and section is not None and find_window(section.heading):
            self._level(section)

    def _level(self, section: Section) -> None:
        """Take a section whose heading has a window for one level of the escalation."""
        found = self._found
        assert section.title is not None
        words = [line.text for b in section.blocks for line in _lines_of(b)]
        found.levels = [level for level in found.levels if level[0] not in words]
        found.levels.append((": ".join([section.heading, *words]), section.title.number))
        found.head(Topic.ESCALATION, understood("an escalation level", *_numbers(section)))

    def _reader(self, topic: Topic) -> Callable[[Sequence[Block]], Sequence[Claim]] | None:
        found = self._found
        readers: dict[Topic, Callable[[Sequence[Block]], Sequence[Claim]]] = {
            Topic.IMPACT: found.objectives.read_impact,
            Topic.TEAM: found.people.read_blocks,
            Topic.CONTACTS: found.people.read_contacts,
            Topic.VENDORS: found.outside.read_vendors,
            Topic.SUPPORT: found.outside.read_support,
        }
        return readers.get(topic)

    def _checklist(self, block: Block) -> None:
        if isinstance(block, Items | Table):
            self._found.checklist.append(block)
            if isinstance(block, Table):
                head = (block.head.number, block.rule)
                self._found.head(Topic.CHECKLIST, understood("the head of a table", *head))

    def _listed_scenarios(self, block: Block) -> None:
        """Take each entry of a list that has entries of its own for a scenario."""
        if not isinstance(block, Items):
            return
        for item in block.items:
            if item.blocks:
                line = Line(item.head.number, item.head.lead or item.head.raw)
                rest = item.head.rest if item.head.lead else ""
                own = (Paragraph((Line(item.head.number, rest),)),) if rest else ()
                self._found.scenarios.append(Section(line, 3, (*own, *item.blocks)))


def _lines_of(block: Block) -> Sequence[Line]:
    match block:
        case Paragraph(lines):
            return lines
        case Items(items):
            return [line for item in items for line in item.lines]
    return ()


def _numbers(section: Section) -> Sequence[int]:
    return [line.number for block in section.blocks for line in _lines_of(block)]


_SAYS = {
    Topic.OBJECTIVES: "the objectives",
    Topic.IMPACT: "what priorities mean",
    Topic.TEAM: "the team",
    Topic.CONTACTS: "how people are reached",
    Topic.ESCALATION: "the escalation",
    Topic.SCENARIOS: "the scenarios",
    Topic.PROVIDERS: "the providers",
    Topic.PROCEDURES: "the procedures",
    Topic.CHECKLIST: "the checklist",
    Topic.FOLLOW_UPS: "the follow-ups",
    Topic.VENDORS: "the vendors",
    Topic.SUPPORT: "the support levels",
}


def _is_team(table: Table) -> bool:
    known = columns(table.head.cells, ("role", "secondary", "primary"))
    return "role" in known and "secondary" in known


def _is_name(about: str) -> bool:
    """Say whether a heading under the objectives names what they are of."""
    return topic_of(about) is Topic.NOTHING and len(about.split()) <= 4


def _says_when(block: Block) -> bool:
    match block:
        case Items(items):
            return all(every(item.text) for item in items) and bool(items)
        case Table(head):
            return "every" in columns(head.cells, ("every",))
    return False

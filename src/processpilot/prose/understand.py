"""The parts of the plan that refer to components and roles, read once these are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processpilot.prose.draft import Claim, Fields, Many, understood
from processpilot.prose.known import Known
from processpilot.prose.outline import Code, Items, Outline, Paragraph, Section, Table, block_lines
from processpilot.prose.outside import checklist_items, drill_line, drill_node, drill_words
from processpilot.prose.people import escalation
from processpilot.prose.procedures import procedure_node, provider_node
from processpilot.prose.scenarios import read_scenario, scenario_node
from processpilot.prose.sections import Found
from processpilot.prose.topics import Topic


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the plan that refer to components and roles."""

    scenarios: Many
    escalation: Many
    providers: Many
    procedures: Many
    drills: Many
    checklist: Many
    unused: tuple[Claim, ...]


def read_parts(found: Found, known: Known) -> Parts:
    """Return everything that had to wait until components and roles were known."""
    taken: set[str] = set()
    drafts = [read_scenario(section, known, taken) for section in found.scenarios]
    loose = [claim for draft in drafts for claim in draft.unused]
    rebuild = next((draft.id for draft in drafts if draft.rebuilds), None)
    scenarios = [scenario_node(draft, known, rebuild) for draft in drafts]
    providers, procedures = [], []
    names: set[str] = set()
    for section in found.providers:
        made, left = provider_node(section, known, names)
        providers.append(made)
        loose += left
    names = set()
    for section in found.procedures:
        made, left = procedure_node(section, known, rebuild, names)
        procedures.append(made)
        loose += left
    drills, left = _drill_nodes(found, known)
    return Parts(
        _headed(found, "scenarios", scenarios),
        Many(escalation(found.levels, known).items, _heads(found, "team.escalation")),
        _headed(found, "providers", providers),
        _headed(found, "procedures", procedures),
        _headed(found, "drills", drills),
        _headed(found, "checklist", list(checklist_items(found.checklist, known))),
        (*loose, *left),
    )


def _drill_nodes(found: Found, known: Known) -> tuple[list[Fields], list[Claim]]:
    drills: list[Fields] = []
    loose: list[Claim] = []
    taken: set[str] = set()
    for section, every_s in found.drills:
        if section.level:
            made, left = drill_node(section, every_s, known, taken)
            drills.append(made)
            loose += left
            continue
        for block in section.blocks:
            if isinstance(block, Table):
                head = (block.head.number, block.rule)
                found.head(Topic.DRILLS, understood("the head of a table of drills", *head))
                rows = [(drill_words(block, r), r.number) for r in block.rows]
            else:
                rows = (
                    [(i.text, i.head.number) for i in block.items]
                    if isinstance(block, Items)
                    else []
                )
            for text, number in rows:
                if drill := drill_line(text, number, every_s, taken):
                    drills.append(drill)
    return drills, loose


def _heads(found: Found, key: str) -> tuple[Claim, ...]:
    return tuple(found.heads.get(key, ()))


def _headed(found: Found, key: str, items: Sequence[Fields]) -> Many:
    return Many(tuple(items), _heads(found, key))


def leftover_reasons(outline: Outline) -> dict[int, str]:
    """Return, for every line that a block or heading stands on, why it may be of no use."""
    reasons: dict[int, str] = dict.fromkeys(outline.front, "front matter about the document itself")

    def visit(section: Section) -> None:
        if section.title is not None:
            reasons[section.title.number] = "a heading under which the plan keeps nothing"
        for block in section.blocks:
            why = _REASONS[type(block)]
            reasons.update(dict.fromkeys(block_lines(block), why))
        for inner in section.sections:
            visit(inner)

    visit(outline.root)
    return reasons


_REASONS: dict[type, str] = {
    Paragraph: "prose; the plan has no place for it",
    Items: "an entry of a list about nothing that the plan keeps",
    Table: "a table about nothing that the plan keeps",
    Code: "a block of code outside any step",
}

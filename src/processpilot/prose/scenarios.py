"""Scenarios: the section of a disaster as symptoms and steps, with a component and probes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from processpilot.prose.commands import Reading
from processpilot.prose.draft import (
    Claim,
    Fate,
    Fields,
    Many,
    Remark,
    Tone,
    fields,
    understood,
)
from processpilot.prose.inference import completed
from processpilot.prose.known import Known, Part
from processpilot.prose.mapping import Scene, mapped, restores_database, with_whole_releases
from processpilot.prose.outline import Block, Code, Items, Paragraph, Section, Table
from processpilot.prose.rebuild import arranged
from processpilot.prose.stepdraft import StepDraft, changed, every_draft, manual_step, step_nodes
from processpilot.prose.steps import read_steps
from processpilot.prose.topics import Topic, topic_of
from processpilot.prose.words import bare, slug, unique, without_secrets

_LATER = (
    (r"corrupt|integrity|point.in.time|accidental|deleted? (?:data|rows|table)|wrong data|"
     r"korrupt|beschädig|gelöscht|logical",
     "a restore to a point before the damage is not there yet; its commands stay commands"),
    (r"breach|security|intrusion|ransom|compromis|attack|angriff|hack|unauthori[sz]ed",
     "isolating systems and preserving evidence is not there yet; its commands stay commands"),
    (r"provider|region|datacent|data cent|\bcloud\b|availability zone|rechenzentrum",
     "moving to another place is not there yet; its commands stay commands"),
)  # fmt: skip
_SEEN = (
    (r"connect|verbindung|unreachable|refus|not (?:answer|respond)", "sql"),
    (r"health|endpoint|load balancer|50[0234]|gateway|not respond|unresponsive|erreichbar", "http"),
    (r"auth|log ?in|sign ?in|anmeld", "auth"),
)


@dataclass(frozen=True, slots=True)
class ScenarioDraft:
    """A scenario before its ids are settled: what is rebuilt has to be known first."""

    section: Section
    id: str
    title: str
    component: str
    guessed: bool
    rebuilds: bool
    symptoms: Many
    steps: tuple[StepDraft, ...]
    claims: tuple[Claim, ...]
    unused: tuple[Claim, ...]
    remarks: tuple[Remark, ...] = ()


def read_scenario(section: Section, known: Known, taken: set[str]) -> ScenarioDraft:
    """Return a section as a scenario; whatever in it is no symptom is a step or a step's note."""
    assert section.title is not None
    title = re.sub(r"^(?:if|when|falls|wenn)\s+", "", bare(section.heading), flags=re.IGNORECASE)
    symptoms, blocks, rest = _symptoms(section)
    reading = Reading(known)
    steps = read_steps(Section(section.title, section.level, blocks, rest), reading)
    steps, framing = _flattened(steps)
    part, guessed = _about(title, symptoms, known)
    later = tuple(
        Remark(Tone.LATER, text) for pattern, text in _LATER if re.search(pattern, title, re.I)
    )
    rebuilds = (
        part.id == known.database
        and not later
        and any(restores_database(step) for step in every_draft(steps))
    )
    claims = (*understood("a scenario", section.title.number), *framing)
    return ScenarioDraft(
        section, unique(slug(title, "scenario"), taken), title, part.id, guessed, rebuilds,
        Many(symptoms.items, symptoms.claims), steps, claims, tuple(reading.unused), later,
    )  # fmt: skip


def scenario_node(draft: ScenarioDraft, known: Known, rebuild: str | None) -> Fields:
    """Return the scenario as the plan has it; `rebuild` is the id of the one that rebuilds."""
    scene = Scene(known, draft.rebuilds, draft.component, None)
    steps = with_whole_releases(changed(draft.steps, lambda step: mapped(step, scene)))
    if draft.rebuilds and any(s.action == "restore" for s in every_draft(steps)):
        steps = arranged(steps, known.commander)
    steps = completed(steps, known, draft.component)
    remarks = list(draft.remarks)
    if draft.guessed:
        remarks.append(Remark(Tone.INFERRED, f"{draft.component} as the component concerned"))
    if not steps:
        steps = (manual_step("The document names no steps for this", ()),)
        remarks.append(Remark(Tone.FILL_IN, "the document names no steps"))
    symptoms, seen = with_probes(draft, known)
    remarks += seen
    values = {"id": draft.id, "title": draft.title, "component": draft.component,
              "symptoms": symptoms, "steps": step_nodes(steps, set())}  # fmt: skip
    return fields(values, draft.claims, remarks)


def _symptoms(section: Section) -> tuple[Many, tuple[Block, ...], tuple[Section, ...]]:
    """Return the symptoms, and the blocks and sections that are not about them."""
    found: list[Fields] = []
    claims: list[Claim] = []
    rest: list[Section] = []
    for inner in section.sections:
        if topic_of(inner.heading) is not Topic.SYMPTOMS or inner.title is None:
            rest.append(inner)
            continue
        claims += understood("the symptoms", inner.title.number)
        for block in [*inner.blocks, *(b for s in inner.sections for b in s.blocks)]:
            found += _symptom_lines(block, claims)
        for deeper in inner.sections:
            if deeper.title is not None:
                claims += understood("the symptoms", deeper.title.number)
    blocks: list[Block] = []
    for block in section.blocks:
        line = block.lines[0] if isinstance(block, Paragraph) else None
        label = re.match(r"(?:symptoms?|symptome?|anzeichen|trigger|alert|detection)\s*:\s*(.+)$",
                         line.text, re.IGNORECASE) if line else None  # fmt: skip
        if line and label and isinstance(block, Paragraph):
            lines = tuple(x.number for x in block.lines)
            words = " ".join([label[1], *(x.text for x in block.lines[1:])])
            texts = [t.strip() for t in re.split(r"\s*;\s*", words) if t.strip()]
            found += [_symptom(text, lines if n == 0 else ()) for n, text in enumerate(texts)]
        else:
            blocks.append(block)
    return Many(tuple(found), tuple(claims)), tuple(blocks), tuple(rest)


def _symptom(text: str, lines: Sequence[int]) -> Fields:
    return fields({"means": without_secrets(text)}, understood("a symptom", *lines))


def _symptom_lines(block: Block, claims: list[Claim]) -> list[Fields]:
    match block:
        case Items(items):
            found = []
            for item in items:
                lines = tuple(line.number for line in item.lines if line.raw)
                inner = [s for b in item.blocks for s in _symptom_lines(b, claims)]
                if item.text:
                    found.append(_symptom(item.text, lines))
                found += inner
            return found
        case Paragraph(lines):
            return [_symptom(line.text, (line.number,)) for line in lines if line.text]
        case Code():
            claims += understood("a part of the symptoms", *block.fences)
            return [_symptom(t.strip("- "), (n,)) for n, t in block.lines if t.strip("- ")]
        case Table(head, rows, rule):
            claims += understood("the head of a table of symptoms", head.number, rule)
            return [_symptom(": ".join(c for c in r.cells if c), (r.number,)) for r in rows]


def _flattened(
    steps: Sequence[StepDraft],
) -> tuple[tuple[StepDraft, ...], tuple[Claim, ...]]:
    """Return the steps without groups that only say "Recovery steps" and have no time box."""
    made: list[StepDraft] = []
    claims: list[Claim] = []
    for step in steps:
        plain = re.fullmatch(
            r"(?:recovery |response )?(?:steps?|procedure|actions?|vorgehen|schritte|maßnahmen)",
            step.title, re.IGNORECASE,
        )  # fmt: skip
        if step.is_group and plain and not step.timebox_s and not step.condition and not step.notes:
            made += step.steps
            claims += (_reworded(c, "the steps of the scenario") for c in step.claims)
        else:
            made.append(step)
    return tuple(made), tuple(claims)


def _reworded(claim: Claim, became: str) -> Claim:
    return Claim(claim.line, Fate.UNDERSTOOD, became)


def _about(title: str, symptoms: Many, known: Known) -> tuple[Part, bool]:
    """Return the component a scenario is about, and whether that is a guess."""
    found = known.named(title)
    if found is not None:
        return found, False
    data = re.search(r"\bdata\b|daten|disk|storage|replica", title, re.IGNORECASE)
    database = known.part(known.database or "")
    if data and database is not None:
        return database, False
    words = " ".join(str(v) for item in symptoms.items for v in [_means(item)])
    return known.named(words) or database or known.parts[0], True


def _means(item: object) -> str:
    leaf = item.value("means") if isinstance(item, Fields) else None
    return str(getattr(leaf, "value", ""))


def with_probes(draft: ScenarioDraft, known: Known) -> tuple[Many, list[Remark]]:
    """Return the symptoms, seen by probes of the base plan where their words fit one.

    The first probe of the component itself is required; for what stands before the database, the
    database is required to be well, so that the two do not look alike.
    """
    items = list(draft.symptoms.items) or [_symptom(draft.title, ())]
    part = known.part(draft.component)
    used: set[str] = set()
    if part is None or draft.remarks:
        return Many(tuple(items), draft.symptoms.claims), []
    for n, item in enumerate(items):
        probe = _seen_by(_means(item), part, known, used)
        if probe is not None and isinstance(item, Fields):
            used.add(probe)
            values: dict[str, object] = {"probe": probe}
            if probe.split(".")[0] == part.id and len(used) == 1:
                values["required"] = True
            tell = Remark(Tone.INFERRED, "the probe that sees it")
            more = fields({**values, "means": _means(item)})
            items[n] = replace(more, claims=item.claims, remarks=(tell,))
    if not used:
        return Many(tuple(items), draft.symptoms.claims), [
            Remark(Tone.NOTE, "no probe sees this: a person begins the run")
        ]
    database = known.part(known.database or "")
    if database is not None and part.id != database.id and database.probes:
        name = database.probes[0].name
        tell = Remark(Tone.ADDED, "tells it from a failure of the database")
        values = {"probe": name, "passes": True, "required": True,
                  "means": f"{database.title} itself answers"}  # fmt: skip
        items.append(fields(values, (), (tell,)))
    return Many(tuple(items), draft.symptoms.claims), []


def _seen_by(text: str, part: Part, known: Known, used: set[str]) -> str | None:
    others = [p for p in known.parts if p.id in known.needing(part.id)]
    for pattern, kind in _SEEN:
        if not re.search(pattern, text, re.IGNORECASE):
            continue
        if kind == "auth" and re.search(r"unauthori[sz]ed", text, re.IGNORECASE):
            continue
        for probe in (probe for p in (part, *others) for probe in p.probes):
            name = probe.name.split(".")[1]
            fits = {"sql": probe.kind in ("sql", "tcp"), "http": probe.kind == "http"
                    and "auth" not in name, "auth": "auth" in name or "login" in name}  # fmt: skip
            if fits[kind] and probe.name not in used:
                return probe.name
    return None

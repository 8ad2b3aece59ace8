"""What is kept for people: what to do at a provider, and procedures in short."""

from __future__ import annotations

import re
from collections.abc import Sequence

from processpilot.prose.commands import Reading
from processpilot.prose.draft import Claim, Fields, Remark, Tone, fields, understood
from processpilot.prose.inference import approved
from processpilot.prose.known import Known
from processpilot.prose.mapping import Scene, mapped
from processpilot.prose.outline import Section
from processpilot.prose.stepdraft import changed, step_nodes
from processpilot.prose.steps import read_steps
from processpilot.prose.words import bare, slug, unique

_LATER = re.compile(
    r"supabase|planetscale|neon|railway|heroku|aurora|\brds\b|cloud ?sql|azure|aiven|crunchy|"
    r"render|fly\.io|timescale",
    re.IGNORECASE,
)


def provider_node(
    section: Section, known: Known, taken: set[str]
) -> tuple[Fields, Sequence[Claim]]:
    """Return a section as a database provider, and claims of lines that were of no use."""
    title = re.sub(
        r"\s*\b(?:recovery|restore|procedures?|restoration|wiederherstellung)\b\s*$", "",
        bare(section.heading), flags=re.IGNORECASE,
    ).strip() or bare(section.heading)  # fmt: skip
    remarks = []
    if _LATER.search(title):
        text = f"recovery at {title} is not there yet: kept for people, not run"
        remarks.append(Remark(Tone.LATER, text))
    return _procedure(section, title, Scene(known), taken, remarks)


def procedure_node(
    section: Section, known: Known, rebuild: str | None, taken: set[str]
) -> tuple[Fields, Sequence[Claim]]:
    """Return a section as a procedure in short, and claims of lines that were of no use."""
    title = bare(section.heading)
    part = known.named(title)
    scene = Scene(known, about=part.id if part else None, rebuild=rebuild)
    return _procedure(section, title, scene, taken, [])


def _procedure(
    section: Section, title: str, scene: Scene, taken: set[str], remarks: Sequence[Remark]
) -> tuple[Fields, Sequence[Claim]]:
    reading = Reading(scene.known)
    steps = changed(read_steps(section, reading), lambda step: mapped(step, scene))
    steps = changed(steps, lambda step: approved(step, scene.known))
    claims = understood("a procedure", section.title.number) if section.title else ()
    values: dict[str, object] = {"id": unique(slug(title, "procedure"), taken), "title": title}
    if steps:
        values["steps"] = step_nodes(steps, set())
    return fields(values, claims, remarks), reading.unused

"""The whole plan: what the document says, what the base plan brings, what is to be filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

import yaml

from processpilot.plan.component import Priority
from processpilot.plan.load import LoadedPlan
from processpilot.prose.draft import (
    Claim,
    Fate,
    Fields,
    Leaf,
    Many,
    Node,
    Remark,
    Tone,
    fields,
    node,
    understood,
)
from processpilot.prose.known import Duty, Known, Part, assumed_needs, base_parts, canonical
from processpilot.prose.objectives import ComponentDraft
from processpilot.prose.outline import Outline
from processpilot.prose.people import RoleDraft
from processpilot.prose.sections import Found
from processpilot.prose.spans import duration_text
from processpilot.prose.understand import Parts
from processpilot.prose.words import slug, unique

Raw = Mapping[str, object]
_HOUR_S = 3600.0
_NO_PLACE = "a heading under which the plan keeps nothing"
# What the document cannot know; it is taken from the base plan as it stands there.
_FROM_BASE = ("state_dir", "autonomy", "database", "repository", "protection", "backup")
_SWITCHES_FROM_BASE = ("channels", "maintenance", "toggles")
_PROOFS_FROM_BASE = ("validation", "performance_factor", "ledger")


@dataclass(frozen=True, slots=True)
class Base:
    """An existing plan whose settings are taken over, as written and as understood."""

    loaded: LoadedPlan
    raw: Raw

    def component(self, identifier: str) -> Raw:
        """Return a component as it is written in the base; empty where there is none."""
        every = self.raw.get("components")
        for item in every if isinstance(every, list) else ():
            if isinstance(item, dict) and item.get("id") == identifier:
                return item
        return {}


def base_of(loaded: LoadedPlan) -> Base:
    """Return a loaded plan as a base."""
    return Base(loaded, yaml.safe_load(loaded.text))


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything else refers to: components and roles, as nodes and as what is known."""

    components: Many
    roles: Many
    known: Known


def settle(found: Found, base: Base | None, file: str) -> Ground:
    """Return components and roles with their ids."""
    brought = base_parts(base.loaded) if base else {}
    drafts = _all_drafts(found)
    ids = _identifiers(drafts, brought)
    parts = _parts(drafts, ids, brought)
    needs = _needs(drafts, ids, parts, brought)
    nodes = [
        _component(draft, part, needs, base) for draft, part in zip(drafts, parts, strict=True)
    ]
    known = [Part(p.id, p.title, needs.get(p.id, ()), p.probes, p.runs_as, p.has_service,
                  p.has_release) for p in parts]  # fmt: skip
    for identifier, part in brought.items():
        if base is not None and identifier not in ids:
            remark = Remark(Tone.NOTE, "from the base plan; the document does not name it")
            made = node(base.component(identifier))
            assert isinstance(made, Fields)
            nodes.append(Fields(made.entries, (), (remark,)))
            known.append(part)
    roles, duties = _roles(list(found.people.roles.values()))
    checks = tuple((c.name, c.kind) for c in base.loaded.plan.validation) if base else ()
    return Ground(
        Many(tuple(nodes), tuple(found.heads.get("components", ()))),
        Many(tuple(roles), tuple(found.heads.get("team.roles", ()))),
        Known(file, tuple(known), tuple(duties), checks),
    )


def _all_drafts(found: Found) -> list[ComponentDraft]:
    """Return the components; objectives without a name go to the only one, or to the database."""
    objectives = found.objectives
    for rto_s, rpo_s, number in objectives.loose:
        drafts = list(objectives.found.values())
        part = drafts[0] if len(drafts) == 1 else objectives.component("Database")
        if part.rto_s is None or part.rpo_s is None:
            part.rto_s = rto_s if part.rto_s is None else part.rto_s
            part.rpo_s = rpo_s if part.rpo_s is None else part.rpo_s
        part.claims += understood(f"objectives of {part.title}", number)
        remark = Remark(Tone.INFERRED, "the document does not say of what these are objectives")
        if remark not in part.remarks:
            part.remarks.append(remark)
    if not objectives.found:
        part = objectives.component("Database")
        part.remarks.append(Remark(Tone.ASSUMED, "the document names no component"))
    return list(objectives.found.values())


def _identifiers(drafts: Sequence[ComponentDraft], brought: Mapping[str, Part]) -> list[str]:
    taken: set[str] = set()
    titles = {part.title.casefold(): name for name, part in brought.items()}
    found = []
    for draft in drafts:
        name = titles.get(draft.title.casefold()) or canonical(draft.title)
        if name is None or name in taken:
            name = slug(draft.title, "component")
        found.append(unique(name, taken))
    return found


def _parts(
    drafts: Sequence[ComponentDraft], ids: Sequence[str], brought: Mapping[str, Part]
) -> list[Part]:
    parts = []
    for draft, name in zip(drafts, ids, strict=True):
        old = brought.get(name)
        if old is None:
            parts.append(Part(name, draft.title))
        else:
            parts.append(Part(name, draft.title, old.depends_on, old.probes, old.runs_as,
                              old.has_service, old.has_release))  # fmt: skip
    return parts


def _needs(
    drafts: Sequence[ComponentDraft],
    ids: Sequence[str],
    parts: Sequence[Part],
    brought: Mapping[str, Part],
) -> dict[str, tuple[str, ...]]:
    """Return what each component depends on: by the document, else the base, else assumed."""
    named = Known("", tuple(parts))
    assumed = assumed_needs(ids)
    there = {*ids, *brought}
    needs: dict[str, tuple[str, ...]] = {}
    for draft, part in zip(drafts, parts, strict=True):
        told = [other.id for text in draft.needs if (other := named.named(text))]
        if told:
            found: Sequence[str] = told
        elif part.id in brought:
            found = [name for name in part.depends_on if name in there]
        else:
            found = assumed.get(part.id, ())
        needs[part.id] = tuple(dict.fromkeys(name for name in found if name != part.id))
    graph = {**{name: part.depends_on for name, part in brought.items()}, **needs}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        needs = {name: assumed.get(name, ()) for name in needs} if not brought else {
            name: brought[name].depends_on if name in brought else () for name in needs
        }  # fmt: skip
    return needs


def _component(
    draft: ComponentDraft, part: Part, needs: Mapping[str, tuple[str, ...]], base: Base | None
) -> Fields:
    old = base.component(part.id) if base else {}
    values: dict[str, object] = {"id": part.id, "title": draft.title or part.id}
    values["priority"] = (
        draft.priority.value
        if draft.priority
        else _or(old.get("priority"), "high", "the document does not say how much depends on it")
    )
    for key, seconds, usual in (("rto", draft.rto_s, 4 * _HOUR_S), ("rpo", draft.rpo_s, _HOUR_S)):
        values[key] = (
            duration_text(seconds) if seconds is not None else _or(
                old.get(key), duration_text(usual), f"the document does not say the {key}"
            )
        )  # fmt: skip
    depends = needs.get(part.id, ())
    if depends:
        told = bool(draft.needs) or bool(old)
        remarks = () if told else (Remark(Tone.ASSUMED, "what it depends on"),)
        values["depends_on"] = Many(tuple(Leaf(name) for name in depends), (), remarks)
    for key in ("service", "release", "probes"):
        if key in old:
            values[key] = node(old[key])
    return fields(values, draft.claims, draft.remarks)


def _or(old: object, usual: object, why: str) -> Leaf:
    """Return the base's value, or a usual one with a remark."""
    if old is not None:
        made = node(old)
        return made if isinstance(made, Leaf) else Leaf(str(old))
    made = node(usual)
    assert isinstance(made, Leaf)
    return Leaf(made.value, (), (Remark(Tone.ASSUMED, why),))


def _roles(drafts: Sequence[RoleDraft]) -> tuple[list[Fields], list[Duty]]:
    taken: set[str] = set()
    nodes, duties = [], []
    for draft in drafts:
        identifier = unique(slug(draft.title, "role"), taken)
        values = {
            "id": identifier,
            "title": draft.title or "Role",
            "primary": draft.primary,
            "secondary": draft.secondary,
            "duties": tuple(draft.duties),
            "contact": draft.contact,
        }
        nodes.append(fields(values, draft.claims, draft.remarks))
        duties.append(Duty(identifier, draft.title))
    return nodes, duties


def whole_plan(
    found: Found, ground: Ground, parts: Parts, base: Base | None, outline: Outline
) -> Fields:
    """Return the plan's tree; keys in the order in which people read them."""
    entries: list[tuple[str, Node]] = [("version", Leaf(1)), ("name", _name(found, ground, base))]
    loose: list[Claim] = [*found.unused, *parts.unused]
    entries += _from_base(base, _FROM_BASE)
    if base is None:
        entries += _to_fill_in()
    entries.append(("components", ground.components))
    impact = found.objectives.impact
    meanings = Fields(
        tuple((p.value, impact[p]) for p in Priority if p in impact),
        tuple(found.heads.get("impact", ())),
    )
    _keep(entries, loose, "impact", meanings)
    team: list[tuple[str, Node]] = []
    _keep(team, loose, "roles", ground.roles)
    _keep(team, loose, "escalation", parts.escalation)
    _keep(entries, loose, "team", Fields(tuple(team)))
    entries += _from_base(base, _SWITCHES_FROM_BASE)
    _keep(entries, loose, "scenarios", parts.scenarios)
    entries += _from_base(base, _PROOFS_FROM_BASE)
    outside = found.outside
    for key, items in (
        ("checklist", parts.checklist),
        ("drills", parts.drills),
        ("vendors", _many(found, "vendors", outside.vendors)),
        ("support", _many(found, "support", outside.support)),
        ("providers", parts.providers),
        ("procedures", parts.procedures),
        ("follow_ups", _many(found, "follow_ups", outside.follow_ups)),
    ):
        _keep(entries, loose, key, items)
    entries += _from_base(base, ("accepted",))
    rules = understood("a line between parts of the document", *outline.rules)
    return Fields(tuple(entries), (*loose, *rules))


def _many(found: Found, key: str, items: Sequence[Fields]) -> Many:
    return Many(tuple(items), tuple(found.heads.get(key, ())))


def _keep(
    entries: list[tuple[str, Node]], loose: list[Claim], key: str, made: Many | Fields
) -> None:
    """Add a part that has something in it; the headings of an empty one were of no use."""
    if made.items if isinstance(made, Many) else made.entries:
        entries.append((key, made))
    else:
        loose += (Claim(claim.line, Fate.UNUSED, _NO_PLACE) for claim in made.claims)


def _from_base(base: Base | None, keys: Sequence[str]) -> list[tuple[str, Node]]:
    if base is None:
        return []
    return [(key, node(base.raw[key])) for key in keys if key in base.raw]


def _to_fill_in() -> list[tuple[str, Node]]:
    """Return what no document says, with places to fill in; the plan loads with them."""
    server = Remark(Tone.FILL_IN, "the server to protect, without a password: user, host, database")
    place = Remark(Tone.FILL_IN, "where backups go: a folder, or s3://bucket/prefix")
    key = Remark(Tone.FILL_IN, "the key that opens the repository; `processpilot init` makes one")
    dsn = Leaf("postgresql://postgres@localhost/FILL-IN", (), (server,))
    identity = Leaf("file:.processpilot/secrets/operator.key", (), (key,))
    return [
        ("database", Fields((("dsn", dsn),))),
        ("repository", Fields((("url", Leaf("FILL-IN", (), (place,))), ("identity", identity)))),
    ]


_DOCUMENT = re.compile(
    r"\b(?:disaster|recovery|runbooks?|plan|dr|drp|handbook|playbook|procedures?|manual|guide|"
    r"documentation|emergency|notfall(?:handbuch|plan)?|wiederherstellung(?:splan)?|the|for|of|"
    r"and|für|und|business continuity|ops|operations)\b",
    re.IGNORECASE,
)


def _name(found: Found, ground: Ground, base: Base | None) -> Leaf:
    claims = tuple(found.heads.get("name", ()))
    if base is not None:
        return Leaf(base.loaded.plan.name, claims)
    words = re.sub(r"\([^()]*\)", " ", re.split(r"\s/\s|:\s|\s[–—]\s", found.title)[0])
    words = " ".join(_DOCUMENT.sub(" ", words).split()).strip(" :–—-,&/\"'„“”‚‘’«»")
    name = words if re.search(r"\w", words) else found.title
    return Leaf(name or ground.known.file or "imported", claims)

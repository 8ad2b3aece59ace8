"""What became of the document, line by line: understood, mapped, manual or unused; nothing else.

Every line with something on it is in exactly one of the four; what the plan adds of itself, assumes
or leaves to be filled in is told beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from processpilot.prose.draft import Claim, Fate, Fields, Leaf, Many, Tone, placed
from processpilot.prose.source import Source
from processpilot.prose.words import mended, without_secrets

_RANK = (Fate.MAPPED, Fate.MANUAL, Fate.UNDERSTOOD, Fate.UNUSED)
_UNCLAIMED = "nothing in the plan holds it"


@dataclass(frozen=True, slots=True)
class LineFate:
    """One line: its number, its text as people read it, what became of it, and where."""

    line: int
    fate: Fate
    text: str
    became: str
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """A remark at a place of the plan."""

    tone: Tone
    place: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say about an import."""

    document: str
    encoding: str
    lines: tuple[LineFate, ...]
    told: tuple[Told, ...]
    found: Mapping[str, int]

    def of(self, fate: Fate) -> tuple[LineFate, ...]:
        """Return the lines that became that."""
        return tuple(line for line in self.lines if line.fate is fate)

    def remarks(self, tone: Tone) -> tuple[Told, ...]:
        """Return the remarks of that kind."""
        return tuple(told for told in self.told if told.tone is tone)


def make_report(source: Source, root: Fields, reasons: Mapping[int, str]) -> Report:
    """Return what became of each line of `source`; `reasons` say why a line had no use."""
    claims: dict[int, list[tuple[Claim, str]]] = {}
    told: list[Told] = []
    for place, part in placed(root):
        for claim in part.claims:
            claims.setdefault(claim.line, []).append((claim, place))
        told += (Told(remark.tone, place, remark.text) for remark in part.remarks)
    lines = tuple(
        _fate(n, text, claims.get(n, ()), reasons.get(n, _UNCLAIMED))
        for n, text in enumerate(source.lines, 1)
        if text.strip()
    )
    return Report(source.name, source.encoding, lines, tuple(told), counts(root))


def _fate(number: int, text: str, claims: Sequence[tuple[Claim, str]], reason: str) -> LineFate:
    shown = without_secrets(mended(text).strip()) or "(not printable)"
    if not claims:
        return LineFate(number, Fate.UNUSED, shown, reason, ())
    fate = min((claim.fate for claim, _ in claims), key=_RANK.index)
    chosen = [(claim, place) for claim, place in claims if claim.fate is fate]
    became = "; ".join(dict.fromkeys(claim.became for claim, _ in chosen))
    places = tuple(dict.fromkeys(place for _, place in claims if place))
    return LineFate(number, fate, shown, became, places)


_COUNTED = {
    "components": "components",
    "impact": "meanings of priorities",
    "team.roles": "roles",
    "team.escalation": "escalation levels",
    "scenarios": "scenarios",
    "checklist": "points of the checklist",
    "drills": "drills",
    "vendors": "vendors",
    "support": "support levels",
    "providers": "providers",
    "procedures": "procedures",
    "follow_ups": "lists of follow-ups",
}


def counts(root: Fields) -> dict[str, int]:
    """Return how much of everything the plan has; steps and commands of scenarios besides."""
    found = dict.fromkeys(_COUNTED.values(), 0)
    for place, part in placed(root):
        if place in _COUNTED:
            size = len(part.items) if isinstance(part, Many) else _size(part)
            found[_COUNTED[place]] = size
    acts = list(_actions(root.value("scenarios")))
    found["steps of scenarios"] = sum(act != "sequence" for act in acts)
    found["commands to accept"] = sum(
        act == "command" for key in ("scenarios", "drills") for act in _actions(root.value(key))
    )
    return found


def _size(part: object) -> int:
    return len(part.entries) if isinstance(part, Fields) else 0


def _actions(part: object) -> Iterator[str]:
    match part:
        case Fields(entries):
            for key, inner in entries:
                if key == "action" and isinstance(inner, Leaf):
                    yield str(inner.value)
                yield from _actions(inner)
        case Many(items):
            for inner in items:
                yield from _actions(inner)


def grouped(lines: Sequence[LineFate]) -> list[tuple[tuple[int, int], LineFate]]:
    """Return lines that follow each other and became the same as one: first and last number."""
    made: list[tuple[tuple[int, int], LineFate]] = []
    for line in lines:
        if made:
            (first, last), before = made[-1]
            same = (before.fate, before.became, before.places) == (
                line.fate, line.became, line.places
            )  # fmt: skip
            if same and line.line <= last + 2 and line.fate is not Fate.MAPPED:
                made[-1] = ((first, line.line), before)
                continue
        made.append(((line.line, line.line), line))
    return made

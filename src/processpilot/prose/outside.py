"""What lies outside the team: vendors, support levels, drills, the checklist, follow-ups."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from processpilot.prose.commands import Reading
from processpilot.prose.draft import Claim, Fields, Leaf, Many, Remark, Tone, fields, understood
from processpilot.prose.known import Known
from processpilot.prose.mapping import Scene, mapped
from processpilot.prose.objectives import priority_of
from processpilot.prose.outline import Block, Item, Items, Line, Paragraph, Row, Section, Table
from processpilot.prose.people import contact_of
from processpilot.prose.spans import duration_text, find_duration, split_window
from processpilot.prose.stepdraft import StepDraft, changed, step_nodes
from processpilot.prose.steps import read_steps
from processpilot.prose.tables import cell, columns
from processpilot.prose.words import bare, slug, unique

_DAY_S = 86400.0
_EVERY = (
    (r"\bdaily|täglich|every day", 1), (r"\bfortnight|bi-?weekly|every (?:two|2) weeks", 14),
    (r"\bweekly|wöchentlich|every week", 7), (r"\bquarterly|vierteljähr|quartals|every quarter|"
     r"every (?:three|3) months", 91), (r"semi-?annual|half-?yearly|twice a year|halbjähr|"
     r"every (?:six|6) months", 182), (r"\bmonthly|monatlich|every month|once a month", 30),
    (r"\bannual|yearly|jährlich|every year|once a year", 365),
)  # fmt: skip
# What a line of the checklist is proven by, where a built-in check or one of the plan's does it.
_PROOFS = (
    (r"backups?\b.*\b(?:resum|running|schedul|again|taken|work)|backup process|sicherung",
     ("backup",)),
    (r"monitor|alert|überwach", ("streaming", "heartbeat")),
    (r"performance|latency|response time|speed|antwortzeit", ("speed",)),
    (r"integrity|consisten|corrupt|row counts?|data (?:is |are )?(?:verified|complete)|daten",
     ("prove",)),
    (r"replica|streaming|archiv|\bwal\b", ("streaming",)),
)  # fmt: skip
_PROBED = (
    (r"database|\bdb\b|postgres|datenbank", ("connect", "ping", "up")),
    (r"auth|log ?in|sign ?in|anmeld", ("auth", "login")),
    (r"\bapi\b|endpoint|health", ("health", "api")),
    (r"front-?end|page|website|ui\b|seite", ("page", "frontend", "home")),
)


class Outside:
    """Vendors, support levels and follow-ups found so far."""

    def __init__(self) -> None:
        self.vendors: list[Fields] = []
        self.support: list[Fields] = []
        self.follow_ups: list[Fields] = []
        self._names: set[str] = set()

    def read_vendors(self, blocks: Sequence[Block]) -> Sequence[Claim]:
        """Take over vendors from lists and tables; returns claims for a table's head."""
        heads: list[Claim] = []
        for block in blocks:
            match block:
                case Items(items):
                    for item in items:
                        self._vendor_item(item)
                case Table(head, rows, rule):
                    known = columns(head.cells, ("vendor", "phone", "email", "chat", "contact"))
                    for row in rows:
                        title = cell(row.cells, {"vendor": known.get("vendor", 0)}, "vendor")
                        values: dict[str, object] = {
                            n: cell(row.cells, known, n) for n in ("phone", "email", "chat")
                        }
                        taken = {known.get("vendor", 0), *known.values()}
                        more = [c for n, c in enumerate(row.cells) if n not in taken and c]
                        loose = cell(row.cells, known, "contact")
                        self._vendor(title, values, [loose, *more], (row.number,))
                    heads += understood("the head of a table of vendors", head.number, rule)
        return heads

    def _vendor_item(self, item: Item) -> None:
        title = item.head.lead or re.split(r":|\s[–—-]\s", item.text)[0]
        rest = item.head.rest if item.head.lead else item.text[len(title) :].strip(" :–—-")
        more = [line.text for line in item.lines[1:]]
        lines = [line.number for line in item.lines if line.raw]
        for block in item.blocks:
            if isinstance(block, Items):
                more += [inner.text for inner in block.items]
                lines += [inner.head.number for inner in block.items]
        self._vendor(title, {}, [rest, *more], lines)

    def add_vendor(self, name: str, contact: Fields, lines: Sequence[int]) -> None:
        """Take over a vendor that stood among other contacts."""
        self._vendor(name, dict(contact.entries), (), lines)

    def _vendor(
        self, title: str, values: dict[str, object], texts: Sequence[str], lines: Sequence[int]
    ) -> None:
        name = bare(title)
        if not name:
            return
        whole = ". ".join(text for text in texts if text)
        if whole and not any(values.values()):
            contact = contact_of(whole)
            if contact is not None:
                values = dict(contact.entries)
                shown = {str(v.value) for _, v in contact.entries if isinstance(v, Leaf)}
                whole = "" if whole in shown else whole
            elif re.fullmatch(r"\[[^\[\]]+\]", whole):
                values, whole = {"phone": whole}, ""
        identifier = unique(slug(name, "vendor"), self._names)
        claims = understood(f"the vendor {name}", *lines)
        self.vendors.append(
            fields({"id": identifier, "title": name, **values, "note": whole}, claims)
        )

    def read_support(self, blocks: Sequence[Block]) -> Sequence[Claim]:
        """Take over how soon vendors answer; returns claims for a table's head."""
        heads: list[Claim] = []
        for block in blocks:
            if isinstance(block, Table):
                named = understood("the head of a table of support levels", block.head.number)
                heads += [*named, *understood("a table", block.rule)]
            for text, number in _entries(block):
                severity = priority_of(re.split(r"[:|]", text)[0])
                seconds = find_duration(text)
                if severity is None or seconds is None:
                    continue
                by = re.search(r"\b(phone|e-?mail|chat|ticket|portal|pager)\b", text, re.IGNORECASE)
                values = {
                    "severity": severity.value,
                    "response": duration_text(seconds),
                    "by": by[1].lower() if by else "",
                }
                claims = understood(f"support for {severity.value} cases", number)
                self.support.append(fields(values, claims))
        return heads

    def read_follow_up(self, section: Section) -> bool:
        """Take over a section of what is done afterwards; says whether there is anything."""
        entries = [entry for block in section.blocks for entry in _flat(block, "")]
        if not entries or section.title is None:
            return False
        title, window = split_window(section.heading)
        items = Many(tuple(Leaf(text, understood("a follow-up", *ns)) for text, ns in entries))
        values: dict[str, object] = {"title": bare(title)}
        if window is not None:
            values["from"] = duration_text(window.begin_s)
            values["to"] = None if window.end_s is None else duration_text(window.end_s)
        claims = understood("a list of follow-ups", section.title.number)
        self.follow_ups.append(fields({**values, "items": items}, claims))
        return True


def _entries(block: Block) -> Iterator[tuple[str, int]]:
    match block:
        case Items(items):
            yield from ((item.text, item.head.number) for item in items)
        case Table(_, rows):
            yield from ((" | ".join(text for text in r.cells if text), r.number) for r in rows)
        case Paragraph(lines):
            yield from ((line.text, line.number) for line in lines)


def _flat(block: Block, above: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield entries with the words of the entry they are nested in before them."""
    match block:
        case Items(items):
            for item in items:
                lines = tuple(line.number for line in item.lines if line.raw)
                text = f"{above}: {item.text}" if above else item.text
                inner = [e for b in item.blocks for e in _flat(b, bare(text))]
                if inner:
                    inner[0] = (inner[0][0], (*lines, *inner[0][1]))
                    yield from inner
                elif text:
                    yield text, lines
        case Table(_, rows):
            yield from ((": ".join(c for c in r.cells if c), (r.number,)) for r in rows)
        case Paragraph(lines) if above:
            yield from ((f"{above}: {line.text}", (line.number,)) for line in lines)


def every(text: str) -> float | None:
    """Return how often something is done, in seconds: monthly, every quarter, twice a year."""
    for pattern, days in _EVERY:
        if re.search(pattern, text, re.IGNORECASE):
            return days * _DAY_S
    found = re.search(r"\b(?:every|alle|each)\s+(.{1,30})", text, re.IGNORECASE)
    return (find_duration(found[1]) or None) if found else None


_WHOLE = re.compile(r"\b(?:complete|full|entire|whole|end.to.end)\b", re.IGNORECASE)


def drill_node(
    section: Section, every_s: float | None, known: Known, taken: set[str]
) -> tuple[Fields, Sequence[Claim]]:
    """Return a section as a drill, and the claims of lines in it that were of no use."""
    assert section.title is not None
    title = bare(section.heading)
    found = every(section.heading) or every_s
    remarks = [Remark(Tone.ASSUMED, "the document does not say how often")] if not found else []
    reading = Reading(known)
    steps = changed(read_steps(section, reading), lambda s: mapped(s, Scene(known, drill=True)))
    steps = changed(steps, _warned)
    values = {
        "id": unique(slug(title, "drill"), taken),
        "title": title,
        "every": duration_text(found or 90 * _DAY_S),
        "kind": "complete",
        "steps": step_nodes(steps, set()),
    }
    if not _WHOLE.search(title):
        del values["kind"]
    if not steps:
        del values["steps"]
    return fields(values, understood("a drill", section.title.number), remarks), reading.unused


def _warned(step: StepDraft) -> StepDraft:
    """Return a command that stops or removes something with a warning: this is a rehearsal."""
    harms = step.command and re.search(r"\b(?:stop|kill|drop\w*|rm|delete)\b", step.command.text)
    return step.remarked(Tone.NOTE, "a drill must not do this to production") if harms else step


def drill_line(text: str, number: int, every_s: float | None, taken: set[str]) -> Fields | None:
    """Return one line of a list or table as a drill, if it says how often."""
    found = every(text) or every_s
    if found is None:
        return None
    title = re.sub(
        r"\(?\b(?:daily|weekly|monthly|quarterly|annually|annual|yearly|monatlich|jährlich|"
        r"vierteljährlich|halbjährlich|wöchentlich)\b\)?\s*[:–—|-]?\s*",
        "", text, flags=re.IGNORECASE,
    )  # fmt: skip
    title = re.sub(
        r"^(?:every|alle|twice|once|each)\b[^:–—|]{0,30}[:–—|]\s*", "", title, flags=re.IGNORECASE
    )
    title = bare(title.strip(" |")) or bare(text)
    values = {
        "id": unique(slug(title, "drill"), taken),
        "title": title,
        "every": duration_text(found),
    }
    return fields(values, understood("a drill", number))


def drill_words(table: Table, row: Row) -> str:
    """Return what a row of a table of drills says: what is done, and how often."""
    known = columns(table.head.cells, ("every", "item"))
    told = [cell(row.cells, known, name) for name in ("every", "item")]
    return ": ".join(text for text in told if text) or " ".join(row.cells)


def checklist_items(blocks: Sequence[Block], known: Known) -> Iterator[Fields]:
    """Yield the lines of a checklist, each with what proves it."""
    for block in blocks:
        for text, lines in _flat(block, ""):
            proofs = _proofs(text, known)
            values = {"text": text, "by": list(proofs)}
            remark = Remark(Tone.INFERRED, "what proves it")
            claims = understood("a line of the checklist", *lines)
            yield fields(values, claims, (remark,) if proofs else ())


def _proofs(text: str, known: Known) -> tuple[str, ...]:
    for pattern, names in _PROOFS:
        if re.search(pattern, text, re.IGNORECASE):
            return names
    found: list[str] = []
    for pattern, keys in _PROBED:
        if not re.search(pattern, text, re.IGNORECASE):
            continue
        probes = [p.name for part in known.parts for p in part.probes]
        found += [n for n in probes if any(key in n.split(".")[1] for key in keys)][:2]
        found += [
            name for name, kind in known.checks
            if kind == "http" and any(re.search(rf"\b{key}", name.lower()) for key in keys)
            and re.search(pattern, name, re.IGNORECASE)
        ]  # fmt: skip
        break
    return tuple(dict.fromkeys(found))


def ticked_lines(block: Block) -> bool:
    """Say whether a block is a list of boxes to tick."""
    return isinstance(block, Items) and any(item.ticked is not None for item in block.items)


def first_line(block: Block) -> Line | None:
    """Return the first line of text of a block."""
    match block:
        case Paragraph(lines):
            return lines[0]
        case Items(items):
            return items[0].head if items else None
    return None

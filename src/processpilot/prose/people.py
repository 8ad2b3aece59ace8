"""Roles, how people are reached, and who is woken when: from headings, tables, lists, text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processpilot.prose.draft import Claim, Fields, Leaf, Many, Remark, Tone, fields, understood
from processpilot.prose.known import Known
from processpilot.prose.outline import Block, Code, Item, Items, Line, Paragraph, Section, Table
from processpilot.prose.spans import duration_text, find_window
from processpilot.prose.tables import cell, columns
from processpilot.prose.words import bare, shortened, word_set

_PRIMARY = re.compile(
    r"\b(?:primary|main|first|lead|owner|haupt\w*|erste[rn]?)\s*(?:contact)?\s*[:=]\s*([^,;()|]+)",
    re.IGNORECASE,
)
_SECONDARY = re.compile(
    r"\b(?:secondary|backup|deputy|alternate|second|stand-?in|stellvertret\w*|vertretung)\s*"
    r"(?:contact)?\s*[:=]\s*([^,;()|]+)",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\[[^\[\]]*e-?mail[^\[\]]*\]", re.IGNORECASE)
_PHONE = re.compile(
    r"\+?[0-9][0-9 ()/.-]{5,}[0-9]|\[[^\[\]]*(?:phone|tel|mobile|number)[^\[\]]*\]|"
    r"\bext\.? ?[0-9]{2,6}\b",
    re.IGNORECASE,
)
_CHAT = re.compile(
    r"(?<!\w)[#@][a-z][\w.-]+|\[[^\[\]]*(?:slack|chat|teams|matrix)[^\[\]]*\]", re.IGNORECASE
)

_OUTSIDE = re.compile(
    r"\b(?:host(?:ing|er)|providers?|vendors?|isp|registrar|dns|cloud|data ?cent|carrier|insur|"
    r"support|dienstleister|rechenzentrum|police|forensic)",
    re.IGNORECASE,
)

_SEVERAL = re.compile(
    r"^(?:\w+ )?(?:roles|rollen|members|people|responders|responsibilities|role assignments)\b|"
    r"^(?:the )?team$",
    re.IGNORECASE,
)


@dataclass
class RoleDraft:
    """A role as the document tells of it, in one place or several."""

    title: str
    primary: str | None = None
    secondary: str | None = None
    duties: list[Leaf] = field(default_factory=list)
    contact: Fields | None = None
    claims: list[Claim] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


class People:
    """The roles found so far, and the escalation levels as lines, until all roles are known."""

    def __init__(self) -> None:
        self.roles: dict[str, RoleDraft] = {}
        self.levels: list[tuple[str, str, int]] = []
        self._contacts: list[tuple[str, Fields, tuple[int, ...]]] = []

    def role(self, title: str) -> RoleDraft:
        """Return the role of that title; a new one if there is none yet."""
        name = bare(title)
        return self.roles.setdefault(name.casefold(), RoleDraft(name))

    def read_section(self, section: Section) -> bool:
        """Take over a section that is one role, with its duties; says whether it is one."""
        title = section.heading
        head = bare(re.split(r"[(:–—]|\s-\s", title)[0])
        named = _PRIMARY.search(title) or _SECONDARY.search(title)
        if not named and _SEVERAL.search(head):
            return False
        if not named and not any(isinstance(b, Items) for b in section.blocks):
            return False
        role = self.role(head)
        assert section.title is not None
        role.claims += understood(f"the role {role.title}", section.title.number)
        _fill(role, title)
        for block in section.blocks:
            if isinstance(block, Items):
                _duties(role, block.items)
            if isinstance(block, Paragraph):
                for line in block.lines:
                    if _fill(role, line.text):
                        role.claims += understood(f"who is {role.title}", line.number)
        return True

    def read_blocks(self, blocks: Sequence[Block]) -> Sequence[Claim]:
        """Take over roles from tables and lists; returns claims for what frames them."""
        heads: list[Claim] = []
        for block in blocks:
            match block:
                case Table():
                    heads += self.read_table(block)
                case Items(items):
                    for item in items:
                        self._item(item)
        return heads

    def read_table(self, table: Table) -> Sequence[Claim]:
        """Take over a table of roles; returns claims for its head."""
        wanted = ("role", "secondary", "primary", "duties", "phone", "email", "chat", "contact")
        known = columns(table.head.cells, wanted)
        known.setdefault("role", 0)
        for row in table.rows:
            title = cell(row.cells, known, "role")
            if not bare(title):
                continue
            role = self.role(title)
            role.primary = cell(row.cells, known, "primary") or role.primary
            role.secondary = cell(row.cells, known, "secondary") or role.secondary
            for text in re.split(r"\s*[;•]\s*|\s*,\s+(?=[A-Z])", cell(row.cells, known, "duties")):
                role.duties += [Leaf(text)] if text else []
            values = {name: cell(row.cells, known, name) for name in ("phone", "email", "chat")}
            if any(values.values()):
                role.contact = fields(values)
            elif contact := contact_of(cell(row.cells, known, "contact")):
                role.contact = contact
            role.claims += understood(f"the role {role.title}", row.number)
        return understood("the head of a table of roles", table.head.number, table.rule)

    def _item(self, item: Item) -> None:
        head = item.head.lead or re.split(r"[:(–—]|\s-\s", item.text)[0]
        if not bare(head) or len(bare(head)) > 60:
            return
        rest = item.head.rest if item.head.lead else item.text[len(head) :].strip(" :–—-")
        role = self.role(head)
        role.claims += understood(f"the role {role.title}", *(x.number for x in item.lines))
        named = _fill(role, rest)
        first = re.split(r"[(,;|]", rest)[0].strip(" :–—-")
        if named and not role.primary and first and not _fill(RoleDraft(""), first):
            role.primary = first
        if not named and rest:
            words = rest.strip("() ")
            if len(words.split()) <= 5 and not role.primary:
                role.primary = words
            else:
                role.duties.append(Leaf(words))
        if contact := contact_of(rest):
            role.contact = role.contact or contact
        for block in item.blocks:
            if isinstance(block, Items):
                _duties(role, block.items)

    def read_contacts(self, blocks: Sequence[Block]) -> Sequence[Claim]:
        """Take over how roles are reached; returns claims for what frames it."""
        heads: list[Claim] = []
        for block in blocks:
            if isinstance(block, Table):
                heads += self._contact_table(block)
                continue
            if isinstance(block, Code):
                heads += understood("a part of the contacts", *block.fences)
            for line in _plain_lines(block):
                found = re.match(r"\W*([^:|\t]+?)\s*(?::|\||\t|\s[–—-]\s|\s{2,})\s*(.+)$", line.raw)
                name, rest = (found[1], found[2]) if found else (line.lead, line.rest)
                contact = contact_of(rest) if bare(name) else None
                if contact is not None:
                    self._contacts.append((bare(_unmarked(name)), contact, (line.number,)))
        return heads

    def _contact_table(self, table: Table) -> Sequence[Claim]:
        if "phone" not in (known := columns(table.head.cells, ("phone", "email", "chat"))):
            more = columns(table.head.cells, ("phone", "email", "chat", "contact"))
            known = more
        named = columns(table.head.cells, ("role", "vendor", "primary"))
        place = next(iter(named.values()), 0)
        if not known:
            return self.read_table(table)
        for row in table.rows:
            values = {n: cell(row.cells, known, n) for n in ("phone", "email", "chat")}
            loose = contact_of(cell(row.cells, known, "contact"))
            contact = fields(values) if any(values.values()) else loose
            if contact is not None and place < len(row.cells) and bare(row.cells[place]):
                self._contacts.append((bare(row.cells[place]), contact, (row.number,)))
        return understood("the head of a table of contacts", table.head.number, table.rule)

    def settle_contacts(self) -> list[tuple[str, Fields, tuple[int, ...]]]:
        """Give each contact to the role it names; who has no role gets one.

        Returns those of vendors: somebody outside is no role.
        """
        vendors = []
        for name, contact, lines in self._contacts:
            role = self._like(name)
            if role is None and _OUTSIDE.search(name):
                vendors.append((name, contact, lines))
                continue
            if role is None:
                role = self.role(name)
                role.remarks.append(Remark(Tone.INFERRED, "a role, because it has a contact"))
            claims = understood(f"how {role.title} is reached", *lines)
            role.contact = Fields(contact.entries, claims)
        self._contacts = []
        return vendors

    def _like(self, name: str) -> RoleDraft | None:
        """Return the role whose title says what `name` says, but for words like lead and team."""
        if name.casefold() in self.roles:
            return self.roles[name.casefold()]
        weak = {"team", "lead", "leader", "the", "head", "of", "on", "call", "primary"}
        words = word_set(name) - weak
        scored = [(len(words & (word_set(r.title) - weak)), r) for r in self.roles.values()]
        best = max(scored, default=None, key=lambda item: item[0])
        return best[1] if best and best[0] and best[0] * 2 >= len(words) else None


def _fill(role: RoleDraft, text: str) -> bool:
    """Take over who fills a role; says whether the text names anybody."""
    first, second = _PRIMARY.search(text), _SECONDARY.search(text)
    if first:
        role.primary = role.primary or first[1].strip(" .*_")
    if second:
        role.secondary = role.secondary or second[1].strip(" .*_")
    return bool(first or second)


def _duties(role: RoleDraft, items: Sequence[Item]) -> None:
    for item in items:
        lines = tuple(line.number for line in item.lines if line.raw)
        if _fill(role, item.text):
            role.claims += understood(f"who is {role.title}", *lines)
        elif contact := _labelled(item.text):
            old = role.contact.entries if role.contact else ()
            claims = (*(role.contact.claims if role.contact else ()),
                      *understood(f"how {role.title} is reached", *lines))  # fmt: skip
            role.contact = Fields((*old, *contact.entries), claims)
        elif item.text:
            role.duties.append(Leaf(item.text, understood(f"a duty of {role.title}", *lines)))
        for block in item.blocks:
            if isinstance(block, Items):
                _duties(role, block.items)


def _labelled(text: str) -> Fields | None:
    found = re.match(r"(phone|mobile|tel\w*|e-?mail|slack|chat|pager)\s*:\s*(.+)$", text, re.I)
    return contact_of(found[2], found[1]) if found else None


def contact_of(text: str, label: str = "") -> Fields | None:
    """Return how somebody is reached, as it stands there; None where nothing says how."""
    values: dict[str, object] = {}
    rest = text
    for key, pattern in (("email", _EMAIL), ("chat", _CHAT), ("phone", _PHONE)):
        if found := pattern.search(rest):
            values[key] = found[0].strip()
            rest = f"{rest[: found.start()]} {rest[found.end() :]}"
    if not values and label:
        key = "email" if "mail" in label else "chat" if label in ("slack", "chat") else "phone"
        values[key] = text.strip()
    order = ("phone", "email", "chat")
    ordered: dict[str, object] = {str(key): values[key] for key in order if key in values}
    return fields(ordered) if ordered else None


def _unmarked(name: str) -> str:
    return Line(0, re.sub(r"[*_`]", "", name)).text


def _plain_lines(block: Block) -> Iterator[Line]:
    match block:
        case Paragraph(lines):
            yield from lines
        case Code():
            yield from (Line(n, text) for n, text in block.lines if text.strip())
        case Items(items):
            for item in items:
                yield from item.lines
                for inner in item.blocks:
                    yield from _plain_lines(inner)


def level_lines(section: Section) -> Iterator[tuple[str, int]]:
    """Yield what may be an escalation level: entries of lists, rows, lines."""
    for block in section.blocks:
        match block:
            case Items(items):
                yield from ((item.text, item.head.number) for item in items)
            case Table(_, rows):
                yield from (
                    (": ".join(text for text in row.cells if text), row.number) for row in rows
                )
            case Paragraph(lines):
                yield from ((x.text, x.number) for x in lines if find_window(x.text))


def escalation(levels: Sequence[tuple[str, int]], known: Known) -> Many:
    """Return the levels as the plan has them, in the order of their moments."""
    made: list[tuple[float, Fields]] = []
    for n, (text, number) in enumerate(levels):
        window = find_window(text)
        remarks = []
        if window is None:
            after = made[-1][0] if made else 0.0
            remarks.append(Remark(Tone.ASSUMED, "the document does not say after how long"))
        else:
            after = window.begin_s if window.relative else (window.end_s or 0.0)
            after = 0.0 if n == 0 and not window.relative else after
        page, unknown = _woken(text, known)
        if unknown:
            remarks.append(Remark(Tone.FILL_IN, "no role of this document is named here"))
        title = shortened(re.sub(r"\s+", " ", text), 160)
        values = {"title": title, "after": duration_text(after), "page": list(page)}
        claims = understood("an escalation level", number)
        made.append((after, fields(values, claims, remarks)))
    return Many(tuple(level for _, level in sorted(made, key=lambda item: item[0])))


def _woken(text: str, known: Known) -> tuple[tuple[str, ...], bool]:
    """Return who is woken, and whether nobody of the document is named."""
    lowered = text.lower()
    found = []
    if re.search(r"\bsecondar(?:y|ies)\b|\bbackup\b|stellvertret|zweite", lowered):
        found.append("secondary")
    elif re.search(r"\bprimar(?:y|ies)\b|\bon-?call\b|rufbereitschaft|bereitschaft", lowered):
        found.append("primary")
    found += [role.id for role in known.roles if role.title.lower() in lowered]
    if not found and (role := known.role(text)):
        found.append(role)
    if found:
        return tuple(dict.fromkeys(found)), False
    words = re.split(r":\s*|\)\s*", text)[-1].strip() or text.strip() or "somebody"
    return (shortened(words, 60),), True

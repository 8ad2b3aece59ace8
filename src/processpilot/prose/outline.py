"""The structure of a document: sections with paragraphs, lists, tables and code, each at its lines.

Headings make sections; so do lines that are bold as a whole, and lines that end with a colon
before a list, a table or code. Every block knows its lines, counted from 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from processpilot.prose.shape import front_matter, with_numbered_titles
from processpilot.prose.source import Source
from processpilot.prose.words import plain

_CODE_SPAN = re.compile(r"(?<!`)(`{1,3})(?!`)([^`]+)\1(?!`)")
_LEAD = re.compile(r"^\s*(?:\*\*|__)(?=\S)(.+?)(?<=\S)(?:\*\*|__)\s*:?\s*")
_BOX = re.compile(r"^\[([ xX]?)\]\s+")
BOLD_LEVEL = 10
LABEL_LEVEL = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text; `raw` is without the markup of lists and quotes around it."""

    number: int
    raw: str

    @property
    def text(self) -> str:
        """The line as people read it."""
        return plain(self.raw)

    @property
    def codes(self) -> tuple[str, ...]:
        """What stands in backticks, as written."""
        return tuple(found[2].strip() for found in _CODE_SPAN.finditer(self.raw))

    @property
    def lead(self) -> str:
        """The bold words that the line begins with, or nothing."""
        found = _LEAD.match(self.raw)
        return plain(found[1]).rstrip(": ") if found else ""

    @property
    def rest(self) -> str:
        """The line without its bold beginning."""
        found = _LEAD.match(self.raw)
        return plain(self.raw[found.end() :].lstrip(":–—- ")) if found else self.text


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines of text that belong together."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code: its language, its lines as written, and the lines with the fences."""

    language: str
    lines: tuple[tuple[int, str], ...]
    fences: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a list; `ticked` is None where it has no box."""

    lines: tuple[Line, ...]
    blocks: tuple[Block, ...]
    ticked: bool | None = None

    @property
    def head(self) -> Line:
        """Its first line."""
        return self.lines[0]

    @property
    def text(self) -> str:
        """Its own text, without what is nested in it."""
        return " ".join(line.text for line in self.lines).strip()


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Item, ...]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; cells as people read them, `raw` as written."""

    number: int
    cells: tuple[str, ...]
    raw: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `rule` is the line between head and body."""

    head: Row
    rows: tuple[Row, ...]
    rule: int


Block = Paragraph | Code | Items | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is under it. The whole document is a section without a heading."""

    title: Line | None
    level: int
    blocks: tuple[Block, ...] = ()
    sections: tuple[Section, ...] = ()

    @property
    def heading(self) -> str:
        """The title as people read it."""
        return self.title.text if self.title else ""


@dataclass(frozen=True, slots=True)
class Outline:
    """A document: its root section and the lines that only give it shape (rules)."""

    root: Section
    rules: tuple[int, ...] = ()
    front: tuple[int, ...] = ()


@dataclass
class _Open:
    """A section that is still being filled."""

    title: Line | None
    level: int
    blocks: list[Block] = field(default_factory=list)
    sections: list[_Open] = field(default_factory=list)

    def closed(self) -> Section:
        """Return it as it is now."""
        inner = tuple(section.closed() for section in self.sections)
        return Section(self.title, self.level, tuple(self.blocks), inner)


def read_outline(source: Source) -> Outline:
    """Return the structure of the document."""
    front = front_matter(source.lines)
    lines = ["" if n in front else line for n, line in enumerate(source.lines, 1)]
    underlines = with_numbered_titles(lines)
    parser = MarkdownIt("commonmark").enable("table").disable(["inline"])
    tokens = parser.parse("\n".join(lines))
    rules = [t.map[0] + 1 for t in tokens if t.type == "hr" and t.map]
    rules += [t.map[1] for t in tokens if t.type == "heading_open" and t.markup in "=-" and t.map]
    root = _Open(None, 0)
    path = [root]
    blocks = list(_blocks(tokens))
    for n, block in enumerate(blocks):
        heading = block if isinstance(block, _Open) else _as_heading(block, blocks[n + 1 : n + 2])
        if heading is None:
            assert not isinstance(block, _Open)
            path[-1].blocks.append(block)
            continue
        while path[-1].level >= heading.level:
            path.pop()
        path[-1].sections.append(heading)
        path.append(heading)
    return Outline(root.closed(), (*rules, *underlines), tuple(sorted(front)))


def _as_heading(block: Block, following: Sequence[Block | _Open]) -> _Open | None:
    """Return a section that a paragraph opens: bold as a whole, or a label before a list."""
    if not isinstance(block, Paragraph) or len(block.lines) != 1:
        return None
    line = block.lines[0]
    after = line.raw[_LEAD.match(line.raw).end() :] if line.lead else ""  # type: ignore[union-attr]
    if line.lead and (not after or re.fullmatch(r"\([^()]*\)\s*:?", after.strip())):
        return _Open(line, BOLD_LEVEL)
    if re.match(r"(?:step|schritt|phase|stufe)\s+[0-9]{1,2}\s*[:.)–-]", line.text, re.IGNORECASE):
        return _Open(line, BOLD_LEVEL)
    opens = bool(following) and isinstance(following[0], Items | Code | Table)
    if opens and line.text.endswith(":") and len(line.text) <= 80:
        return _Open(line, LABEL_LEVEL)
    return None


def _blocks(tokens: Sequence[Token]) -> Iterator[Block | _Open]:
    """Yield headings (as open sections) and blocks; what is quoted counts as if it were not."""
    n = 0
    while n < len(tokens):
        token = tokens[n]
        end = _closing(tokens, n)
        inner = tokens[n + 1 : end]
        match token.type:
            case "heading_open":
                line = _lines(inner)[:1]
                if line:
                    yield _Open(line[0], int(token.tag[1:]))
            case "paragraph_open":
                if lines := _lines(inner):
                    yield Paragraph(lines)
            case "fence" | "code_block":
                yield _code(token)
            case "bullet_list_open" | "ordered_list_open":
                yield Items(tuple(_items(inner)), token.type == "ordered_list_open")
            case "table_open":
                yield from _table(inner)
            case "blockquote_open":
                yield from (b if not isinstance(b, _Open) else _quoted(b) for b in _blocks(inner))
        n = end + 1


def _quoted(heading: _Open) -> Paragraph:
    assert heading.title is not None
    return Paragraph((heading.title,))


def _closing(tokens: Sequence[Token], begin: int) -> int:
    """Return where what opens at `begin` closes; itself for what neither opens nor closes."""
    depth = 0
    for n in range(begin, len(tokens)):
        depth += tokens[n].nesting
        if depth <= 0:
            return n
    return len(tokens) - 1


def _lines(tokens: Sequence[Token]) -> tuple[Line, ...]:
    for token in tokens:
        if token.type == "inline" and token.map:
            raws = token.content.split("\n")
            begin = token.map[0] + 1
            return tuple(Line(begin + n, raw.strip()) for n, raw in enumerate(raws) if raw.strip())
    return ()


def _code(token: Token) -> Code:
    assert token.map is not None
    begin, end = token.map[0] + 1, token.map[1]
    contents = token.content.removesuffix("\n").split("\n") if token.content else []
    if token.type == "code_block":
        return Code("", tuple((begin + n, text) for n, text in enumerate(contents)))
    numbered = tuple((begin + 1 + n, text) for n, text in enumerate(contents))
    last = numbered[-1][0] if numbered else begin
    fences = (begin,) if end <= last else (begin, end)
    words = token.info.strip().split()
    return Code(words[0].lower() if words else "", numbered, fences)


def _items(tokens: Sequence[Token]) -> Iterator[Item]:
    n = 0
    while n < len(tokens):
        end = _closing(tokens, n)
        if tokens[n].type == "list_item_open":
            yield from _item(tuple(_blocks(tokens[n + 1 : end])))
        n = end + 1


def _item(found: tuple[Block | _Open, ...]) -> Iterator[Item]:
    blocks = tuple(b if not isinstance(b, _Open) else _quoted(b) for b in found)
    if not blocks:
        return
    first = blocks[0]
    if not isinstance(first, Paragraph):
        yield Item((Line(_first_number(first), ""),), blocks)
        return
    head = first.lines[0]
    ticked = None
    if box := _BOX.match(head.raw):
        ticked = box[1] in "xX" and box[1] != ""
        head = replace(head, raw=head.raw[box.end() :])
    yield Item((head, *first.lines[1:]), blocks[1:], ticked)


def _first_number(block: Block) -> int:
    match block:
        case Paragraph(lines):
            return lines[0].number
        case Code():
            return (*block.fences, *(n for n, _ in block.lines))[0]
        case Items(items):
            return items[0].head.number if items else 0
        case Table():
            return block.head.number


def _table(tokens: Sequence[Token]) -> Iterator[Table]:
    rows: list[Row] = []
    for n, token in enumerate(tokens):
        if token.type == "tr_open" and token.map:
            cells = [t for t in tokens[n : _closing(tokens, n)] if t.type == "inline"]
            raw = tuple(t.content for t in cells)
            rows.append(Row(token.map[0] + 1, tuple(plain(text) for text in raw), raw))
    if rows:
        # In a form to fill in, rows are empty; such a line is told as one that was not used.
        told = tuple(row for row in rows[1:] if any(row.cells))
        yield Table(rows[0], told, rows[0].number + 1)


def block_lines(block: Block) -> tuple[int, ...]:
    """Return the numbers of all lines of a block, with what is nested in it."""
    match block:
        case Paragraph(lines):
            return tuple(line.number for line in lines)
        case Code():
            return (*block.fences, *(number for number, _ in block.lines))
        case Items(items):
            return tuple(n for item in items for n in item_lines(item))
        case Table():
            return (block.head.number, block.rule, *(row.number for row in block.rows))


def item_lines(item: Item) -> tuple[int, ...]:
    """Return the numbers of all lines of an entry, with what is nested in it."""
    own = tuple(line.number for line in item.lines if line.raw)
    return (*own, *(n for block in item.blocks for n in block_lines(block)))


def walk(section: Section) -> Iterator[Section]:
    """Yield a section and everything under it, in the document's order."""
    yield section
    for inner in section.sections:
        yield from walk(inner)

"""The structure of documents, with line numbers."""

from __future__ import annotations

from processpilot.prose.outline import Code, Items, Paragraph, Section, Table, read_outline, walk
from processpilot.prose.source import source_of


def _sections(text: str) -> list[tuple[int, str]]:
    outline = read_outline(source_of(text, "x.md"))
    return [(s.title.number, s.heading) for s in walk(outline.root) if s.title]


def _top(text: str) -> Section:
    return read_outline(source_of(text, "x.md")).root


def test_headings_bold_lines_and_labels_open_sections() -> None:
    """A line that is bold as a whole and a label before a list are headings to people."""
    text = "# A\n\n**Step 1: x (0-5 min)**\n\n- one\n\nDo this:\n\n- two\n\n## B\n"
    assert _sections(text) == [(1, "A"), (3, "Step 1: x (0-5 min)"), (7, "Do this:"), (11, "B")]


def test_a_sentence_with_bold_words_is_no_heading() -> None:
    """Bold at the beginning of a sentence stays a sentence."""
    assert _sections("**Note**: this is text.\n") == []


def test_numbered_titles_over_dashes_are_headings() -> None:
    """What Markdown takes for a list over a rule is a title where it stands alone."""
    assert _sections("intro\n\n2. People\n---------\n\n- a\n") == [(3, "2. People")]


def test_front_matter_is_no_heading() -> None:
    """The YAML that a document begins with is set apart, with its lines."""
    outline = read_outline(source_of("---\ntitle: x\nowner: y\n---\n\n# A\n", "x.md"))
    assert outline.front == (1, 2, 3, 4)
    assert [s.heading for s in outline.root.sections] == ["A"]


def test_code_in_a_list_belongs_to_its_entry() -> None:
    """An entry holds its code, with the lines of fences and content."""
    (items,) = _top("1. **Look**\n   ```bash\n   ls\n   ```\n2. Go\n").blocks
    assert isinstance(items, Items)
    first, second = items.items
    assert (first.head.lead, second.text) == ("Look", "Go")
    assert first.blocks == (Code("bash", ((3, "ls"),), (2, 4)),)


def test_boxes_are_ticked_or_not() -> None:
    """A checklist knows which of its boxes are ticked; other entries have none."""
    (items,) = _top("- [ ] a\n- [x] b\n- c\n").blocks
    assert isinstance(items, Items)
    assert [i.ticked for i in items.items] == [False, True, None]
    assert [i.text for i in items.items] == ["a", "b", "c"]


def test_a_table_knows_its_rows() -> None:
    """Cells are read without markup, and each row has its line."""
    (table,) = _top("| A | B |\n|---|---|\n| **x** | 1 |\n").blocks
    assert isinstance(table, Table)
    assert table.head.cells == ("A", "B")
    assert [(row.number, row.cells) for row in table.rows] == [(3, ("x", "1"))]


def test_an_open_fence_reaches_to_the_end() -> None:
    """A fence that nobody closed still holds the lines after it."""
    (code,) = _top("```bash\nls\npwd").blocks
    assert isinstance(code, Code)
    assert [text for _, text in code.lines] == ["ls", "pwd"]
    assert code.fences == (1,)


def test_quoted_text_counts_as_text() -> None:
    """A quotation is read as if it were not one."""
    (block,) = _top("> one\n> two\n").blocks
    assert isinstance(block, Paragraph)
    assert [(line.number, line.text) for line in block.lines] == [(1, "one"), (2, "two")]

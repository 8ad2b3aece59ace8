"""Whatever a document holds: it becomes a plan that loads, and no line of it is lost."""

from __future__ import annotations

import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prose_text import broken_places, imported, unheard_lines

from processpilot.plan.load import parse_plan
from processpilot.prose.draft import Fate, node
from processpilot.prose.spans import duration_text, find_duration, find_window
from processpilot.prose.words import slug
from processpilot.prose.yamltext import yaml_text

_WORDS = st.sampled_from(
    [
        "database", "api", "restore", "backup", "the", "failure", "if", "fails", "RTO", "RPO", "4",
        "hours", "15-30 min", "60+ min", "4 hours", "`systemctl restart api`", "[PHONE]", "ðŸŽ¯",
        "**Step 1: x (0-5 min)**", "./restore.sh postgresql latest", "systemctl stop postgresql",
        "curl http://localhost:5000/health", "dropdb x", "db:verify-integrity", "monthly",
        "Level 2",
        "(if restart fails)", "export TOKEN=abc", "cd backend", "cat <<EOF", '"open', "a\\", "|",
        "$(date)", "# note", ": x", "Incident Commander", "Primary: CTO", "critical", "<X>",
        "Übung",
    ]
)  # fmt: skip
_LINE = st.lists(_WORDS, min_size=1, max_size=6).map(" ".join)
_TITLE = st.sampled_from(
    [
        "Objectives", "Team", "Contacts", "Escalation", "Scenarios", "Scenario 1: Database failure",
        "Symptoms", "Recovery Steps (15-240 min)", "Step 2 (30+ min)", "Data corruption", "Drills",
        "Checklist", "Vendors", "Support levels", "Post-incident review (1-2 days)", "Scripts",
        "Recovery by Database Provider", "Neon Recovery", "Roll back", "Overview", "API outage",
    ]
)  # fmt: skip


@st.composite
def _table(draw: st.DrawFn) -> str:
    heads = ["Component", "RTO", "RPO", "Role", "Primary", "Secondary", "Action", "Time", "Phone",
             "Frequency", "Depends on", "Command"]  # fmt: skip
    head = draw(st.lists(st.sampled_from(heads), min_size=1, max_size=4, unique=True))
    rows = draw(st.lists(st.lists(_LINE, min_size=0, max_size=5), max_size=3))
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


_BLOCK = st.one_of(
    st.builds(lambda n, t: f"{'#' * n} {t}", st.integers(1, 5), st.one_of(_TITLE, _LINE)),
    st.builds(lambda t: f"**{t}**", st.one_of(_TITLE, _LINE)),
    _LINE,
    st.lists(_LINE, min_size=1, max_size=4).map(lambda x: "\n".join(f"- {i}" for i in x)),
    st.lists(_LINE, min_size=1, max_size=4).map(lambda x: "\n".join(f"1. {i}" for i in x)),
    st.lists(_LINE, min_size=1, max_size=3).map(lambda x: "\n".join(f"- [ ] {i}" for i in x)),
    st.lists(_LINE, min_size=1, max_size=3).map(
        lambda x: "- a\n" + "\n".join(f"  - {i}" for i in x)
    ),
    st.builds(
        lambda language, x: f"```{language}\n" + "\n".join(x) + "\n```",
        st.sampled_from(["bash", "", "console", "text", "sql"]),
        st.lists(_LINE, max_size=5),
    ),
    _table(),
    st.sampled_from(
        ["---", "> quoted", "<!-- hidden -->", "<div>", "Title\n====", "2. Team\n-------"]
    ),
)
_DOCUMENT = st.lists(_BLOCK, max_size=14).map("\n\n".join)
_NASTY = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            list("#*-`|>[]():.0123456789 \n\t\r\"'\\$&;<~!{}=+_%@,/x\0\x85\u2028\ufeff")
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=250,
)


def _holds(text: str) -> None:
    done = imported(text)
    assert not unheard_lines(text, done)
    assert not list(broken_places(done))
    again = parse_plan(done.text, done.loaded.path)
    assert again.plan == done.loaded.plan
    for line in done.report.lines:
        assert line.became
        assert line.places or line.fate in (Fate.UNUSED, Fate.UNDERSTOOD)


@settings(max_examples=120, deadline=None)
@given(_DOCUMENT)
@example("### Checklist\n\n| Component |\n| --- |\n|  |")
@example("**Symptoms**\n\n| Component |\n| --- |\n|  |")
def test_no_line_of_a_document_is_lost_and_the_plan_loads(text: str) -> None:
    """Each line with something on it has one fate; the places exist; what is written loads."""
    _holds(text)


@settings(max_examples=120, deadline=None)
@given(_NASTY)
def test_no_text_at_all_breaks_the_import(text: str) -> None:
    """The same holds for text that was never meant to be a document."""
    _holds(text)


_VALUES = st.recursive(
    st.one_of(st.text(max_size=40), st.booleans(), st.integers(), st.none()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True), inner, max_size=3),
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), _VALUES, min_size=1, max_size=4)
)
def test_yaml_reads_back_what_was_written(values: dict[str, object]) -> None:
    """Every text, number, list and mapping survives being written as YAML."""
    root = node(values)
    assert yaml.safe_load(yaml_text(root)) == values  # type: ignore[arg-type]


@given(st.integers(0, 40 * 86400))
def test_a_duration_that_was_written_is_read_as_the_same(seconds: int) -> None:
    """What a plan's duration says is what the words of it mean."""
    assert find_duration(str(duration_text(seconds))) == seconds


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from(["-", "–", " to ", " - "]))
def test_a_window_is_as_long_as_its_ends_are_apart(begin: int, length: int, dash: str) -> None:
    """15-30 min is 15 minutes, whatever the dash."""
    window = find_window(f"Step ({begin}{dash}{begin + length} min)")
    assert window is not None
    assert window.length_s == length * 60


@given(st.text(max_size=80))
def test_every_text_has_an_identifier(text: str) -> None:
    """A slug is what the plan takes for an identifier."""
    name = slug(text, "step")
    assert name[0].isascii() and name[0].isalpha() and len(name) <= 48
    assert all(c.isascii() and (c.islower() or c.isdigit() or c == "-") for c in name)

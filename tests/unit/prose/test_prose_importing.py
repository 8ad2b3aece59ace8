"""The import as a whole: files, encodings, the base plan, the file that is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from plan_text import PLAN, load
from prose_text import OBJECTIVES, broken_places, every_command, imported, unheard_lines

from processpilot.errors import NotFoundError, RefusedError, UsageError
from processpilot.plan.builtin import ApplicationPlaces, Basics, application_plan
from processpilot.plan.load import load_plan, parse_plan
from processpilot.prose.importing import other_name, write_new
from processpilot.prose.source import LIMIT_BYTES, read_source

DOCUMENT = f"""# Shop runbook
{OBJECTIVES}
## Scenarios

### Database failure

#### Symptoms

- Database connection errors
- Health check endpoints fail

#### Steps

- `./restore.sh postgresql latest`

### API failure

#### Symptoms

- Health checks fail with 502

#### Steps

- `systemctl restart api`
"""


def test_without_a_base_what_is_missing_is_to_be_filled_in() -> None:
    """The plan loads, and clear places wait for what no document says."""
    done = imported(DOCUMENT)
    assert done.loaded.plan.database.dsn == "postgresql://postgres@localhost/FILL-IN"
    assert done.loaded.plan.repository.url == "FILL-IN"
    places = {told.place for told in done.report.told if told.tone == "fill in"}
    assert places == {"database.dsn", "repository.url", "repository.identity"}


def test_a_base_brings_what_a_document_cannot_know() -> None:
    """Database, repository, protection, services and probes are those of the base plan."""
    base = load(PLAN)
    plan = imported(DOCUMENT, base).loaded.plan
    for name in ("name", "database", "repository", "protection", "backup", "autonomy", "state_dir"):
        assert getattr(plan, name) == getattr(base.plan, name), name
    api, old = plan.component("api"), base.plan.component("api")
    assert (api.service, api.probes, api.depends_on) == (old.service, old.probes, old.depends_on)
    assert (api.rto_s, plan.component("database").rto_s) == (7200, 14400)


def test_symptoms_in_words_get_the_probes_that_see_them() -> None:
    """The component's own probe is required; an API failure is told from one of the database."""
    database, api = imported(DOCUMENT, load(PLAN)).loaded.plan.scenarios
    assert [(s.probe, s.required) for s in database.symptoms] == [
        ("database.connect", True), ("api.health", False),
    ]  # fmt: skip
    assert [(s.probe, s.required, s.passes) for s in api.symptoms] == [
        ("api.health", True, False), ("database.connect", True, True),
    ]  # fmt: skip
    assert api.symptoms[0].means == "Health checks fail with 502"


def test_a_component_only_the_base_has_is_kept() -> None:
    """What the document does not name is still protected, and that is said."""
    text = PLAN.replace(
        "team:\n", "  - {id: search, title: Search, priority: low, rto: 1d, rpo: 1d}\nteam:\n"
    )
    done = imported(DOCUMENT, load(text))
    assert "search" in [c.id for c in done.loaded.plan.components]
    assert "# note: from the base plan; the document does not name it" in done.text


def test_everything_of_the_demos_plan_is_taken_over() -> None:
    """Validation, ledger and the performance factor come along, whatever they hold."""
    text = application_plan(
        Basics("Shop", "postgresql://postgres@localhost/shop", "backups"),
        ApplicationPlaces("http://localhost:5000", "unix:///run/s.sock", "file:x", ledger="l.txt"),
    )
    base = parse_plan(text, Path("/plans/base.yaml"))
    plan = imported(DOCUMENT, base).loaded.plan
    for name in ("validation", "ledger", "performance_factor", "backup"):
        assert getattr(plan, name) == getattr(base.plan, name), name


def test_what_people_accepted_survives_a_new_import() -> None:
    """The base's accepted commands stay accepted: they count by what is run."""
    entry = 'accepted:\n  - {digest: "0123456789abcdef0123456789abcdef", by: me}\n'
    plan = imported(DOCUMENT, load(PLAN + entry)).loaded.plan
    assert [a.digest for a in plan.accepted] == ["0123456789abcdef0123456789abcdef"]


def test_every_imported_command_has_an_origin() -> None:
    """No command of the document can run without a person's word."""
    text = DOCUMENT.replace("- `systemctl restart api`", "```sh\nmake a\nmake b | cat\n```")
    commands = every_command(imported(text).loaded.plan)
    n = text.splitlines().index("make a") + 1
    assert [c.origin for c in commands] == [f"RUNBOOK.md:{n}", f"RUNBOOK.md:{n + 1}"]


def test_a_document_about_something_else_is_a_plan_too() -> None:
    """Nothing understood is nothing lost: one component to start from, all lines accounted for."""
    text = "# Bread\n\nFlour, water, salt.\n\n- knead\n- wait\n"
    done = imported(text)
    assert done.loaded.plan.name == "Bread"
    assert not unheard_lines(text, done)
    assert not list(broken_places(done))


@pytest.mark.parametrize(
    ("data", "encoding", "word"),
    [
        ("Übung".encode(), "utf-8", "Übung"),
        (b"\xef\xbb\xbf\xc3\x9cbung", "utf-8-sig", "Übung"),
        ("Übung – gut".encode("cp1252"), "windows-1252", "Übung – gut"),
        ("Übung".encode("utf-16"), "utf-16", "Übung"),
        (b"a\r\nb\rc", "utf-8", "a"),
    ],
)
def test_documents_are_read_in_the_encoding_they_have(
    tmp_path: Path, data: bytes, encoding: str, word: str
) -> None:
    """UTF-8, UTF-16 with a mark and Windows-1252 are all text; line ends of all kinds end lines."""
    path = tmp_path / "x.md"
    path.write_bytes(data)
    source = read_source(path)
    assert (source.encoding, source.lines[0]) == (encoding, word)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"\x7fELF\0\0", "is no text"),
        (bytes([0x80, 1, 2, 3]) * 20, "is no text"),
        (b"a" * (LIMIT_BYTES + 1), "more than"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """Empty, binary and huge files are told as what they are, with a way on."""
    path = tmp_path / "x.md"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=message) as told:
        read_source(path)
    assert told.value.hint


def test_a_document_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    """The path is named; a folder is no document either."""
    with pytest.raises(NotFoundError, match="nothing"):
        read_source(tmp_path / "nothing.md")
    with pytest.raises(UsageError):
        read_source(tmp_path)


def test_a_plan_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    """The hint names a file that is free."""
    path = tmp_path / "processpilot.yaml"
    write_new("a: 1\n", path)
    with pytest.raises(RefusedError) as told:
        write_new("b: 2\n", path)
    assert path.read_text() == "a: 1\n"
    assert "processpilot-imported.yaml" in str(told.value.hint)
    write_new("c: 3\n", other_name(path))
    assert other_name(path).name == "processpilot-imported-2.yaml"


def test_the_written_file_is_the_plan(tmp_path: Path) -> None:
    """What was reported is what a later command loads."""
    done = imported(DOCUMENT)
    path = tmp_path / "p.yaml"
    write_new(done.text, path)
    assert load_plan(path).plan == done.loaded.plan
    assert yaml.safe_load(path.read_text())["version"] == 1


def test_no_secret_of_the_document_is_written() -> None:
    """Passwords in commands reach neither the plan nor the report."""
    text = (
        "# X\n\n## Scenarios\n\n### API failure\n\nUse PASSWORD: hunter2 here\n\n```sh\n"
        "export API_TOKEN=hunter2\nmake a\npg_dump postgresql://u:hunter2@h/d\n"
        "PGPASSWORD=hunter2 psql < x\n```\n\n- `DB_PASSWORD=hunter2 make b`\n"
    )
    done = imported(text)
    assert "hunter2" not in done.text
    assert "hunter2" not in repr(done.report)

"""Loading a plan: each kind of mistake is told with the line and column where it stands."""

from __future__ import annotations

import pytest
from plan_text import PATH, PLAN, load, plan_with, position_of, problems_of

from processpilot.plan.load import FILE_NAME, PlanError
from processpilot.plan.step import MaintenanceStep
from processpilot.plan.switch import SwitchCommands


def one_problem(text: str, passage: str, place: str) -> str:
    """Return the message of the only problem, which must stand at `passage` and name `place`."""
    (problem,) = problems_of(text)
    assert (problem.line, problem.column) == position_of(text, passage)
    assert problem.place == place
    return problem.message


def test_a_valid_plan_loads_with_its_text_and_path() -> None:
    """What is loaded is what stands there, with defaults for the rest."""
    loaded = load(PLAN)
    assert loaded.text == PLAN
    assert loaded.path == PATH
    assert loaded.plan.components[1].rto_s == 7200
    assert loaded.plan.protection.slot == "processpilot"


def test_the_start_order_puts_what_is_depended_on_first() -> None:
    """Whatever the order of writing, nothing starts before what it needs."""
    text = plan_with("  - id: database\n    title", "  - id: zzz\n    title")
    text = text.replace("depends_on: [database]", "depends_on: [zzz]")
    text = text.replace("component: database", "component: zzz").replace(
        "database.connect", "zzz.connect"
    )
    order = [component.id for component in load(text).plan.start_order()]
    assert order == ["zzz", "api"]


@pytest.mark.parametrize(
    ("old", "new", "near"),
    [
        ("autonomy", "autonomie: act", "autonomy"),
        ("repository", "repositry: {}", "repository"),
        ("performance_factor", "performance_facter: 2", "performance_factor"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(old: str, new: str, near: str) -> None:
    """A typing mistake names what was probably meant."""
    assert old == near
    message = one_problem(PLAN + new + "\n", new, new.partition(":")[0])
    assert message == f'is not a known key; did you mean "{near}"?'


def test_an_unknown_key_inside_a_union_names_the_document_s_place() -> None:
    """The place is the document's, without the name of the kind of probe."""
    text = plan_with('url: "http://127.0.0.1/health"', 'url: "http://a/", timeuot: 2s')
    message = one_problem(text, "timeuot", "components[1].probes[0].timeuot")
    assert message == 'is not a known key; did you mean "timeout"?'


def test_a_key_like_no_other_gets_no_suggestion() -> None:
    """Nothing is suggested when nothing is near."""
    assert one_problem(PLAN + "qqqqqq: 1\n", "qqqqqq", "qqqqqq") == "is not a known key"


def test_a_missing_key_is_told_at_the_mapping_that_lacks_it() -> None:
    """The position is the mapping's, the place names the missing key."""
    text = plan_with("id: connect, kind: sql, query: select 1", "id: connect, kind: sql")
    message = one_problem(text, "{id: connect", "components[0].probes[0].query")
    assert message == "is missing"


@pytest.mark.parametrize(
    ("old", "new", "place", "part"),
    [
        ("version: 1", "version: 2", "version", "should be 1"),
        ("tail_interval: 2s", "tail_interval: 2", "protection.tail_interval", "has no unit"),
        ("rto: 4h", "rto: soon", "components[0].rto", "is not a duration"),
        ("priority: high", "priority: urgent", "components[1].priority", "'critical', 'high'"),
        ("action: assess", "action: pray", "scenarios[0].steps[0].action", "'assess', 'drain'"),
        ("id: commander", "id: Commander", "team.roles[0].id", "is not an identifier"),
        ('url: "http://127.0.0.1/health"', "url: ftp", "components[1].probes[0].url", "pattern"),
        ("kind: sql", "kind: sequel", "components[0].probes[0].kind", "sequel"),
        (
            "depends_on: [database]",
            "depends_on: database",
            "components[1].depends_on",
            "valid tuple",
        ),
        ("identity: file:operator.key", "identity: key", "repository.identity", "a reference"),
    ],
)
def test_a_wrong_value_is_told_where_it_stands(old: str, new: str, place: str, part: str) -> None:
    """The position is the value's own (for an unknown kind, its mapping's)."""
    text = plan_with(old, new)
    (problem,) = problems_of(text)
    expected = position_of(text, new)
    offset = len(new) - len(new.partition(": ")[2]) if ": " in new else 0
    if place.endswith("probes[0]"):
        expected, offset = position_of(text, "{id: connect"), 0
    assert (problem.line, problem.column) == (expected[0], expected[1] + offset)
    assert problem.place == place
    assert part in problem.message


def test_a_password_in_the_dsn_is_refused_at_its_place_and_never_shown() -> None:
    """The plan is shown, hashed and kept, so it must hold no password."""
    text = plan_with("postgresql://postgres@localhost", "postgresql://postgres:hunter2@localhost")
    with pytest.raises(PlanError) as caught:
        load(text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == position_of(text, "postgresql://")
    assert problem.place == "database.dsn"
    assert "must hold no password" in problem.message
    assert "hunter2" not in str(caught.value)


def test_a_password_in_a_probe_s_dsn_is_refused_too() -> None:
    """A probe's own connection string is held to the same rule."""
    text = plan_with("query: select 1", 'query: select 1, dsn: "host=a password=hunter2"')
    message = one_problem(text, '"host=a', "components[0].probes[0].dsn")
    assert "must hold no password" in message and "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (PLAN + "name: other\n", "name"),
        (plan_with("rpo: 1h", "rpo: 1h\n    rto: 5h"), "components[0].rto"),
    ],
)
def test_a_key_written_twice_is_refused_where_it_comes_again(text: str, place: str) -> None:
    """YAML would silently take the last one."""
    (problem,) = problems_of(text)
    second = "name: other" if place == "name" else "rto: 5h"
    assert (problem.line, problem.column) == position_of(text, second)
    assert (problem.place, problem.message) == (place, "is there twice")


@pytest.mark.parametrize(
    ("old", "new", "at", "place", "message"),
    [
        (
            "depends_on: [database]",
            "depends_on: [databse]",
            "databse",
            "components[1].depends_on[0]",
            'there is no component "databse"',
        ),
        (
            "component: database",
            "component: nothing",
            "nothing",
            "scenarios[0].component",
            'there is no component "nothing"',
        ),
        (
            "probe: database.connect",
            "probe: database.other",
            "database.other",
            "scenarios[0].symptoms[0].probe",
            'there is no probe "database.other"',
        ),
        (
            "approval: commander",
            "approval: nobody",
            "nobody",
            "scenarios[0].steps[1].approval",
            'there is no role "nobody"',
        ),
        (
            "id: checks",
            "id: assess, x",
            "assess, x",
            "scenarios[0].steps[1].id",
            '"assess" is there twice',
        ),
        (
            "- id: api",
            "- id: database #again",
            "database #again",
            "components[1].id",
            '"database" is there twice',
        ),
    ],
)
def test_a_reference_must_lead_somewhere(
    old: str, new: str, at: str, place: str, message: str
) -> None:
    """Ids are unique, and what is named exists; the position is the name's."""
    text = plan_with(old, new.replace(", x", ""))
    found = next(problem for problem in problems_of(text) if problem.place == place)
    wanted = position_of(text, "- {id: assess, title: Check") if ", x" in at else None
    expected = (wanted[0], wanted[1] + 7) if wanted else position_of(text, at)
    assert (found.line, found.column) == expected
    assert found.message == message


@pytest.mark.parametrize("whom", ["database", "api"])
def test_components_that_depend_on_each_other_in_a_circle_are_refused(whom: str) -> None:
    """Neither one that needs itself nor two that need each other could ever be started."""
    if whom == "database":
        text = plan_with("rpo: 1h", "rpo: 1h\n    depends_on: [database]")
    else:
        text = plan_with("rpo: 1h", "rpo: 1h\n    depends_on: [api]")
    (problem,) = problems_of(text)
    assert problem.place == "components"
    assert "depend on each other in a circle" in problem.message
    assert f"{whom} -> " in problem.message


def test_every_problem_is_told_at_once_in_the_order_of_the_document() -> None:
    """A person corrects the file once, from top to bottom."""
    text = plan_with("rto: 4h", "rto: soon").replace("priority: high", "priority: urgent")
    text = text.replace("version: 1", "version: 7") + "unknown_thing: 1\n"
    problems = problems_of(text)
    places = [problem.place for problem in problems]
    assert places == ["version", "components[0].rto", "components[1].priority", "unknown_thing"]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("name: [a\nversion: 1\n", 2, 8),
        ("name: a\n\tversion: 1\n", 2, 1),
        ("a: 1\n---\nb: 2\n", 2, 1),
        ("name: *nowhere\n", 1, 7),
        ("name: !!python/object:os.system x\n", 1, 7),
        ("? [a]\n: 1\n", 1, 3),
    ],
)
def test_what_is_not_yaml_is_told_where_reading_stopped(text: str, line: int, column: int) -> None:
    """Broken syntax, several documents and tags of a language are refused at their place."""
    (problem,) = problems_of(text)
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize("text", ["", "# nothing\n", "--- ~\n"])
def test_an_empty_plan_is_refused(text: str) -> None:
    """No document, or one that says nothing, is not a plan."""
    assert problems_of(text)[0].line == 1


@pytest.mark.parametrize("text", ["- 1\n", "word\n", "7\n", "a: &a [*a]\n", "a: \x00\n"])
def test_documents_of_another_shape_are_refused(text: str) -> None:
    """Lists, words, documents that contain themselves and control characters are no plan."""
    assert problems_of(text)[0].line == 1


@pytest.mark.parametrize("value", ["2024-13-45", "!!int x", "!!timestamp x", "0x_"])
def test_a_value_that_yaml_itself_cannot_read_is_a_problem_of_the_plan(value: str) -> None:
    """A date without such a month, or a number without digits, is told like other mistakes."""
    assert problems_of(plan_with("name: shop", f"name: {value}"))


def test_keys_that_are_no_text_are_refused() -> None:
    """A number as a key is a mistake, and not a crash."""
    assert problems_of(PLAN + "7: seven\n")[0].message == "keys should be strings"


def test_only_the_documented_spelling_of_a_key_is_known() -> None:
    """The schema refuses rto_s, so loading must too."""
    assert problems_of(plan_with("rto: 4h", "rto_s: 4h"))


def test_one_objective_is_not_said_twice_in_two_spellings() -> None:
    """Of rto and rto_s, neither is silently preferred."""
    assert problems_of(plan_with("rto: 4h", "rto: 4h\n    rto_s: 9h"))


def test_the_message_shows_the_file_every_position_and_what_to_do() -> None:
    """Editors and people find the place from file:line:column."""
    with pytest.raises(PlanError) as caught:
        load(plan_with("rto: 4h", "rto: soon"))
    line, column = position_of(PLAN, "4h")
    assert caught.value.message.startswith(f"{FILE_NAME}:{line}:{column}: components[0].rto: ")
    assert caught.value.hint == f"Correct {PATH} and run `processpilot check`."
    assert caught.value.code == "plan"


def test_on_and_off_are_words() -> None:
    """A switch has keys of these names; YAML 1.1 would take them for truth values."""
    text = plan_with(
        "scenarios:\n",
        "maintenance: {kind: command, on: [touch, a], off: [rm, a]}\nscenarios:\n",
    ).replace(
        "{id: assess, title: Assess, action: assess}",
        "{id: assess, title: Assess, action: maintenance, mode: on}",
    )
    plan = load(text).plan
    assert isinstance(plan.maintenance, SwitchCommands)
    assert plan.maintenance.off == ("rm", "a")
    step = plan.scenarios[0].steps[0]
    assert isinstance(step, MaintenanceStep)
    assert step.mode == "on"


def test_a_rotation_names_people_and_a_zone_that_there_are() -> None:
    """Nobody who is not in the team has a turn, and turns change at a time that exists."""
    team = (
        "team:\n  people:\n    - {name: Ada}\n  rotations:\n    - {kind: weekly, id: w, people: "
        "[Ada, Bo], begin: 2026-01-05, timezone: Mars/Base}\n"
    )
    problems = problems_of(plan_with("team:\n", team))
    assert ["Mars/Base" in problem.message for problem in problems] == [True]
    problems = problems_of(plan_with("team:\n", team.replace("Mars/Base", "Europe/Berlin")))
    assert [problem.place for problem in problems] == ["team.rotations[0].people[1]"]

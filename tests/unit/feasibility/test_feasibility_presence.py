"""What is there and what is not: each lack told once, with everything that names it."""

from __future__ import annotations

import json

import pytest
from feasibility_plans import Here, findings, load, of_code, small

from processpilot.feasibility.named import named_hosts
from processpilot.feasibility.placeholders import in_command, is_placeholder
from processpilot.feasibility.study import study_of
from processpilot.feasibility.vendors import facts_about

HERE = Here(programs=frozenset({"sh", "npm", "systemctl", "journalctl", "cat", "cp", "ls", "env"}))


def run(argv: str, more: str = "", id_: str = "run") -> str:
    """Return a step that runs a program."""
    return f"- {{id: {id_}, title: Run, action: command, argv: {argv}, timebox: 1m{more}}}\n"


def messages(code: str, steps: str, here: Here = HERE) -> list[str]:
    """Return the messages of one code about these steps."""
    return [f.message for f in of_code(findings(small(steps), here), code)]


def test_a_lack_is_told_once_with_all_that_name_it() -> None:
    """Five steps without a program are one thing to mend."""
    steps = "".join(run("[gone]", id_=f"step{n}") for n in range(8))
    (found,) = of_code(findings(small(steps), HERE), "command-missing")
    assert found.arithmetic == ("not found on PATH; named by step0, step1, step2, step3 and 4 more")


def test_a_program_with_a_path_is_looked_for_where_the_step_runs() -> None:
    """From the step's folder, and on from where its script went."""
    here = Here(
        programs=HERE.programs,
        paths=frozenset({"/plans/a", "/plans/a/b", "/plans/a/b/tool", "/plans/a/tool"}),
    )
    assert not messages("command-missing", run("[./tool]", ", folder: a"), here)
    assert not messages("command-missing", run("[sh, -c, 'cd b; ./tool']", ", folder: a"), here)
    assert messages("command-missing", run("[./tool]"), here) == ["./tool does not exist here"]


def test_a_folder_that_a_script_goes_to_must_be_there() -> None:
    """Everything after a failed cd runs in the wrong place."""
    assert messages("file-missing", run("[sh, -c, 'cd gone && ls']")) == [
        "the folder /plans/gone does not exist here"
    ]


def test_scripts_are_looked_up_in_their_package() -> None:
    """The folder decides which package.json; a script that is there is fine."""
    text = json.dumps({"scripts": {"there": "x"}})
    here = Here(programs=HERE.programs, texts={"/plans/backend/package.json": text})
    argv = "[npm, run, %s]"
    assert not messages("script-missing", run(argv % "there", ", folder: backend"), here)
    assert messages("script-missing", run(argv % "gone", ", folder: backend"), here) == [
        '/plans/backend/package.json has no script "gone"'
    ]
    assert messages("script-missing", run(argv % "there"), here) == [
        "/plans/package.json is not there, so no script can run"
    ]
    assert not messages("script-missing", run("[npm, --prefix, backend, run, there]"), here)


@pytest.mark.parametrize(
    ("argv", "missing"),
    [
        ("[cat, /etc/gone]", ["/etc/gone does not exist here"]),
        ("[ls, '/var/gone/*/daily/*.dump']", ["/var/gone does not exist here"]),
        ("[cp, /etc/gone, /etc/made]", ["/etc/gone does not exist here"]),
        ("[sh, -c, 'cat x > /etc/made']", []),
        ("[cat, /path/to/it]", []),
        ("[cat, '$HOME/gone']", []),
    ],
)
def test_files_that_are_read_must_be_there(argv: str, missing: list[str]) -> None:
    """Not those that are written, nor what only the day knows."""
    assert messages("file-missing", run(argv)) == missing


@pytest.mark.parametrize(
    ("argv", "count"),
    [
        ("[systemctl, restart, api, gone]", 1),
        ("[systemctl, --user, status, gone]", 1),
        ("[journalctl, -u, gone, --since, today]", 1),
        ("[systemctl, daemon-reload]", 0),
    ],
)
def test_units_that_commands_name_must_be_there(argv: str, count: int) -> None:
    """Whatever the verb; a command without a unit names none."""
    here = Here(programs=HERE.programs, units=frozenset({"api", "postgresql"}))
    assert len(messages("service-missing", run(argv), here)) == count


def test_hosts_are_read_from_every_kind_of_address() -> None:
    """Sockets, folders and buckets have none."""
    text = small(
        "- {id: a, title: A, action: http, url: 'http://one.test:80/x', timebox: 1m}\n"
        "- {id: b, title: B, action: sql, query: select 1, dsn: 'host=two.test,three.test', "
        "timebox: 1m}\n"
        "- {id: c, title: C, action: sql, query: select 1, timebox: 1m, "
        "dsn: 'postgresql://me@/x?host=/run/pg'}\n"
        + run("[curl, 'https://u@four.test/', 'file:///x', 's3://bucket/x']")
    )
    study = study_of(load(text), HERE.world())
    assert [host for _, host in named_hosts(study)] == [
        *("localhost", "one.test", "two.test", "three.test", "four.test"),
    ]


@pytest.mark.parametrize(
    ("words", "instead"),
    [
        ("supabase db dump --list", "supabase backups list"),
        ("supabase db restore --backup-id=1", "supabase backups restore --timestamp"),
        ("supabase db dump --db-url=$URL --file=F", "three passes"),
        ("pscale branch create db restore-2025", "--restore BACKUP_ID"),
        ("pscale deploy-request create db restore-branch main", "pscale branch promote"),
        ("pscale branch restore db b --restore-id 1", "--restore-point TIME"),
        ("neon branch reset main --timestamp=T", "neon branches restore main '^self@TIME'"),
        ("neon branches reset main --parent --timestamp=T", "--preserve-under-name"),
        ("neon branch list", "neon operations list"),
        ("railway database snapshots", "railway postgres pitr backup list"),
        ("Navigate to Database → Snapshots", "railway postgres pitr backup list"),
        ("pg_dump $RAILWAY_DATABASE_URL", "DATABASE_PUBLIC_URL"),
    ],
)
def test_a_provider_s_program_has_a_working_counterpart(words: str, instead: str) -> None:
    """What a runbook says does not work; what does is named."""
    (fact,) = facts_about(words)
    assert instead in fact.instead


@pytest.mark.parametrize(
    "words",
    [
        "supabase backups list --remote=ref",
        "pscale branch create db new --restore abc --cluster-size PS-10 --wait",
        "neon branches restore main '^self@T' --preserve-under-name main_before_T",
        "neon operations list",
        "railway postgres pitr backup list",
    ],
)
def test_what_works_is_not_blamed(words: str) -> None:
    """The counterparts themselves are no findings."""
    assert not list(facts_about(words))


@pytest.mark.parametrize(
    "text",
    ["[PHONE]", "[PHONE] [EMAIL]", "TBD", "todo", "xxx", "a@example.com", "FILL-IN", "+00 000",
     "<phone>", "n/a", "+1 202 555 0147", "0000"],
)  # fmt: skip
def test_placeholders_are_told(text: str) -> None:
    """Whatever stands there instead of a contact."""
    assert is_placeholder(text)


@pytest.mark.parametrize(
    "text", ["+41 44 668 18 00", "ada@shop.test", "#incidents", "@ada", "+1 800 100 2000", "Todor"]
)
def test_contacts_are_not_taken_for_placeholders(text: str) -> None:
    """Zeros and odd names are fine."""
    assert not is_placeholder(text)


def test_a_title_is_no_setting() -> None:
    """An application may be called TODO; its address may not."""
    step = "- {id: a, title: A, action: manual, timebox: 1m}"
    text = small(step).replace("title: Database", "title: TODO lists")
    assert not of_code(findings(text), "placeholder-left")
    assert of_code(findings(text.replace("s3://backups", "s3://TODO")), "placeholder-left")


@pytest.mark.parametrize(
    ("word", "part"),
    [
        ("/path/to/latest/backup.dump", "/path/to/latest/backup.dump"),
        ("--backup-id=BACKUP_ID", "BACKUP_ID"),
        ("SUSPICIOUS_IP", "SUSPICIOUS_IP"),
        ("<branch name>", "<branch name>"),
        ("$BACKUP_ID", None),
        ("${BACKUP_ID}", None),
        ("DB_PROVIDER=supabase", None),
        ("README", None),
    ],
)
def test_words_to_fill_in_are_told_from_variables(word: str, part: str | None) -> None:
    """A variable has a value on the day; a word in capitals has not."""
    assert in_command(word) == part

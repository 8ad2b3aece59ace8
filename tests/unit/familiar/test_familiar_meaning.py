"""What lines in familiar words mean, decided from the plan alone."""

from __future__ import annotations

import shlex

import pytest

from processpilot.errors import NotFoundError, ProcessPilotError, UsageError
from processpilot.familiar.meaning import (
    Ask,
    AskStaged,
    Dump,
    ListStock,
    Meaning,
    Migrate,
    OtherCommand,
    Restart,
    Stage,
    meaning_of,
)
from processpilot.familiar.names import USES, Name, find_name, usage_of
from processpilot.plan.builtin import (
    ApplicationPlaces,
    Basics,
    application_plan,
    starter_plan,
)
from processpilot.plan.load import parse_plan
from processpilot.plan.model import Plan
from processpilot.repository.blob import BackupId

BACKUP = "20261123T031500Z-9f31c2aa"
BASICS = Basics("app", "postgresql://u@h/x", "/backups")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Give the application's plan, with scenarios for database, application and both."""
    places = ApplicationPlaces("http://127.0.0.1:5000", "unix:///s", "env:PASSWORD")
    folder = tmp_path_factory.mktemp("plan")
    return parse_plan(application_plan(BASICS, places), folder / "processpilot.yaml").plan


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Give the plan of a database about whose application nothing is known."""
    folder = tmp_path_factory.mktemp("bare")
    return parse_plan(starter_plan(BASICS), folder / "processpilot.yaml").plan


def meant(line: str, plan: Plan) -> Meaning:
    """Return what a line means."""
    name, *given = shlex.split(line)
    return meaning_of(find_name(name), given, plan)


def words(line: str, plan: Plan) -> str:
    """Return the other command line that a line stands for."""
    meaning = meant(line, plan)
    assert isinstance(meaning, OtherCommand)
    return shlex.join(meaning.words)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("backup.sh postgresql --type full", "backup create"),
        ("./backup.sh postgresql --type=full", "backup create"),
        ("restore.sh auto latest", "recover database-failure"),
        ("restore.sh postgresql latest --dry-run", "recover database-failure --dry-run"),
        (f"restore.sh postgresql {BACKUP}", f"recover database-failure --backup {BACKUP}"),
        ("restore.sh postgresql latest --target /copy", "restore latest --target /copy"),
        (
            f"restore.sh postgresql {BACKUP} --target=/copy --to-time=2026-11-23T03:16:00Z",
            f"restore {BACKUP} --target /copy --to-time 2026-11-23T03:16:00Z",
        ),
        (
            "disaster-recovery.sh --scenario=complete-failure --dry-run",
            "recover complete-failure --dry-run",
        ),
        ("disaster-recovery.sh --scenario application-failure", "recover application-failure"),
        ("emergency-recovery.sh database", "recover database-failure"),
        ("emergency-recovery.sh application", "recover application-failure"),
        ("emergency-recovery.sh complete", "recover complete-failure"),
    ],
)
def test_lines_that_are_other_command_lines(line: str, other: str, plan: Plan) -> None:
    """A line stands for exactly one command line of the program."""
    assert words(line, plan) == other


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("backup.sh --list postgresql", ListStock()),
        ("backup.sh --list", ListStock()),
        ("restore.sh postgresql --list", ListStock()),
        ("restore.sh postgresql latest --target=staging", Stage(None, None)),
        (
            f"restore.sh auto {BACKUP} --target staging --to-time 2026-11-23T03:16:00Z",
            Stage(BackupId.parse(BACKUP), "2026-11-23T03:16:00Z"),
        ),
        ("restore.sh postgresql /var/backups/daily/x.dump", Dump("/var/backups/daily/x.dump")),
        ("restore.sh postgresql x.dump --target=staging", Dump("x.dump")),
        ("test:data-integrity", Ask(Name.DATA)),
        ("test:data-integrity --env=production", Ask(Name.DATA)),
        ("test:data-integrity --env=staging", AskStaged()),
        ("test:smoke", Ask(Name.SMOKE)),
        ("verify-recovery.sh", Ask(Name.VERIFY)),
        ("db:migrate", Migrate()),
        ("restart-production", Restart()),
    ],
)
def test_lines_that_are_acts_of_their_own(line: str, meaning: Meaning, plan: Plan) -> None:
    """What no other command does is an act with a name."""
    assert meant(line, plan) == meaning


@pytest.mark.parametrize(
    "line",
    [
        "backup.sh",
        "backup.sh postgresql --type incremental",
        "backup.sh --list --type full",
        "backup.sh mysql",
        "restore.sh",
        "restore.sh auto",
        "restore.sh supabase latest",
        "restore.sh postgresql latst",
        "restore.sh postgresql latest again",
        "restore.sh postgresql latest --force",
        "restore.sh postgresql latest --target",
        "restore.sh postgresql latest --target --list",
        "restore.sh postgresql latest --target= ",
        "restore.sh postgresql latest --target=a --target=b",
        "restore.sh postgresql latest --list",
        "restore.sh postgresql latest --to-time 2026-11-23T03:16:00Z",
        "restore.sh postgresql latest --target=staging --dry-run",
        "disaster-recovery.sh",
        "disaster-recovery.sh complete-failure",
        "emergency-recovery.sh",
        "emergency-recovery.sh everything",
        "verify-recovery.sh database",
        "test:data-integrity --env=moon",
        "test:smoke --force",
        "restart-production api",
    ],
)
def test_what_is_not_understood_is_refused(line: str, plan: Plan) -> None:
    """Nothing that was not expected is passed over, and the error says how to write it."""
    with pytest.raises(UsageError) as told:
        meant(line, plan)
    assert told.value.hint is not None


def test_names_that_nobody_knows_are_not_found(plan: Plan) -> None:
    """A name of the runbook that has no counterpart yet says so; so does an unknown scenario."""
    with pytest.raises(NotFoundError, match="db:analyze-corruption"):
        find_name("db:analyze-corruption")
    with pytest.raises(NotFoundError, match="it has: database-failure"):
        meant("disaster-recovery.sh --scenario=flood", plan)


def test_only_recoveries_ask_a_person(plan: Plan) -> None:
    """What is read or restored beside asks nobody, so --yes is not passed on to it."""
    for line, asks in (
        ("restore.sh auto latest", True),
        ("emergency-recovery.sh complete", True),
        ("disaster-recovery.sh --scenario=database-failure", True),
        ("backup.sh postgresql", False),
        ("restore.sh auto latest --target=/copy", False),
    ):
        meaning = meant(line, plan)
        assert isinstance(meaning, OtherCommand)
        assert meaning.asks is asks, line


def test_without_a_scenario_for_everything_the_database_is_meant(bare: Plan) -> None:
    """It ends with the applications; an application's own scenario is never made up."""
    assert words("emergency-recovery.sh complete", bare) == "recover database-failure"
    with pytest.raises(NotFoundError):
        meant("emergency-recovery.sh application", bare)


def test_every_name_explains_itself(plan: Plan) -> None:
    """Each has a use, and no use promises an option that is refused."""
    assert set(USES) == set(Name)
    for name in Name:
        for option in ("--dry-run", "--list", "--to-time", "--type", "--scenario", "--env"):
            if option in usage_of(name):
                continue
            with pytest.raises(ProcessPilotError, match=f"{option} is not expected here"):
                meaning_of(name, [option, "x"], plan)

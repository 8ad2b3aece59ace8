"""What runbooks tell people to type, and the built-in action for it."""

from __future__ import annotations

import pytest
from plan_text import PLAN, load
from prose_text import actions, imported, scenario_of, step_named

from processpilot.plan.act import CheckAct, CommandAct, ReleaseAct, ServiceAct
from processpilot.plan.load import LoadedPlan
from processpilot.prose.addresses import check_of
from processpilot.prose.draft import Fate
from processpilot.prose.mapping import COMMANDS, WORDS


def _base() -> LoadedPlan:
    return load(PLAN)


def _release_base() -> LoadedPlan:
    unit = "    service: {kind: systemd, unit: api.service}\n"
    return load(PLAN.replace(unit, f"{unit}    release: {{kind: git, folder: /srv/api}}\n"))


@pytest.mark.parametrize(
    ("command", "action"),
    [
        ("npm run db:health-check", "database-health"),
        ("pg_isready -h db", "database-health"),
        ("./backup.sh --list postgresql", "list-backups"),
        ("./restore.sh postgresql --list", "list-backups"),
        ("ls -la /var/backups/pg/daily/ | tail -5", "list-backups"),
        ("pgbackrest info", "list-backups"),
        ("npm run db:verify-integrity", "verify-data"),
        ("npm run db:integrity-check", "verify-data"),
        ("npm run test:smoke", "validate"),
        ("./verify-recovery.sh", "validate"),
        ("curl http://localhost:5000/api/health", "check"),
        ("sudo systemctl restart api", "service"),
        ("systemctl status api.service", "service"),
        ("npm run restart-production", "service"),
        ("systemctl restart nginx", "command"),
        ("npm run db:migrate", "command"),
        ("npm run db:analyze-corruption", "command"),
        ("git checkout HEAD~1", "command"),
        ("./restore.sh postgresql x.dump", "command"),
    ],
)
def test_commands_become_built_in_actions(command: str, action: str) -> None:
    """In a failure of the API, with a base that knows its service; what has no row stays."""
    scenario = scenario_of(f"- `{command}`", _base(), "API failure")
    (step,) = scenario.steps
    assert step.action == action


@pytest.mark.parametrize(
    "command",
    [
        "pg_isready || systemctl restart postgresql",
        "pg_isready | cat && ./failover.sh",
        "curl -s http://localhost:5000/api/health | jq . && ./switch-dns.sh",
        "./backup.sh --list | tail -1 > newest",
        "ls -t /backups | tail -n +8 | xargs rm",
        "./restore.sh postgresql latest && rm -rf /backups",
        "curl http://localhost/health > /tmp/x",
        "npm run test:smoke; npm run cleanup",
        "systemctl status api\nrm x",
    ],
)
def test_a_chain_is_never_taken_for_its_beginning(command: str) -> None:
    """A line that does more than one thing stays as it is, also where the database is rebuilt."""
    (step,) = scenario_of(f"```sh\n{command}\n```", _base()).steps[:1]
    assert step.action in ("command", "service")
    assert all(s.action != "restore" for s in scenario_of(f"- `{command}`").steps)


def test_a_service_is_named_by_its_component() -> None:
    """systemctl restart api.service is a restart of the component that runs as that unit."""
    (step,) = scenario_of("- `sudo systemctl restart api`", _base(), "API failure").steps
    assert isinstance(step, ServiceAct)
    assert (step.component, step.do) == ("api", "restart")


def test_a_release_takes_over_install_build_and_restart() -> None:
    """With a release in the base, going back is one act, and its parts are not run again."""
    body = "```sh\ngit checkout HEAD~1\nnpm install\nnpm run build\nsystemctl restart api\n```"
    (step,) = scenario_of(body, _release_base(), "API failure").steps
    assert isinstance(step, ReleaseAct)
    assert (step.component, step.do) == ("api", "rollback")
    assert step.approval == "incident-commander"


def test_migrations_belong_to_the_release_where_there_is_one() -> None:
    """db:migrate is the release's migration with such a base, a command without."""
    (step,) = scenario_of("- `npm run db:migrate`", _release_base(), "API failure").steps
    assert isinstance(step, ReleaseAct)
    assert step.do == "migrate"


@pytest.mark.parametrize(
    ("command", "url", "method"),
    [
        ("curl http://localhost:5000/anything", "http://localhost:5000/anything", None),
        ("curl -fsS https://x.example/healthz", "https://x.example/healthz", None),
        ("curl -I http://x.example/status", "http://x.example/status", "HEAD"),
        ("curl -s http://x.example/health | jq .", "http://x.example/health", None),
    ],
)
def test_addresses_that_are_only_looked_at_are_checked(
    command: str, url: str, method: str | None
) -> None:
    """The condition has the address and the status that the command implies."""
    act = check_of(command)
    assert act is not None
    condition = CheckAct.model_validate(act).conditions[0]
    assert condition.model_dump()["url"] == url
    assert condition.model_dump()["method"] == (method or "GET")
    assert condition.model_dump()["status"] == 200


@pytest.mark.parametrize(
    "command",
    [
        "curl https://x.example/install.sh",
        "curl -X POST http://localhost/reload",
        "curl -d a=b http://localhost/health",
        "curl -H 'Authorization: x' http://localhost/health",
        "curl http://$HOST/health",
        "curl -fsSL https://x.example/health",
        "curl http://user:pw@localhost/health",
    ],
)
def test_addresses_that_do_more_stay_commands(command: str) -> None:
    """What sends, follows, downloads or needs a variable is no check."""
    assert check_of(command) is None


def test_the_report_gives_the_reason_of_each_mapping() -> None:
    """People read why their command became something else."""
    done = imported("# X\n\n## Scenarios\n\n### Database failure\n\n- `pg_isready`\n")
    (line,) = done.report.of(Fate.MAPPED)
    assert line.became == "database-health: asks the database whether it answers"
    assert line.places == ("scenarios[0].steps[0]",)


def test_every_row_has_a_reason() -> None:
    """No row of the table maps without words for people."""
    assert all(row.reason for row in (*COMMANDS, *WORDS))


def test_a_restore_elsewhere_refers_to_the_scenario_that_rebuilds() -> None:
    """Restoring the latest backup in a quick procedure is that scenario; a named dump is not."""
    plan = imported(
        "# X\n\n## Scenarios\n\n### Database failure\n\n- `./restore.sh postgresql latest`\n\n"
        "## Quick commands\n\n### Restore\n\n- `./restore.sh auto latest`\n- `pg_restore a.dump`\n"
    ).loaded.plan
    assert actions(plan.procedures[0].steps) == ["runbook", "command"]


def test_a_drill_maps_only_what_looks() -> None:
    """A rehearsal never becomes an act on production; stopping something is warned of."""
    done = imported(
        "# X\n\n## Drills\n\n### Monthly: restore\n\n```sh\nsystemctl stop api\n"
        "npm run test:smoke\n./backup.sh --list\n```\n",
        _base(),
    )
    (drill,) = done.loaded.plan.drills
    assert actions(drill.steps) == ["command", "command", "list-backups"]
    assert "a drill must not do this to production" in done.text


def test_a_placeholder_is_something_to_fill_in() -> None:
    """A command with a hole is imported as it stands, and the hole is told."""
    done = imported("# X\n\n## Scenarios\n\n### Breach\n\n- `iptables -s SUSPICIOUS_IP -j DROP`\n")
    assert "fill in: SUSPICIOUS_IP stands for something only you know" in done.text
    step = step_named(done.loaded.plan.scenarios[0].steps, "iptables-s-suspicious-ip-j-drop")
    assert isinstance(step, CommandAct)

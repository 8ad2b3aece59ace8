"""Every code is found where it should be, and none of them in a plan that is sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from feasibility_plans import API, DATABASE, NOW, PATH, Here, findings, of_code, small

from processpilot.feasibility.codes import CODES
from processpilot.feasibility.finding import Finding

TEAM = """\
team:
  people:
    - {name: Ada, phone: "+41 44 668 18 00"}
    - {name: Ben, email: ben@shop.test}
  roles: [{id: commander, title: Commander, primary: Ada, secondary: Ben}]
  escalation: [{after: 0, page: [commander]}]
"""
REST = f"""{TEAM}channels: [{{id: chat, url: "env:CHAT"}}, {{id: mail, url: "env:MAIL"}}]
drills: [{{id: monthly, title: Monthly, every: 30d}}]
"""
STEP = "- {id: all, title: All, action: manual, timebox: 60m}"
SOUND = small(STEP, rest=REST, components=API)
HERE = Here(
    units=frozenset({"postgresql", "api"}), programs=frozenset({"sh", "true", "touch", "neon"})
)
RAN: Mapping[str, Any] = {"drills": {"monthly": NOW - timedelta(days=3)}}
DATA = 'database: {dsn: "postgresql://postgres@localhost:5432/small", data_dir: /disk/data}'
ON_DISK = SOUND.replace(
    'database: {dsn: "postgresql://postgres@localhost:5432/small"}', DATA
).replace("s3://backups/small", "/disk/backups")
DISKS = Here(units=HERE.units, devices={"/disk": 1, "/": 2})


@dataclass(frozen=True)
class Case:
    """A plan in which one thing is wrong, and where it says so."""

    text: str
    place: str
    here: Here = HERE
    facts: Mapping[str, Any] = field(default_factory=lambda: RAN)


def with_(old: str, new: str) -> str:
    """Return the sound plan with one passage replaced."""
    assert SOUND.count(old) == 1, f"{old!r} occurs {SOUND.count(old)} times"
    return SOUND.replace(old, new)


def steps(text: str) -> str:
    """Return the sound plan with other steps."""
    return with_(f"      {STEP}\n", "".join(f"      {line}\n" for line in text.splitlines()))


def command(argv: str, more: str = "") -> str:
    """Return the sound plan with a step that runs a program."""
    return steps(f"- {{id: run, title: Run, action: command, argv: {argv}, timebox: 5m{more}}}")


def boxed(own: str, inner: str) -> str:
    """Return the sound plan with a group and a step in it."""
    return steps(
        f"- id: group\n  title: Group\n  action: sequence\n  timebox: {own}\n"
        f"  steps: [{{id: inner, title: Inner, action: manual, timebox: {inner}}}]"
    )


STEP_0 = "scenarios[0].steps[0]"
CASES: Mapping[str, Case] = {
    "objective-missed": Case(with_("timebox: 60m", "timebox: 200m"), STEP_0),
    "beyond-critical": Case(with_("timebox: 60m", "timebox: 241m"), "scenarios[0]"),
    "no-slack": Case(with_("timebox: 60m", "timebox: 120m"), STEP_0),
    "little-slack": Case(with_("timebox: 60m", "timebox: 119m"), STEP_0),
    "objective-unproven": Case(with_(", timebox: 60m", ""), STEP_0),
    "duration-unknown": Case(with_(", timebox: 60m", ""), STEP_0),
    "timebox-exceeded": Case(boxed("10m", "11m"), f"{STEP_0}.timebox"),
    "timebox-too-short": Case(
        with_("timebox: 60m", "timebox: 60m, estimate: 61m"), f"{STEP_0}.timebox"
    ),
    "timebox-missing": Case(with_("timebox: 60m", "estimate: 60m"), STEP_0),
    "loss-bound": Case(with_("mode: synchronous", "tail_interval: 61m"), "components[0].rpo"),
    "dump-cadence": Case(command("[sh, weekly.dump]"), STEP_0),
    "log-after-dump": Case(
        steps(
            "- {id: a, title: pg_restore a.dump, action: manual, timebox: 1m}\n"
            "- {id: b, title: Set recovery_target_time, action: manual, timebox: 1m}"
        ),
        "scenarios[0].steps[1]",
    ),
    "rests-on-log": Case(SOUND, "backup.schedule"),
    "rto-contradiction": Case(SOUND, "components[1].rto"),
    "rpo-contradiction": Case(
        SOUND.replace("rto: 2h\n    rpo: 1h", "rto: 2h\n    rpo: 0"), "components[1].rpo"
    ),
    "two-roles": Case(
        with_("secondary: Ben}]", "secondary: Ben}, {id: dba, title: D, primary: Ada}]"),
        "team.roles[1].primary",
    ),
    "own-deputy": Case(with_("secondary: Ben", "secondary: Ada"), "team.roles[0].secondary"),
    "no-deputy": Case(with_(", secondary: Ben", ""), "team.roles[0]"),
    "deputy-busy": Case(
        with_("secondary: Ben}]", "secondary: Ben}, {id: dba, title: D, primary: Ben}]"),
        "team.roles[0].secondary",
    ),
    "role-unfilled": Case(with_(", primary: Ada, secondary: Ben", ""), "team.roles[0]"),
    "approval-by-nobody": Case(
        with_(", primary: Ada, secondary: Ben", "").replace(
            "timebox: 60m", "timebox: 60m, approval: commander"
        ),
        f"{STEP_0}.approval",
    ),
    "called-before-woken": Case(
        with_("after: 0", "after: 30m").replace("title: All", "title: Tell the commander"), STEP_0
    ),
    "never-woken": Case(
        with_("page: [commander]", "page: [Cid]").replace("title: All", "title: Ask commander"),
        STEP_0,
    ),
    "no-escalation": Case(with_("  escalation: [{after: 0, page: [commander]}]\n", ""), "team"),
    "level-wakes-nobody": Case(
        with_("page: [commander]", "page: [commander, owl]"), "team.escalation[0].page[1]"
    ),
    "placeholder-contact": Case(with_("+41 44 668 18 00", "[PHONE]"), "team.people[0].phone"),
    "contact-missing": Case(
        with_(', phone: "+41 44 668 18 00"', "").replace(", email: ben@shop.test", ""),
        "team.roles[0]",
    ),
    "nobody-reachable": Case(
        with_("+41 44 668 18 00", "TBD")
        .replace("ben@shop.test", "ben@example.com")
        .replace('channels: [{id: chat, url: "env:CHAT"}, {id: mail, url: "env:MAIL"}]\n', ""),
        "team",
    ),
    "command-missing": Case(command("[sh, -c, 'true; gone']"), f"{STEP_0}.argv"),
    "script-missing": Case(command("[npm, run, gone]"), f"{STEP_0}.argv"),
    "file-missing": Case(command("[cat, /etc/gone]"), f"{STEP_0}.argv"),
    "service-missing": Case(with_("unit: api.service", "unit: w"), "components[1].service"),
    "host-unknown": Case(
        with_("http://localhost/health", "http://gone.test/health"), "components[1].probes[0].url"
    ),
    "vendor-command": Case(command("[neon, branch, reset, main, --timestamp=T]"), f"{STEP_0}.argv"),
    "placeholder-in-command": Case(command("[touch, --id=BACKUP_ID]"), f"{STEP_0}.argv"),
    "placeholder-left": Case(with_("s3://backups/small", "s3://FILL-IN"), "repository.url"),
    "step-without-probe": Case(command("[touch]"), STEP_0),
    "command-not-accepted": Case(command("[touch]", ', origin: "R.md:1"'), STEP_0),
    "destructive-without-approval": Case(command("[rm, -rf, x]"), STEP_0),
    "symptom-unseen": Case(
        with_("{probe: database.connect, required: true}", "{means: smoke}"),
        "scenarios[0].symptoms",
    ),
    "component-without-probe": Case(
        with_('    probes: [{id: health, kind: http, url: "http://localhost/health"}]\n', ""),
        "components[1]",
    ),
    "component-without-service": Case(
        with_("    service: {kind: systemd, unit: api.service}\n", ""), "components[1]"
    ),
    "no-drill": Case(with_("drills: [{id: monthly, title: Monthly, every: 30d}]\n", ""), ""),
    "drill-never-ran": Case(SOUND, "drills[0]", facts={}),
    "drill-lapsed": Case(
        SOUND, "drills[0]", facts={"drills": {"monthly": NOW - timedelta(days=31)}}
    ),
    "repository-on-database-disk": Case(ON_DISK, "repository.url", DISKS),
    "repository-beside-data": Case(ON_DISK, "repository.url", DISKS),
    "spool-on-database-disk": Case(
        ON_DISK.replace("synchronous}", "synchronous, spool_dir: /disk/spool}"),
        "protection.spool_dir",
        DISKS,
    ),
    "state-on-database-disk": Case(f"state_dir: /disk/state\n{ON_DISK}", "state_dir", DISKS),
    "no-channel": Case(
        with_('channels: [{id: chat, url: "env:CHAT"}, {id: mail, url: "env:MAIL"}]\n', ""), ""
    ),
    "one-channel": Case(with_(', {id: mail, url: "env:MAIL"}', ""), "channels"),
    "checklist-unproven": Case(SOUND + "checklist: [{text: All well}]\n", "checklist[0]"),
    "checklist-unknown-proof": Case(
        SOUND + "checklist: [{text: All well, by: [api.health, backup, gone]}]\n",
        "checklist[0].by[2]",
    ),
}
# What is honest to say of the sound plan as well.
ALWAYS = {"rests-on-log", "rto-contradiction"}


def found_in(case: Case) -> list[Finding]:
    """Return what is found in a case's plan."""
    return list(findings(case.text, case.here, **case.facts))


def test_every_code_has_a_case() -> None:
    """No rule is left without a plan that breaks it."""
    assert set(CASES) == set(CODES)


def test_a_sound_plan_has_only_what_is_honest() -> None:
    """The API must be back before its database may be: that is a contradiction, and stays one."""
    assert {f.code for f in found_in(Case(SOUND, ""))} == ALWAYS


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_found_where_it_should_be(code: str) -> None:
    """With its place and line, arithmetic and a way out; messages as everywhere in this program."""
    case = CASES[code]
    found = of_code(found_in(case), code)
    assert case.place in [f.place for f in found], found
    for finding in found:
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.arithmetic
        assert finding.way_out.endswith((".", "}", "]")) or ": " in finding.way_out
        assert not finding.message.endswith(".")


def test_the_helpers_parts_fit_together() -> None:
    """The cases stand on the small plan of the other tests."""
    assert DATABASE in SOUND
    assert PATH.name == "processpilot.yaml"

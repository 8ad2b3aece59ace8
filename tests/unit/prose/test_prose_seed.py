"""The runbook this product started from is imported without loss."""

from __future__ import annotations

from pathlib import Path

import pytest
from prose_text import (
    SEED,
    actions,
    broken_places,
    every_command,
    imported_file,
    step_named,
    timeboxes,
    unheard_lines,
)

from processpilot.plan.act import CommandAct
from processpilot.plan.builtin import ApplicationPlaces, Basics, application_plan
from processpilot.plan.condition import ProbeCondition
from processpilot.plan.load import load_plan, parse_plan
from processpilot.plan.model import Plan
from processpilot.plan.step import Group, every_step
from processpilot.prose.draft import Fate
from processpilot.prose.importing import Import, write_new

pytestmark = pytest.mark.skipif(not SEED.exists(), reason=f"the runbook is not at {SEED}")
MIN, HOUR, DAY = 60.0, 3600.0, 86400.0


@pytest.fixture(scope="module")
def done() -> Import:
    """Return the import without a base."""
    return imported_file(SEED)


@pytest.fixture(scope="module")
def plan(done: Import) -> Plan:
    """Return the plan that it became."""
    return done.loaded.plan


@pytest.fixture(scope="module")
def based() -> Plan:
    """Return the plan that it becomes with the application's own plan as a base."""
    text = application_plan(
        Basics("ProcessPilot", "postgresql://postgres@localhost/app", "backups"),
        ApplicationPlaces("http://localhost:5000", "unix:///run/s.sock", "file:x"),
    )
    return imported_file(SEED, parse_plan(text, Path("/plans/base.yaml"))).loaded.plan


def test_every_line_is_accounted_for(done: Import) -> None:
    """408 lines with something on them; what was of no use is known by its number."""
    assert not unheard_lines(SEED.read_text(), done)
    assert not list(broken_places(done))
    assert len(done.report.lines) == 408
    assert [line.line for line in done.report.of(Fate.UNUSED)] == [3, 5, 507, 526, 527, 528, 529]
    assert done.report.found == {
        "components": 5, "meanings of priorities": 4, "roles": 5, "escalation levels": 3,
        "scenarios": 4, "points of the checklist": 8, "drills": 2, "vendors": 4,
        "support levels": 4, "providers": 5, "procedures": 7, "lists of follow-ups": 3,
        "steps of scenarios": 61, "commands to accept": 33,
    }  # fmt: skip


def test_components_have_their_objectives(plan: Plan) -> None:
    """Five components with recovery time, data loss and priority, and what priorities mean."""
    found = [(c.id, c.title, c.rto_s, c.rpo_s, c.priority) for c in plan.components]
    assert found == [
        ("database", "Database", 4 * HOUR, HOUR, "critical"),
        ("api", "API Backend", 2 * HOUR, 0, "critical"),
        ("frontend", "Frontend Application", HOUR, 0, "high"),
        ("email", "Email Service", 4 * HOUR, 30 * MIN, "medium"),
        ("analytics", "Analytics", 8 * HOUR, 4 * HOUR, "low"),
    ]
    assert plan.impact == {
        "critical": "Service unavailable affects core business operations",
        "high": "Significant user impact but workarounds exist",
        "medium": "Limited impact, non-critical features affected",
        "low": "Minimal impact, nice-to-have features affected",
    }


def test_the_team_is_whole(plan: Plan) -> None:
    """Five roles with who fills them, their duties, and the placeholders of their contacts."""
    found = {r.id: (r.primary, r.secondary, len(r.duties)) for r in plan.team.roles}
    assert found == {
        "incident-commander": ("CTO", "Lead Developer", 4),
        "database-administrator": ("DevOps Engineer", "Backend Developer", 3),
        "application-team": ("Full Stack Developer", "Frontend Developer", 3),
        "infrastructure-team": ("DevOps Engineer", "System Administrator", 3),
        "communications-lead": ("Product Manager", "Project Manager", 3),
    }
    assert {
        (r.contact.phone, r.contact.email, r.contact.chat) if r.contact else None
        for r in plan.team.roles
    } == {("[PHONE]", "[EMAIL]", "[SLACK]")}
    assert [(e.after_s, e.page) for e in plan.team.escalation] == [
        (0, ("primary",)), (30 * MIN, ("secondary",)), (60 * MIN, ("incident-commander",)),
    ]  # fmt: skip


def test_scenarios_have_their_symptoms(plan: Plan) -> None:
    """Four scenarios with three symptoms each, in words."""
    found = {s.id: (s.component, [x.means for x in s.symptoms]) for s in plan.scenarios}
    assert found["complete-database-failure"] == (
        "database",
        ["Database connection errors across all applications", "Health check endpoints failing",
         "User authentication failures"],
    )  # fmt: skip
    assert {name: (c, len(s)) for name, (c, s) in found.items()} == {
        "complete-database-failure": ("database", 3),
        "application-server-failure": ("api", 3),
        "data-corruption": ("database", 3),
        "security-breach": ("database", 3),
    }


def test_every_time_box_is_there(plan: Plan) -> None:
    """Windows count from the incident on; a step has the time between the two ends."""
    assert {s.id: timeboxes(s.steps) for s in plan.scenarios} == {
        "complete-database-failure": {
            "immediate-response": 15, "recovery-steps": 225, "environment-assessment": 15,
            "database-recovery": 90, "application-restart": 60, "verification-testing": 60,
        },
        "application-server-failure": {"server-assessment": 15, "service-recovery": 45},
        "data-corruption": {
            "damage-assessment": 30, "point-in-time-recovery": 150, "data-reconciliation": 120,
        },
        "security-breach": {
            "immediate-response": 30, "recovery-steps": 450, "system-assessment": 90,
            "system-hardening": 180, "verification": 180,
        },
    }  # fmt: skip


def test_the_database_scenario_is_the_built_in_recovery(plan: Plan) -> None:
    """Assessed where the document assesses, restored where it restores, backed up at the end."""
    steps = plan.scenarios[0].steps
    assert actions(steps) == [
        "database-health", "check", *["manual"] * 6, "list-backups", "list-backups", "assess",
        "drain", "restore", "replay", "prove", "fence", "swap", "start-database", "protect",
        "verify-data", "command", "start-applications", "check", "check", "validate", "command",
        "backup",
    ]  # fmt: skip
    assert getattr(step_named(steps, "fence"), "approval", None) == "incident-commander"
    brought = {s.id: s.brings_up for s in every_step(steps) if s.brings_up}
    assert brought == {
        "database-recovery": ("database",),
        "application-restart": ("api", "frontend", "email", "analytics"),
    }


def test_the_other_scenarios_keep_their_commands(plan: Plan) -> None:
    """What is not there yet stays as it was written, with approvals where it destroys."""
    server, corruption, breach = plan.scenarios[1:]
    assert actions(server.steps) == [*["command"] * 8, "approval", *["command"] * 4]
    assert actions(corruption.steps) == [
        "verify-data", "command", "command", "list-backups", "command", "verify-data",
        "command", "command", "command",
    ]  # fmt: skip
    assert actions(breach.steps) == [*["command"] * 4, *["manual"] * 3, *["command"] * 5]
    asked = {
        s.id
        for scenario in (server, corruption, breach)
        for s in every_step(scenario.steps)
        if getattr(s, "approval", None) == "incident-commander" and s.action == "command"
    }
    assert asked == {
        "deploy-from-backup-rollback-to-previous-version", "restore-to-point-before-corruption",
        "manual-data-recovery-if-needed", "block-suspicious-ips-at-firewall-level",
        "revoke-api-tokens", "reset-all-passwords-and-tokens", "update-security-patches",
        "restore-from-clean-backup-if-compromised",
    }  # fmt: skip
    assert corruption.steps[-1].brings_up[0] == "database"
    assert breach.steps[-1].brings_up[0] == "database"


def test_every_command_of_the_document_is_in_the_plan_or_mapped(done: Import) -> None:
    """No line of a shell block is left over but a message for the screen."""
    inside, language = False, ""
    fates = {line.line: line.fate for line in done.report.lines}
    for n, text in enumerate(SEED.read_text().splitlines(), 1):
        if text.strip().startswith("```"):
            inside, language = not inside, text.strip().strip("`")
        elif inside and language == "bash" and text.strip() and n != 507:
            assert fates[n] is not Fate.UNUSED, text


def test_commands_stand_as_they_were_written(plan: Plan) -> None:
    """Pipes go to a shell, others are split; folder, environment and origin come along."""
    commands = {c.origin: c for c in every_command(plan) if isinstance(c, CommandAct)}
    first = commands["DISASTER_RECOVERY.md:171"]
    assert first.argv == ("sh", "-c", "netstat -tulpn | grep 5000")
    second = commands["DISASTER_RECOVERY.md:178"]
    assert (second.argv, second.folder) == (("git", "checkout", "HEAD~1"), "/opt/processpilot")
    third = commands["DISASTER_RECOVERY.md:378"]
    assert third.env == {"DB_PROVIDER": "supabase", "SUPABASE_DATABASE_URL": "postgresql://..."}
    assert commands["DISASTER_RECOVERY.md:477"].argv[:2] == ("bash", "-c")
    assert all(c.origin for c in every_command(plan))


def test_what_lies_outside_is_whole(plan: Plan) -> None:
    """Providers, procedures, drills, the checklist, vendors, support levels, follow-ups."""
    titles = [p.title for p in plan.providers]
    assert titles == ["PostgreSQL", "Supabase", "PlanetScale", "Neon", "Railway"]
    assert [p.title for p in plan.procedures] == [
        "PostgreSQL to Supabase", "Emergency Provider Switch", "Database Quick Restore",
        "Application Quick Restart", "Health Check Verification", "Emergency Recovery Script",
        "Recovery Verification Script",
    ]  # fmt: skip
    assert [(d.id, d.every_s, len(d.steps)) for d in plan.drills] == [
        ("database-backup-restoration", 30 * DAY, 2), ("complete-system-recovery", 30 * DAY, 2),
    ]  # fmt: skip
    proofs = {c.text: c.by for c in plan.checklist}
    assert len(proofs) == 8
    assert proofs["Backup processes resumed"] == ("backup",)
    assert proofs["Monitoring systems operational"] == ("streaming", "heartbeat")
    assert proofs["Performance within acceptable limits"] == ("speed",)
    assert proofs["Data integrity verified"] == ("prove",)
    assert [v.phone for v in plan.vendors] == ["[Provider Support Contact]"] * 4
    assert [(s.severity, s.response_s) for s in plan.support] == [
        ("critical", 0), ("high", 4 * HOUR), ("medium", 8 * HOUR), ("low", 24 * HOUR),
    ]  # fmt: skip
    assert [(f.title, f.begin_s, f.end_s, len(f.items)) for f in plan.follow_ups] == [
        ("Immediate Post-Recovery", 0, 2 * HOUR, 6),
        ("Post-Incident Review", 24 * HOUR, 48 * HOUR, 6),
        ("Documentation Updates", 0, None, 4),
    ]


def test_with_a_base_services_and_probes_take_part(based: Plan) -> None:
    """Symptoms are seen by probes, restarts go through the driver, a condition is a probe."""
    database, server = based.scenarios[:2]
    assert [s.probe for s in database.symptoms] == [
        "database.connect", "api.health", "api.authentication",
    ]  # fmt: skip
    assert [(s.probe, s.required, s.passes) for s in server.symptoms if s.required] == [
        ("api.health", True, False), ("database.connect", True, True),
    ]  # fmt: skip
    group = server.steps[2]
    assert isinstance(group, Group)
    condition = ProbeCondition(kind="probe", probe="api.health", passes=False)
    assert {getattr(step, "only_if", None) for step in group.steps} == {condition}
    assert [s.action for s in every_step(server.steps)].count("service") == 3
    assert based.checklist[0].by == ("database.connect",)


def test_the_written_plan_loads(done: Import, tmp_path: Path) -> None:
    """A later command finds in the file what the import reported."""
    write_new(done.text, tmp_path / "processpilot.yaml")
    assert load_plan(tmp_path / "processpilot.yaml").plan == done.loaded.plan

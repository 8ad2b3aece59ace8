"""Components, people and what lies outside, in the ways people write them down."""

from __future__ import annotations

import pytest
from prose_text import imported

from processpilot.plan.component import Priority
from processpilot.plan.model import Plan


def _plan(text: str) -> Plan:
    return imported(f"# Shop runbook\n\n{text}\n").loaded.plan


@pytest.mark.parametrize(
    "text",
    [
        "## Objectives\n\n| Component | RTO | RPO | Priority |\n|---|---|---|---|\n"
        "| **Database** | 4 hours | 1 hour | Critical |",
        "## Systems\n\n| Tier | Max. data loss | Max. downtime | System |\n|---|---|---|---|\n"
        "| Tier 1 | 60 min | 4h | Database |",
        "## Targets\n\n- Database: RTO 4 hours, RPO 1 hour, critical",
        "## Targets\n\n- **Database** - P1\n  - RTO: 4h\n  - RPO: 1 h, critical",
        "## Recovery objectives\n\n### Database\n\nRTO: 4 hours (critical)\n\nRPO: 60 minutes",
        "## Ziele\n\n- Datenbank: RTO 4 Stunden, RPO eine Stunde, Priorität kritisch",
    ],
)
def test_objectives_are_the_same_however_they_are_written(text: str) -> None:
    """Tables in any order, lists, nested lists, sections, another language: one component."""
    (component,) = _plan(text).components
    assert (component.id, component.rto_s, component.rpo_s) == ("database", 14400, 3600)
    assert component.priority is Priority.CRITICAL


def test_objectives_of_nothing_named_belong_to_the_database() -> None:
    """One line under the title is about the database, and that is said to be a guess."""
    done = imported("# Shop\n\n**RTO:** 90 minutes | **RPO:** 5 minutes\n")
    (component,) = done.loaded.plan.components
    assert (component.id, component.rto_s, component.rpo_s) == ("database", 5400, 300)
    assert "# inferred: the document does not say of what these are objectives" in done.text


def test_what_is_not_said_is_assumed_and_marked() -> None:
    """A component without objectives gets usual ones, each with a remark."""
    done = imported("# Shop\n\n## Objectives\n\n- Database: RTO 2h\n")
    assert "# assumed: the document does not say the rpo" in done.text


def test_dependencies_come_from_the_document_or_are_assumed() -> None:
    """A column says what needs what; else all need the database and a frontend the API."""
    head = "## Objectives\n\n| Component | RTO | RPO |"
    rows = "|---|---|---|\n| Database | 1h | 0 |\n| API | 1h | 0 |\n| Frontend | 1h | 0 |"
    needs = {c.id: c.depends_on for c in _plan(f"{head}\n{rows}").components}
    assert needs == {"database": (), "api": ("database",), "frontend": ("api",)}
    told = f"{head[:-1]}| Depends on |\n|---|---|---|---|\n| Database | 1h | 0 | |\n"
    told += "| Search | 1h | 0 | |\n| Shop | 1h | 0 | Database, Search |"
    needs = {c.id: c.depends_on for c in _plan(told).components}
    assert needs["shop"] == ("database", "search")


def test_dependencies_in_a_circle_are_not_written() -> None:
    """A document that goes round in circles still gives a plan that loads."""
    table = "| Component | RTO | RPO | Depends on |\n|---|---|---|---|\n"
    plan = _plan(f"## Objectives\n\n{table}| A1 | 1h | 0 | B1 |\n| B1 | 1h | 0 | A1 |")
    assert [c.depends_on for c in plan.components] == [(), ()]


@pytest.mark.parametrize(
    "text",
    [
        "### Roles\n\n#### **Incident Commander** (Primary: CTO, Secondary: Lead)\n- decides",
        "### Roles\n\n| Role | Primary | Secondary | Duties |\n|---|---|---|---|\n"
        "| Incident Commander | CTO | Lead | decides |",
        "### Roles\n\n- **Incident Commander**: CTO (deputy: Lead)\n  - decides",
        "### Roles\n\n- Incident Commander - primary: CTO, secondary: Lead\n  - decides",
        "### Roles\n\n#### Incident Commander\n- Primary: CTO\n- Backup: Lead\n- decides",
    ],
)
def test_roles_are_the_same_however_they_are_written(text: str) -> None:
    """Headings, tables and bullets name who fills a role and what it does."""
    (role,) = _plan(f"## Team\n\n{text}").team.roles
    assert (role.id, role.title) == ("incident-commander", "Incident Commander")
    assert (role.primary, role.secondary, role.duties) == ("CTO", "Lead", ("decides",))


def test_contacts_go_to_the_roles_they_name() -> None:
    """Placeholders stay as they are; "Team Lead" is the team; a stranger becomes a role."""
    plan = _plan(
        "## Team\n\n- Application Team: dev\n\n## Contacts\n\n```text\n"
        "Application Team Lead:   [PHONE] [EMAIL] [SLACK]\n"
        "Night watch:  +49 30 555010 #night\n```\n"
        "\n- hosting: help@host.example\n"
    )
    contacts = {r.id: r.contact for r in plan.team.roles}
    team, watch = contacts["application-team"], contacts["night-watch"]
    assert team is not None
    assert watch is not None
    assert (team.phone, team.email, team.chat) == ("[PHONE]", "[EMAIL]", "[SLACK]")
    assert (watch.phone, watch.chat) == ("+49 30 555010", "#night")
    assert [(v.id, v.email) for v in plan.vendors] == [("hosting", "help@host.example")]


@pytest.mark.parametrize(
    "text",
    [
        "1. **Level 1** (0-30 min): Primary on-call responds\n"
        "2. **Level 2** (30-60 min): Secondary on-call\n3. Level 3 (60+ min): Incident Commander",
        "| Level | After | Who |\n|---|---|---|\n| 1 | 0 min | Primary |\n"
        "| 2 | 30 min | Secondary |\n| 3 | after 1 hour | Incident Commander |",
        "### Level 1 (0-30 min)\n\nPrimary\n\n### Level 2 (30-60 min)\n\n- Secondary\n\n"
        "### Level 3 (60+ min)\n\nIncident Commander",
    ],
)
def test_escalation_levels_have_their_moments(text: str) -> None:
    """Whoever is named at a level is woken at its beginning."""
    plan = _plan(f"## Team\n\n- Incident Commander: CTO\n\n## Escalation\n\n{text}")
    levels = [(level.after_s / 60, level.page) for level in plan.team.escalation]
    assert levels == [(0, ("primary",)), (30, ("secondary",)), (60, ("incident-commander",))]


def test_vendors_and_what_they_promise() -> None:
    """Lists and tables; a placeholder is the contact as it stands."""
    plan = _plan(
        "## Vendors\n\n- **DNS**: [Provider Support Contact]\n"
        "- Hoster: 0800 5550199, day and night\n\n"
        "### Support levels\n\n- **Critical**: Immediate phone support\n"
        "- High: 4-hour response SLA\n"
    )
    assert [(v.id, v.phone) for v in plan.vendors] == [
        ("dns", "[Provider Support Contact]"), ("hoster", "0800 5550199"),
    ]  # fmt: skip
    assert plan.vendors[1].note == "0800 5550199, day and night"
    assert [(s.severity, s.response_s, s.by) for s in plan.support] == [
        ("critical", 0, "phone"), ("high", 14400, ""),
    ]  # fmt: skip


def test_drills_know_how_often() -> None:
    """From the section above, from the line, from a column; else it is assumed."""
    plan = _plan(
        "## Testing\n\n### Monthly drills\n\n#### Drill 1: Restore\n\n- `./backup.sh --list`\n\n"
        "## Exercises\n\n- Twice a year: the whole evening\n"
    )
    assert [(d.id, d.every_s / 86400) for d in plan.drills] == [
        ("restore", 30), ("the-whole-evening", 182),
    ]  # fmt: skip


def test_the_checklist_knows_what_proves_it() -> None:
    """Built-in checks prove what they can; the rest is left to people."""
    plan = _plan(
        "## Checklist\n\n- [ ] Backup processes resumed\n- [ ] Monitoring operational\n"
        "- [ ] Performance is fine\n- [ ] Data integrity verified\n- [ ] Everybody is happy\n"
    )
    assert [item.by for item in plan.checklist] == [
        ("backup",), ("streaming", "heartbeat"), ("speed",), ("prove",), (),
    ]  # fmt: skip


def test_follow_ups_have_their_window() -> None:
    """What is nested is told with the words it is nested in."""
    (follow_up,) = _plan(
        "## Post-incident\n\n### Review (24-48 hours)\n\n"
        "1. **Analysis**\n   - Timeline\n   - Cause\n"
    ).follow_ups
    assert (follow_up.title, follow_up.begin_s, follow_up.end_s) == ("Review", 86400, 172800)
    assert follow_up.items == ("Analysis: Timeline", "Analysis: Cause")


def test_providers_and_procedures_are_kept_for_people() -> None:
    """Each section is one, with its commands; a hosted database is not there yet."""
    done = imported(
        "# X\n\n## Recovery by database provider\n\n"
        "### Neon Recovery\n\n```sh\nneon branch list\n```\n"
        "\n## Scripts\n\n### Fix it\n\n```sh\n#!/bin/sh\n# fix.sh\n# Fixes it\nmake fix\n```\n"
    )
    plan = done.loaded.plan
    assert [(p.id, p.title) for p in plan.providers] == [("neon", "Neon")]
    assert [(p.id, p.steps[0].title, p.steps[0].note) for p in plan.procedures] == [
        ("fix-it", "fix.sh", "Fixes it"),
    ]  # fmt: skip
    assert "# not there yet: recovery at Neon is not there yet" in done.text


def test_a_single_disaster_is_a_scenario() -> None:
    """Symptoms and steps right under the title are the document's one scenario."""
    plan = _plan("## Symptoms\n\n- slow\n\n## Resolution\n\n- mend it\n\n## Escalation\n\n- nobody")
    (scenario,) = plan.scenarios
    assert [s.means for s in scenario.symptoms] == ["slow"]
    assert scenario.steps[0].title == "Resolution" or scenario.steps[0].title == "mend it"


def test_a_drill_of_the_whole_system_is_one() -> None:
    """Its title says so; any other restores and proves."""
    plan = imported(
        "## Testing\n\n### Monthly drills\n\n#### Drill 1: Restore\n\n- `./backup.sh --list`\n\n"
        "#### Drill 2: Complete system recovery\n\n- `./verify.sh`\n"
    ).loaded.plan
    assert [d.kind for d in plan.drills] == ["restore", "complete"]

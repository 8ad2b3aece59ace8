"""A runbook as teams write it, as a plan by hand; and worlds in which only named things exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from processpilot.feasibility.check import check_plan
from processpilot.feasibility.finding import Finding
from processpilot.feasibility.world import World
from processpilot.plan.load import LoadedPlan, parse_plan
from processpilot.runbook.forecast import Measured

PATH = Path("/plans/processpilot.yaml")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Here:
    """What exists; everything else does not. `devices` maps folders to file systems."""

    programs: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    texts: Mapping[str, str] = field(default_factory=dict)
    units: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset({"localhost", "127.0.0.1"})
    devices: Mapping[str, int] = field(default_factory=dict)

    def world(
        self,
        measured: Mapping[tuple[str, str], Measured] | None = None,
        drills: Mapping[str, datetime] | None = None,
    ) -> World:
        """Return these facts as a world, at NOW."""
        return World(
            NOW,
            lambda name: name in self.programs,
            lambda path: str(path) in self.paths,
            lambda path: self.texts.get(str(path)),
            lambda name, user: name.removesuffix(".service") in self.units,
            self._hosts,
            self._device,
            measured or {},
            drills or {},
        )

    def _hosts(self, names: Iterable[str]) -> Mapping[str, bool]:
        return {name: name in self.hosts for name in names}

    def _device(self, path: Path) -> int | None:
        for folder in (path, *path.parents):
            if str(folder) in self.devices:
                return self.devices[str(folder)]
        return None


def load(text: str) -> LoadedPlan:
    """Return the plan written as `text`."""
    return parse_plan(text, PATH)


def findings(text: str, here: Here = Here(), **facts: Mapping) -> tuple[Finding, ...]:  # type: ignore[type-arg]
    """Return what is found in the plan written as `text`."""
    return check_plan(load(text), here.world(**facts))


def of_code(found: Iterable[Finding], code: str) -> list[Finding]:
    """Return the findings of one code."""
    return [finding for finding in found if finding.code == code]


HEAD = """\
version: 1
name: small
database: {dsn: "postgresql://postgres@localhost:5432/small"}
repository: {url: "s3://backups/small", identity: "file:key"}
protection: {mode: synchronous}
"""
DATABASE = """\
components:
  - id: database
    title: Database
    priority: critical
    rto: 4h
    rpo: 1h
    probes: [{id: connect, kind: sql, query: select 1}]
    service: {kind: systemd, unit: postgresql.service}
"""


def small(steps: str, *, rest: str = "", components: str = "") -> str:
    """Return a plan with one scenario; `steps` are lines of its list, `components` more of them."""
    lines = "\n".join(f"      {line}" for line in steps.strip("\n").splitlines())
    return f"""{HEAD}{rest}{DATABASE}{components}scenarios:
  - id: failure
    title: Failure
    component: database
    symptoms: [{{probe: database.connect, required: true}}]
    steps:
{lines}
"""


API = """\
  - id: api
    title: API
    priority: high
    rto: 2h
    rpo: 1h
    depends_on: [database]
    probes: [{id: health, kind: http, url: "http://localhost/health"}]
    service: {kind: systemd, unit: api.service}
"""

RUNBOOK = """\
version: 1
name: processpilot
database: {dsn: "postgresql://postgres@localhost:5432/FILL-IN"}
repository: {url: "FILL-IN", identity: "file:operator.key"}
components:
  - {id: database, title: Database, priority: critical, rto: 4h, rpo: 1h}
  - {id: api, title: API Backend, priority: critical, rto: 2h, rpo: 0, depends_on: [database]}
  - {id: frontend, title: Frontend Application, priority: high, rto: 1h, rpo: 0, depends_on: [api]}
  - {id: email, title: Email Service, priority: medium, rto: 4h, rpo: 30m, depends_on: [database]}
  - {id: analytics, title: Analytics, priority: low, rto: 8h, rpo: 4h, depends_on: [database]}
team:
  roles:
    - id: incident-commander
      title: Incident Commander
      primary: CTO
      secondary: Lead Developer
      contact: {phone: "[PHONE]", email: "[EMAIL]", chat: "[SLACK]"}
    - id: database-administrator
      title: Database Administrator
      primary: DevOps Engineer
      secondary: Backend Developer
      contact: {phone: "[PHONE]", email: "[EMAIL]", chat: "[SLACK]"}
    - id: application-team
      title: Application Team
      primary: Full Stack Developer
      secondary: Frontend Developer
    - id: infrastructure-team
      title: Infrastructure Team
      primary: DevOps Engineer
      secondary: System Administrator
  escalation:
    - {title: Level 1, after: 0, page: [primary]}
    - {title: Level 2, after: 30m, page: [secondary]}
    - {title: Level 3, after: 60m, page: [incident-commander]}
scenarios:
  - id: database-failure
    title: Complete Database Failure
    component: database
    symptoms:
      - {means: Database connection errors across all applications}
    steps:
      - id: immediate-response
        title: Immediate Response
        action: sequence
        timebox: 15m
        steps:
          - id: verify
            title: Verify the incident
            action: command
            argv: [sh, -c, "npm run db:health-check\\ncurl http://localhost:5000/health/detailed"]
            folder: backend
            origin: "DISASTER_RECOVERY.md:76"
          - {id: assess, title: Assess impact, action: manual}
          - id: initiate
            title: Initiate incident response
            action: manual
            instruction: Notify incident commander
      - id: environment-assessment
        title: Environment Assessment
        timebox: 15m
        action: command
        argv: [sh, -c, "./backup.sh --list postgresql\\nls -la /var/backups/processpilot/postgresql/daily/ | tail -5"]
        folder: backend/scripts
        origin: "DISASTER_RECOVERY.md:99"
      - id: database-recovery
        title: Database Recovery
        timebox: 90m
        action: command
        argv: [sh, -c, "./restore.sh postgresql /path/to/latest/backup.dump\\nnpm run db:migrate"]
        folder: backend/scripts
        origin: "DISASTER_RECOVERY.md:109"
      - id: application-restart
        title: Application Restart
        timebox: 60m
        brings_up: [api]
        action: command
        argv: [npm, run, restart-production]
        folder: backend
        origin: "DISASTER_RECOVERY.md:121"
      - id: verification
        title: Verification & Testing
        timebox: 60m
        action: command
        argv: [npm, run, "test:smoke"]
        folder: backend
        origin: "DISASTER_RECOVERY.md:131"
  - id: corruption
    title: Data Corruption
    component: database
    symptoms:
      - {means: Data integrity violations}
    steps:
      - {id: damage-assessment, title: Damage Assessment, timebox: 30m, action: manual}
      - {id: point-in-time-recovery, title: Point-in-Time Recovery, timebox: 150m, action: manual}
      - {id: data-reconciliation, title: Data Reconciliation, timebox: 120m, action: manual}
  - id: breach
    title: Security Breach
    component: api
    symptoms:
      - {means: Unauthorized access detected}
    steps:
      - id: isolate
        title: Isolate affected systems
        timebox: 30m
        action: command
        argv: [sh, -c, "iptables -A INPUT -s SUSPICIOUS_IP -j DROP"]
        origin: "DISASTER_RECOVERY.md:243"
      - {id: assessment, title: System Assessment, timebox: 90m, action: manual}
      - id: hardening
        title: System Hardening
        timebox: 180m
        action: command
        argv: [sh, -c, "npm run security:reset-credentials\\napt update && apt upgrade"]
        origin: "DISASTER_RECOVERY.md:270"
      - {id: verification, title: Verification, timebox: 180m, action: manual}
drills:
  - {id: restoration, title: Database Backup Restoration, every: 30d}
checklist:
  - {text: Database connectivity restored, by: [database.connect]}
  - {text: Core business functions operational}
vendors:
  - {id: dns, title: DNS Provider, note: "[Provider Support Contact]"}
providers:
  - id: supabase
    title: Supabase Recovery
    steps:
      - {id: list, title: List, action: command, argv: [supabase, db, dump, --list], origin: "D:1"}
      - {id: restore, title: Restore, action: command, argv: [supabase, db, restore, --backup-id=BACKUP_ID], origin: "D:2"}
  - id: neon
    title: Neon Recovery
    steps:
      - {id: reset, title: Reset, action: command, argv: [neon, branch, reset, main, "--timestamp=2025-01-15T14:30:00Z"], origin: "D:3"}
"""  # noqa: E501

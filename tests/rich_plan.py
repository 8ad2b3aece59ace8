"""The richest plan that the tests of the book read: every kind of step, unicode, hostile text."""

from __future__ import annotations

from typing import Any

import yaml

SECRETS = ("hunter2", "pa55word", "plain-secret")
HOSTILE = "Isolate <script>alert('x')</script> & \"quotes\""
SCRIPT = 'set -e\nfor f in *.sql; do\n  echo "it\'s $f"\n  psql -f "$f"\ndone\n'
LONG = (
    "rsync",
    "-aHAX",
    "--delete",
    "--exclude=/var/cache/very/long/path/**",
    "backup@storage-17.rechenzentrum.example:/srv/backups/processpilot/postgresql/daily/2026-11-26/",
    "/var/lib/postgresql/restored/a folder with spaces/",
)
_DROP = ("INPUT", "-s", "203.0.113.7", "-j", "DROP")


def rich_text() -> str:
    """Return the plan as YAML."""
    return yaml.safe_dump(rich_document(), allow_unicode=True, sort_keys=False)


def rich_document() -> dict[str, Any]:
    """Return the plan as YAML reads it; 59 steps in the first scenario."""
    return {
        "version": 1,
        "name": "Große Wiederherstellung",
        "database": {"dsn": "postgresql://postgres@db/app", "superuser": "pgadmin"},
        "repository": {
            "url": "s3://acme-recovery/production",
            "id": "0123456789abcdef0123456789abcdef",
            "identity": "file:.processpilot/secrets/operator.key",
            "options": {"endpoint": "https://s3.example", "access_key": "file:secrets/access"},
        },
        "impact": {"critical": "Nobody can work"},
        "components": [
            {
                "id": "database",
                "title": "Database",
                "priority": "critical",
                "rto": "4h",
                "rpo": "1h",
                "service": {"kind": "systemd", "unit": "postgresql.service"},
                "probes": [{"id": "connect", "kind": "sql", "query": "select 1"}],
            },
            {
                "id": "api",
                "title": "API Backend",
                "priority": "critical",
                "rto": "2h",
                "rpo": 0,
                "depends_on": ["database"],
                "service": {"kind": "supervisord", "server": "unix:///run/s.sock", "name": "api"},
                "probes": [{"id": "health", "kind": "http", "url": "http://127.0.0.1/health"}],
            },
        ],
        "team": _team(),
        "scenarios": [
            {
                "id": "breach",
                "title": "Security breach",
                "component": "database",
                "symptoms": [
                    {"probe": "database.connect", "required": True, "means": "No connection"},
                    {"means": "Unauthorized access <b>detected</b>"},
                ],
                "steps": [*_steps(), *_many(48)],
            },
            {
                "id": "second",
                "title": "Complete database failure",
                "component": "database",
                "symptoms": [{"probe": "database.connect"}],
                "steps": [
                    {"id": "assess", "title": "Assess", "action": "assess", "timebox": "15m"},
                    {"id": "drain", "title": "Drain", "action": "drain"},
                    {"id": "restore", "title": "Restore", "action": "restore"},
                ],
            },
        ],
        "checklist": [{"text": "Database restored", "by": ["database.connect"]}, {"text": "Works"}],
        "drills": [{"id": "d1", "title": "Backup restoration", "every": "30d"}],
        "vendors": [
            {"id": "host", "title": "Hosting", "phone": "+1 800 555", "note": "contract 4711"}
        ],
        "support": [{"severity": "high", "response": "4h", "by": "telephone"}],
        "providers": [{"id": "neon", "title": "Neon", "steps": _many(1)}],
        "follow_ups": [{"title": "Monitoring", "from": 0, "to": "2h", "items": ["Watch"]}],
    }


def _team() -> dict[str, Any]:
    return {
        "people": [
            {"name": "Ada Łukasz", "phone": "+49 30 1234567", "email": "ada@example.org"},
            {"name": "Grace", "phone": "+49 171 7654321"},
        ],
        "roles": [
            {
                "id": "commander",
                "title": "Incident Commander",
                "primary": "Ada Łukasz",
                "secondary": "Grace",
                "duties": ["Decides"],
            },
            {
                "id": "infra",
                "title": "Infrastructure Team",
                "primary": "Grace",
                "secondary": "On call",
                "contact": {"phone": "+49 30 555 000"},
            },
            {"id": "dba", "title": "Database Administrator", "primary": "Nobody Reachable"},
        ],
        "escalation": [
            {"after": "1h", "title": "Everybody", "page": ["commander", "Ada Łukasz"]},
            {"after": 0, "title": "First", "page": ["primary"]},
            {"after": "30m", "title": "Then", "page": ["secondary"]},
        ],
    }


def _steps() -> list[dict[str, Any]]:
    return [
        {
            "id": "isolate",
            "title": HOSTILE,
            "action": "command",
            "argv": ["iptables", "-A", *_DROP],
            "timebox": "5m",
            "role": "infra",
            "approval": "commander",
            "undo": {"action": "command", "argv": ["iptables", "-D", *_DROP]},
            "probe": {"kind": "command", "argv": ["iptables", "-C", *_DROP]},
            "note": "Die Liste der Adressen steht im Tresor 記録 🚨",
            "origin": "RUNBOOK.md:214",
        },
        {
            "id": "copy",
            "title": "Bring the files over",
            "action": "command",
            "argv": list(LONG),
            "timebox": "45m",
            "env": {"RSYNC_PASSWORD": "file:secrets/rsync", "DB_PASSWORD": SECRETS[0]},
            "retries": 2,
        },
        {
            "id": "script",
            "title": "Run many lines",
            "action": "command",
            "argv": ["bash", "-c", SCRIPT],
        },
        {
            "id": "query",
            "title": "Count what is there",
            "action": "sql",
            "query": "select count(*) > 0 from requests where state not in ('pending', 'gone')",
            "expect": "true",
            "brings_up": ["database"],
        },
        {"id": "side", "title": "Side by side", "action": "parallel", "steps": _side()},
        {
            "id": "login",
            "title": "Log in",
            "action": "http",
            "method": "POST",
            "url": f"https://user:{SECRETS[1]}@app.example/api/login",
            "json": {"user": "employee", "password": SECRETS[2]},
            "on_failure": "go-on",
            "reason": "the login service may lag behind",
        },
        {"id": "agree", "title": "Go live", "action": "approval", "approval": "commander"},
        {"id": "sub", "title": "The database", "action": "runbook", "scenario": "second"},
    ]


def _side() -> list[dict[str, Any]]:
    until = {"kind": "sql", "query": "select count(*) = 0 from outbox", "expect": "true"}
    return [
        {
            "id": "dns",
            "title": "Move the name",
            "action": "manual",
            "instruction": "Open the zone.\nSay so.",
        },
        {
            "id": "api",
            "title": "Restart the API",
            "action": "service",
            "component": "api",
            "do": "restart",
        },
        {
            "id": "inner",
            "title": "In turn",
            "action": "sequence",
            "steps": [
                {"id": "wait", "title": "Wait for mail", "action": "wait", "until": until},
                {"id": "tell", "title": "Tell them", "action": "message", "text": "We are back."},
            ],
        },
    ]


def _many(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": f"s{n}",
            "title": f"Step {n} of the long way",
            "action": "command",
            "argv": ["echo", f"step {n}", "x" * (n * 4)],
            "timebox": "2m",
        }
        for n in range(count)
    ]

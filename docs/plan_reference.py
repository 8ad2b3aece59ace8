"""The reference of processpilot.yaml, made from the plan's JSON Schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from processpilot.plan.act import ActionName
from processpilot.plan.builtin import Basics, starter_plan
from processpilot.plan.schema import schema_text

_HEAD = """# The plan: processpilot.yaml

Made by `make docs` from the program itself. `processpilot init` writes a plan for your database;
you edit it; `processpilot check` finds mistakes with their line and column. Editors that know JSON
Schema find the schema in `src/processpilot/plan/processpilot.schema.json`.

- A *duration* is a number with a unit: `4h`, `30m`, `15s`, `250ms`, `1d`; `0` needs none.
- A *secret* is a reference, never the secret itself: `file:PATH` (mode 0600; relative to the plan)
  or `env:NAME`.
- Relative paths start from the plan's folder.
- Keys that are not listed here are refused, with the nearest known one.
- A run keeps to the plan it began with. To use an edited plan, end the run and begin a new one.

## What `init` writes

```yaml
"""
_NAMES = {
    "Database": "database",
    "RepositorySpec": "repository",
    "StorageOptions": "repository.options",
    "Protection": "protection",
    "BackupPolicy": "backup",
    "Retention": "backup.retention",
    "Component": "components[]",
    "SupervisordProgram": "components[].service, kind: supervisord",
    "SystemdUnit": "components[].service, kind: systemd",
    "Pm2Process": "components[].service, kind: pm2",
    "StartStopCommands": "components[].service, kind: command",
    "GitRelease": "components[].release, kind: git",
    "FolderRelease": "components[].release, kind: folders",
    "HttpProbe": "components[].probes[], kind: http",
    "TcpProbe": "components[].probes[], kind: tcp",
    "SqlProbe": "components[].probes[], kind: sql",
    "CommandProbe": "components[].probes[], kind: command",
    "HeartbeatProbe": "components[].probes[], kind: heartbeat",
    "Team": "team",
    "Person": "team.people[]",
    "WeeklyRotation": "team.rotations[], kind: weekly",
    "CalendarRotation": "team.rotations[], kind: calendar",
    "Role": "team.roles[]",
    "Contact": "team.roles[].contact",
    "EscalationLevel": "team.escalation[]",
    "Channel": "channels[]",
    "Web": "web",
    "Heartbeat": "heartbeats[]",
    "AlertRule": "alerts[]",
    "Updates": "updates",
    "SwitchFile": "maintenance and toggles[].switch, kind: file",
    "SwitchCommands": "maintenance and toggles[].switch, kind: command",
    "SwitchSql": "maintenance and toggles[].switch, kind: sql",
    "SwitchHttp": "maintenance and toggles[].switch, kind: http",
    "HttpRequest": "on, off and status of a switch, kind: http",
    "Toggle": "toggles[]",
    "Scenario": "scenarios[]",
    "Symptom": "scenarios[].symptoms[]",
    "Group": "scenarios[].steps[], action: sequence or parallel",
    "SubRunbook": "scenarios[].steps[], action: runbook",
    "BuiltInStep": "scenarios[].steps[], a built-in action",
    "CommandStep": "scenarios[].steps[], action: command",
    "HttpStep": "scenarios[].steps[], action: http",
    "SqlStep": "scenarios[].steps[], action: sql",
    "ServiceStep": "scenarios[].steps[], action: service",
    "CheckStep": "scenarios[].steps[], action: check",
    "WaitStep": "scenarios[].steps[], action: wait",
    "MessageStep": "scenarios[].steps[], action: message",
    "VendorStep": "scenarios[].steps[], action: vendor",
    "ManualStep": "scenarios[].steps[], action: manual",
    "ApprovalStep": "scenarios[].steps[], action: approval",
    "ReleaseStep": "scenarios[].steps[], action: release",
    "MaintenanceStep": "scenarios[].steps[], action: maintenance",
    "ToggleStep": "scenarios[].steps[], action: toggle",
    "CommandAct": "undo of a step, action: command",
    "HttpAct": "undo of a step, action: http",
    "SqlAct": "undo of a step, action: sql",
    "ServiceAct": "undo of a step, action: service",
    "ReleaseAct": "undo of a step, action: release",
    "MaintenanceAct": "undo of a step, action: maintenance",
    "ToggleAct": "undo of a step, action: toggle",
    "ProbeCondition": "a condition, kind: probe",
    "HttpCondition": "a condition, kind: http",
    "SqlCondition": "a condition, kind: sql",
    "CommandCondition": "a condition, kind: command",
    "FileCondition": "a condition, kind: file",
    "HttpCheck": "validation[], kind: http",
    "SqlCheck": "validation[], kind: sql",
    "ChecklistItem": "checklist[]",
    "Ledger": "ledger",
    "Drill": "drills[]",
    "Vendor": "vendors[]",
    "SupportLevel": "support[]",
    "Procedure": "providers[] and procedures[]",
    "FollowUp": "follow_ups[]",
    "AcceptedCommand": "accepted[]",
}
_EXAMPLE = Basics(
    name="app",
    dsn="postgresql://postgres@127.0.0.1/app",
    repository_url="/backups",
    data_dir="/var/lib/postgresql/18/main",
    bin_dir="/usr/lib/postgresql/18/bin",
    repository_id="0123456789abcdef0123456789abcdef",
)


def plan_text() -> str:
    """Return the text of docs/plan.md."""
    schema = json.loads(schema_text())
    parts = [_HEAD + starter_plan(_EXAMPLE).rstrip() + "\n```\n"]
    parts.append(_section("The whole", schema, schema))
    parts += [_section(_NAMES[name], schema["$defs"][name], schema) for name in _NAMES]
    rows = "\n".join(f"| `{action}` | {action.meaning} |" for action in ActionName)
    parts.append(f"## Actions\n\n| Action | What it does |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def _section(title: str, record: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    words = " ".join(str(record.get("description", "")).split())
    required = set(record.get("required", ()))
    lines = [f"## {title}\n", f"{words}\n", "| Key | Value | Default |", "|---|---|---|"]
    for key, value in record["properties"].items():
        default = "required" if key in required else _default(value)
        lines.append(f"| `{key}` | {_kind(value, schema)} | {default} |")
    return "\n".join(lines) + "\n"


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    if default is None or default in ({}, []):
        return ""
    if "examples" in value and isinstance(default, float):
        return f"{default:g}s"
    return f"`{json.dumps(default)}`" if not isinstance(default, dict) else "see there"


def _kind(value: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_kinds(value, schema)))


def _kinds(value: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        record = schema["$defs"][name]
        yield ", ".join(f"`{v}`" for v in record["enum"]) if "enum" in record else _link(name)
    elif "const" in value:
        yield f"`{value['const']}`"
    elif "anyOf" in value or "oneOf" in value:
        for option in value.get("anyOf") or value["oneOf"]:
            if option.get("type") != "null":
                yield from _kinds(option, schema)
    elif "4h" in value.get("examples", ()):
        yield "duration"
    elif value.get("type") == "array":
        yield "list of " + _kind(value["items"], schema)
    else:
        yield _limits(value)


def _limits(value: Mapping[str, Any]) -> str:
    kind = str(value.get("type", "any"))
    kind = {"string": "text", "object": "mapping", "boolean": "true or false"}.get(kind, kind)
    if "minimum" in value:
        kind += f", at least {value['minimum']}"
    if "maximum" in value:
        kind += f", at most {value['maximum']}"
    return kind


def _link(name: str) -> str:
    title = _NAMES.get(name, name)
    anchor = re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
    return f"[{title}](#{anchor})"

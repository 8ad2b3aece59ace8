"""What may be asked inside a drill's namespaces: questions that stay on its own loopback. Pure.

A condition of the plan becomes a question to the restored database, or one that is asked inside;
what would have to go elsewhere is refused before the drill begins.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from processpilot.plan.condition import (
    CommandCondition,
    Condition,
    FileCondition,
    HttpCondition,
    ProbeCondition,
    SqlCondition,
    condition_from_json,
    condition_to_json,
)
from processpilot.plan.model import Plan
from processpilot.plan.probe import (
    CommandProbe,
    HeartbeatProbe,
    HttpProbe,
    ProbeSpec,
    SqlProbe,
    TcpProbe,
)


@dataclass(frozen=True, slots=True)
class Question:
    """One question: `sql` to the restored database, otherwise `inside`, in the form of `asking`."""

    shown: str
    sql: SqlCondition | None = None
    inside: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Impossible:
    """Why a question cannot be asked in isolation."""

    why: str


def question_of(plan: Plan, condition: Condition) -> Question | Impossible:
    """Return a condition as it is asked in a drill, or why it cannot be."""
    match condition:
        case SqlCondition():
            if condition.dsn is not None:
                return Impossible("asks another database than the restored one")
            return Question(" ".join(condition.query.split()), sql=condition)
        case HttpCondition():
            if not is_loopback(urlsplit(condition.url).hostname or ""):
                return Impossible(f"asks {condition.url}, which is no loopback address")
            shown = f"{condition.method} {condition.url} answers {condition.status}"
            return Question(shown, inside=condition_to_json(condition))
        case CommandCondition():
            shown = f"{condition.argv[0]} ends with 0"
            return Question(shown, inside=condition_to_json(condition))
        case FileCondition():
            shown = f"{condition.path} {'exists' if condition.exists else 'does not exist'}"
            return Question(shown, inside=condition_to_json(condition))
        case ProbeCondition():
            return _probe_question(plan, condition)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by any name that needs no looking up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _probe_question(plan: Plan, condition: ProbeCondition) -> Question | Impossible:
    if not condition.passes:
        return Impossible(f"asks whether {condition.probe} fails")
    component, _, name = condition.probe.partition(".")
    spec = next(probe for probe in plan.component(component).probes if probe.id == name)
    return _spec_question(plan, condition.probe, spec)


def _spec_question(plan: Plan, name: str, spec: ProbeSpec) -> Question | Impossible:
    match spec:
        case HttpProbe() | SqlProbe() | CommandProbe():
            return question_of(plan, _condition(spec))
        case TcpProbe():
            if not is_loopback(spec.host):
                return Impossible(f"{name} connects to {spec.host}, which is no loopback address")
            inside: Mapping[str, Any] = {
                "kind": "tcp",
                "host": spec.host,
                "port": spec.port,
                "timeout_s": spec.timeout_s,
            }
            return Question(f"{spec.host}:{spec.port} accepts connections", inside=inside)
        case HeartbeatProbe():
            return Impossible(f"{name} wants a heartbeat, and nobody writes one into a copy")


def _condition(spec: HttpProbe | SqlProbe | CommandProbe) -> Condition:
    """Return the probe's question without its name and how often it is asked."""
    beside = {"id", "every_s", "fail_after", "recover_after"}
    return condition_from_json(spec.model_dump(mode="json", by_alias=True, exclude=beside))

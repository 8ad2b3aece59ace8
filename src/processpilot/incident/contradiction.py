"""Where a scenario calls a role before the escalation policy wakes it. Pure.

The policy decides; the incident's log says so, once for each role.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from processpilot.incident.called import GENERIC, named_roles, ordered_levels
from processpilot.plan.team import EscalationLevel, Role, Team
from processpilot.runbook.step import StepSpec


def contradictions(steps: Sequence[StepSpec], team: Team) -> Iterator[tuple[str, str]]:
    """Yield role and text for each role that steps, in their order, call before it is woken."""
    told: set[str] = set()
    for step, begin_s, end_s in _timeline(steps):
        for role in team.roles:
            if role.id not in (step.role, step.approval) or role.id in told:
                continue
            woken = woken_after_s(role, team)
            if team.escalation and (woken is None or woken > begin_s):
                told.add(role.id)
                wakes = "never wakes them" if woken is None else f"wakes them after {_min(woken)}"
                called = f"from minute {begin_s / 60:g} on"
                if end_s > begin_s:
                    called = f"in minutes {begin_s / 60:g} to {end_s / 60:g}"
                yield role.id, f"the scenario calls {role.id} {called}; the policy {wakes}"


def woken_after_s(role: Role, team: Team) -> float | None:
    """Return when the first level that wakes a role begins; None when none does."""
    is_named = role.id in named_roles(team)
    for level in ordered_levels(team):
        if _names(level, role) or (not is_named and _means(level, role)):
            return level.after_s
    return None


def _names(level: EscalationLevel, role: Role) -> bool:
    return bool({role.id, role.title, role.primary, role.secondary} & {*level.page})


def _means(level: EscalationLevel, role: Role) -> bool:
    """Whether "primary" or "secondary" may be somebody of that role."""
    seats = {"primary": role.primary or role.rotation, "secondary": role.secondary or role.rotation}
    return any(word in level.page and seats[word] is not None for word in GENERIC)


def _timeline(steps: Sequence[StepSpec]) -> Iterator[tuple[StepSpec, float, float]]:
    """Yield each step with the seconds in which it probably falls, by the plan's own figures."""
    ends: dict[str, float] = {}
    for step in steps:
        begin_s = _latest(ends, step.after)
        ends[step.id] = begin_s + (step.timebox_s or step.estimate_s or 0.0)
        yield step, begin_s, ends[step.id]


def _latest(ends: Mapping[str, float], after: Sequence[str]) -> float:
    return max((ends.get(one, 0.0) for one in after), default=0.0)


def _min(seconds: float) -> str:
    return f"{seconds / 60:g} min"

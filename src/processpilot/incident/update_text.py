"""What updates say: templates of our own, or the plan's, and what they may speak of.

Calm and factual: what is affected, since when, what comes next. No names of people or machines, no
reasons a probe gave, no blame. Templates are Jinja2 in a sandbox; docs/incidents.md lists the words
they may use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from processpilot.errors import UsageError
from processpilot.incident.cadence import FINAL, FIRST, PROGRESS, DraftDue
from processpilot.incident.state import Incident
from processpilot.messages.send import Message
from processpilot.plan.alarm import Updates
from processpilot.plan.model import Plan

LONGEST_CHARACTERS = 4000

_OURS = {
    FIRST: (
        "We have noticed a problem with {{ name }}: {{ title }}.\n"
        "\n"
        "It began at {{ begun }}. {{ affected }} may not work as usual. We are working on it.\n"
        "{% if next %}You will hear from us again by {{ next }}.{% endif %}\n"
    ),
    PROGRESS: (
        "{{ name }}: {{ title }}. It began at {{ begun }}, {{ elapsed }} ago.\n"
        "\n"
        "{{ status }}{% if expected %} It will work again at {{ expected }} at the earliest."
        "{% endif %}\n"
        "{% if next %}You will hear from us again by {{ next }}.{% endif %}\n"
    ),
    FINAL: (
        "{{ name }}: {{ title }}. {{ status }}\n"
        "\n"
        "It began at {{ begun }}. Recovery time: {{ recovery_time }}. {{ data_loss }}\n"
        "We will look into what happened and what can be done better. Thank you for your "
        "patience.\n"
    ),
}


class Measured(Protocol):
    """What a run's report says; `evidence.report.Report` is one."""

    @property
    def verdict(self) -> str:
        """The run's verdict."""
        ...

    @property
    def recovery_time_s(self) -> float | None:
        """How long it took until everything worked."""
        ...

    @property
    def data_loss_window_s(self) -> float | None:
        """Of how much time data was lost."""
        ...

    @property
    def data_loss_bound_s(self) -> float | None:
        """Of how much time at most data was lost, where nothing says it exactly."""
        ...

    @property
    def lost_transactions(self) -> int | None:
        """How many acknowledged writes were lost."""
        ...


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known besides the incident: the measured figures, and when it may work again."""

    measured: Measured | None = None
    expected_at: datetime | None = None


def update_message(
    plan: Plan, incident: Incident, draft: DraftDue, now: datetime, knowledge: Knowledge
) -> Message:
    """Return the text of an update; UsageError when the plan's template cannot be used."""
    words = words_of(plan, incident, draft, now, knowledge)
    own = _own(plan.updates, draft.kind)
    number = sum(one.refused_by is None for one in incident.updates) + 1
    subject = f"{plan.name}: {incident.title} (update {number})"
    if draft.kind == FINAL:
        subject = f"{plan.name}: {incident.title} (final update)"
    text = rendered(own or _OURS[draft.kind], words, f"updates.{draft.kind}")
    return Message(subject, text)


def standard_message(
    plan: Plan, incident: Incident, draft: DraftDue, now: datetime, knowledge: Knowledge
) -> Message:
    """Return the text of an update by our own template, whatever the plan has."""
    bare = plan.model_copy(
        update={"updates": plan.updates.model_copy(update=dict.fromkeys((FIRST, PROGRESS, FINAL)))}
    )
    return update_message(bare, incident, draft, now, knowledge)


def rendered(template: str, words: Mapping[str, Any], place: str) -> str:
    """Return a template with its words put in; UsageError names `place` when that fails."""
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    try:
        text = environment.from_string(template).render(words)
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as error:
        raise UsageError(
            f"the template {place} cannot be used: {error}",
            hint=f"Correct {place} in the plan; it may use: {', '.join(sorted(words))}.",
        ) from error
    text = text.strip()
    if not text:
        raise UsageError(f"the template {place} says nothing")
    return text if len(text) <= LONGEST_CHARACTERS else f"{text[:LONGEST_CHARACTERS]}…"


def words_of(
    plan: Plan, incident: Incident, draft: DraftDue, now: datetime, knowledge: Knowledge
) -> dict[str, str]:
    """Return every word a template may use; those of which nothing is known are empty."""
    begun = incident.declared_at
    if incident.last_passed_at is not None:
        begun = min(begun, datetime.fromisoformat(incident.last_passed_at))
    is_final = draft.kind == FINAL
    next_at = None if is_final else _following(plan.updates, draft, now)
    return {
        "name": plan.name,
        "title": incident.title,
        "severity": str(incident.severity),
        "begun": moment(begun),
        "now": moment(now),
        "elapsed": spoken((now - begun).total_seconds()),
        "affected": affected(plan, incident),
        "status": _status(incident, knowledge),
        "expected": moment(knowledge.expected_at),
        "next": moment(next_at),
        "resolved": moment(incident.resolved_at),
        "recovery_time": _recovery_time(incident, begun, knowledge) if is_final else "",
        "data_loss": data_loss(incident, knowledge.measured) if is_final else "",
    }


def affected(plan: Plan, incident: Incident) -> str:
    """Return the titles of what the scenario breaks, with all that depends on it."""
    scenario = None if incident.scenario is None else plan.scenario(incident.scenario)
    if scenario is None:
        return plan.name
    broken = {scenario.component}
    for component in plan.start_order():
        if broken & set(component.depends_on):
            broken.add(component.id)
    return listed([one.title for one in plan.start_order() if one.id in broken])


def listed(names: Sequence[str]) -> str:
    """Return names as they are written to people: A, B and C."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def data_loss(incident: Incident, measured: Measured | None) -> str:
    """Return what became of people's data, in a sentence that claims no more than is known."""
    if measured is None:
        return "Whether data was lost has not been measured."
    lost = measured.lost_transactions
    changes = f"{lost} confirmed change{'' if lost == 1 else 's'}"
    counted = f" ({changes})" if lost else ""
    if measured.data_loss_window_s:
        window = spoken(measured.data_loss_window_s)
        return f"Data loss: changes of the last {window} before it began{counted}."
    if measured.data_loss_window_s == 0:
        return f"Data loss: {changes}." if lost else "Data loss: none."
    if measured.data_loss_bound_s is not None:
        return f"Data loss: at most the changes of {spoken(measured.data_loss_bound_s)}{counted}."
    return "Whether data was lost is not known yet."


def moment(at: datetime | None) -> str:
    """Return a moment in UTC as it is written to people; nothing as an empty text."""
    return "" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def spoken(seconds: float) -> str:
    """Return a length of time as it is written to people: 40 s, 5 min, 2 h 10 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min" + (f" {rest} s" if rest and minutes < 10 else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h" + (f" {minutes} min" if minutes else "")


def _own(updates: Updates, kind: str) -> str | None:
    return {FIRST: updates.first, PROGRESS: updates.progress, FINAL: updates.final}[kind]


def _following(updates: Updates, draft: DraftDue, now: datetime) -> datetime:
    """Return by when the word after this one is promised."""
    out_at = max(draft.due_at, now) if updates.approval is not None else now
    return datetime.fromtimestamp(out_at.timestamp() + updates.every_s, UTC)


def _status(incident: Incident, knowledge: Knowledge) -> str:
    if incident.resolved_at is not None:
        verdict = None if knowledge.measured is None else str(knowledge.measured.verdict)
        if incident.run_id is None or verdict in ("passed", "missed"):
            since = incident.mitigated_at or incident.resolved_at
            return f"It has worked again since {moment(since)}."
        return f"The incident was closed at {moment(incident.resolved_at)}."
    if incident.mitigated_at is not None:
        return f"It has worked again since {moment(incident.mitigated_at)}. We keep watching it."
    if incident.run_id is not None:
        return "The recovery is under way."
    return "We are still looking for the cause."


def _recovery_time(incident: Incident, begun: datetime, knowledge: Knowledge) -> str:
    measured = None if knowledge.measured is None else knowledge.measured.recovery_time_s
    if measured is not None:
        return spoken(measured)
    if incident.resolved_at is None or incident.run_id is not None:
        return "not measured"
    return spoken((incident.resolved_at - begun).total_seconds())

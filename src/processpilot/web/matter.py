"""What a link is about, as its page shows it: the facts, the choices, and what was done by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from processpilot.errors import NotFoundError
from processpilot.incident.record import read_incident
from processpilot.incident.state import Incident, Update
from processpilot.incident.update_text import spoken
from processpilot.journal.journal import Journal
from processpilot.plan.wording import duration_words
from processpilot.runbook.decide import AwaitPeople, Need, decide
from processpilot.runbook.history import read_run
from processpilot.runbook.state import Kind, RunState, stream_of
from processpilot.runbook.step import StepState
from processpilot.web.links import Link, Purpose
from processpilot.wiring.wired import Wired

ACKNOWLEDGE = "acknowledge"
APPROVE = "approve"
REFUSE = "refuse"
DONE = "done"
NOT_DONE = "not-done"

_JUDGED = {
    Kind.APPROVAL_GIVEN: "agreed",
    Kind.APPROVAL_REFUSED: "refused",
    Kind.STEP_CONFIRMED: "confirmed",
    Kind.STEP_SKIPPED: "skipped it",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A button: the act it does, and the words on it; `plain` is not the expected one."""

    act: str
    label: str
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Matter:
    """A link's page. Without `choices` there is nothing to do any more; `done` says why.

    `ask` is what people may say besides, `page` where the whole of it is shown.
    """

    title: str
    kind: str
    facts: tuple[tuple[str, str], ...]
    words: str
    choices: tuple[Choice, ...]
    done: str | None
    page: str
    ask: str = "A word on it, if you like"


def look(wired: Wired, link: Link) -> Matter:
    """Return what a link is about, from the journal as it is now."""
    journal = wired.journal
    if link.purpose is Purpose.STEP:
        return _of_step(journal, read_run(journal, link.subject), link.item)
    incident = read_incident(journal, link.subject)
    if link.purpose is Purpose.UPDATE:
        return _of_update(incident, link.item)
    return _of_incident(incident, wired.clock.now())


def _of_incident(incident: Incident, now: datetime) -> Matter:
    age = spoken((now - incident.declared_at).total_seconds())
    facts = [
        ("Severity", str(incident.severity)),
        ("Since", f"{_moment(incident.declared_at)}" + (f", {age} ago" * incident.is_open)),
    ]
    facts += [("Because", reason) for reason in incident.reasons[:5]]
    if incident.run_id is not None:
        facts.append(("Recovery", f"run {incident.run_id}"))
    done = None
    if incident.acknowledged_by is not None and incident.acknowledged_at is not None:
        at = _moment(incident.acknowledged_at)
        done = f"{incident.acknowledged_by} acknowledged it at {at}. Nobody else is woken."
    elif not incident.is_open:
        done = f"It is resolved: {incident.resolution}."
    choices = () if done else (Choice(ACKNOWLEDGE, "I look after it"),)
    page = f"incident/{incident.incident_id}"
    return Matter(incident.title, "Incident", tuple(facts), "", choices, done, page)


def _of_update(incident: Incident, update_id: str) -> Matter:
    update = next((one for one in incident.updates if one.update_id == update_id), None)
    if update is None:
        raise NotFoundError(f"incident {incident.incident_id} has no update {update_id}")
    facts = [("Incident", f"{incident.title} ({incident.severity})"), ("Subject", update.subject)]
    if update.due_at is not None and update.is_pending:
        facts.append(("Expected", f"by {_moment(update.due_at)}"))
    done = _judged_update(update)
    choices = (Choice(APPROVE, "Send it"), Choice(REFUSE, "Do not send it", plain=True))
    return Matter(
        "A word to stakeholders",
        f"{update.kind.capitalize()} update",
        tuple(fact for fact in facts if fact[1]),
        update.text,
        () if done else choices,
        done,
        f"incident/{incident.incident_id}",
        "If it is not to be sent: why",
    )


def _judged_update(update: Update) -> str | None:
    if update.refused_by is not None and update.refused_at is not None:
        return f"{update.refused_by} refused it at {_moment(update.refused_at)}. It is not sent."
    sent = "" if update.sent_at is None else f" It was sent at {_moment(update.sent_at)}."
    if update.approved_by is not None and update.approved_at is not None:
        return f"{update.approved_by} approved it at {_moment(update.approved_at)}.{sent}"
    return sent.strip() or (None if update.is_pending else "It is being sent.")


def _of_step(journal: Journal, state: RunState, step_id: str) -> Matter:
    step = state.step(step_id)
    if step is None:
        raise NotFoundError(f"run {state.run_id} has no step {step_id}")
    wait = next((one for one in decide(state).waits if one.step_id == step_id), None)
    choices = () if wait is None else _choices(step, wait)
    facts = [
        ("Recovery", str(state.details.get("title") or state.scenario)),
        ("Run", state.run_id),
        ("Asked of", step.spec.approval or step.spec.role or "anybody"),
    ]
    if step.spec.timebox_s is not None:
        facts.append(("Time box", duration_words(step.spec.timebox_s)))
    words = str(step.spec.settings.get("instruction") or "") if step.is_manual else ""
    done = None if choices else _judged_step(journal, state, step)
    page = f"run/{state.run_id}"
    return Matter(step.spec.title, "Step", tuple(facts), words, choices, done, page)


def _choices(step: StepState, wait: AwaitPeople) -> tuple[Choice, ...]:
    if wait.need is Need.CONFIRMATION:
        return Choice(DONE, "It is done"), Choice(NOT_DONE, "It did not work", plain=True)
    if wait.need is Need.APPROVAL:
        return Choice(APPROVE, "I agree"), Choice(REFUSE, "I refuse", plain=True)
    return ()


def _judged_step(journal: Journal, state: RunState, step: StepState) -> str:
    """Say who decided on a step, and when; otherwise where it stands."""
    found = None
    for event in journal.read(stream_of(state.run_id)):
        word = _JUDGED.get(Kind(event.kind)) if event.kind in list(Kind) else None
        if word is not None and event.data.get("step") == step.spec.id:
            if event.kind == Kind.STEP_CONFIRMED and not event.data.get("done"):
                word = "said that it did not work"
            found = f"{event.data.get('by')} {word} at {_moment(event.at)}."
    if found is not None:
        return found
    if state.is_finished:
        return f"The run is finished: {state.verdict}."
    return f"The step does not wait for you now: it is {step.outcome}."


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"

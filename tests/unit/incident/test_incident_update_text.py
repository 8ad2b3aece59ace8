"""What stakeholders read, and when the next word is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from incident_plans import BEGIN, declared, staffed_text, then
from plan_text import PATH

from processpilot.errors import UsageError
from processpilot.incident.cadence import DraftDue, lead_s, next_draft
from processpilot.incident.state import Incident, Kind
from processpilot.incident.update_text import (
    LONGEST_CHARACTERS,
    Knowledge,
    data_loss,
    rendered,
    spoken,
    update_message,
    words_of,
)
from processpilot.plan.alarm import Updates
from processpilot.plan.load import parse_plan

UPDATES = Updates(channels=("word",))
PLAN = parse_plan(staffed_text("updates: {channels: [word]}\n"), PATH).plan


@dataclass(frozen=True)
class Figures:
    """What a run measured."""

    verdict: str = "passed"
    recovery_time_s: float | None = 780.0
    data_loss_window_s: float | None = 0.0
    data_loss_bound_s: float | None = 3.0
    lost_transactions: int | None = 0


def due(kind: str, minutes: float = 0) -> DraftDue:
    """Return a draft that is due then."""
    at = BEGIN + timedelta(minutes=minutes)
    return DraftDue(kind, at, at)


def resolved(run: bool = True) -> Incident:
    """Return an incident that is over after a quarter of an hour."""
    incident = declared("failure")
    if run:
        incident = then(incident, BEGIN, Kind.ANSWERED, {"run_id": "r1"})
    end = BEGIN + timedelta(minutes=15)
    return then(incident, end, Kind.RESOLVED, {"resolution": "passed"})


def test_the_first_word() -> None:
    """What, since when, what is affected, when there is more."""
    message = update_message(PLAN, declared("failure"), due("first"), BEGIN, Knowledge())
    assert message.subject == "shop: Database failure (update 1)"
    assert message.text == (
        "We have noticed a problem with shop: Database failure.\n\n"
        "It began at 2026-11-26 03:00 UTC. Database and API may not work as usual. "
        "We are working on it.\n"
        "You will hear from us again by 2026-11-26 03:20 UTC."
    )


def test_a_word_in_between_tells_when_it_may_work_again() -> None:
    """As far as a forecast does."""
    incident = then(declared("failure"), BEGIN, Kind.ANSWERED, {"run_id": "r1"})
    now = BEGIN + timedelta(minutes=20)
    known = Knowledge(None, BEGIN + timedelta(minutes=50))
    text = update_message(PLAN, incident, due("progress", 20), now, known).text
    assert "It began at 2026-11-26 03:00 UTC, 20 min ago." in text
    assert "The recovery is under way. It will work again at 2026-11-26 03:50 UTC" in text


def test_the_last_word_states_recovery_time_and_data_loss() -> None:
    """From the run's report."""
    now = BEGIN + timedelta(minutes=15)
    text = update_message(PLAN, resolved(), due("final", 15), now, Knowledge(Figures())).text
    assert text.startswith(
        "shop: Database failure. It has worked again since 2026-11-26 03:15 UTC."
    )
    assert "Recovery time: 13 min. Data loss: none." in text


@pytest.mark.parametrize("verdict", ["failed", "aborted", "not-run"])
def test_what_did_not_work_is_not_said_to(verdict: str) -> None:
    """The incident was closed; that is all that is known."""
    figures = Figures(verdict=verdict, recovery_time_s=None)
    text = update_message(PLAN, resolved(), due("final", 15), BEGIN, Knowledge(figures)).text
    assert "worked again" not in text
    assert "The incident was closed at 2026-11-26 03:15 UTC." in text
    assert "Recovery time: not measured." in text


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (Figures(), "Data loss: none."),
        (Figures(data_loss_window_s=2.4), "changes of the last 2 s before it began."),
        (
            Figures(data_loss_window_s=90.0, lost_transactions=7),
            "changes of the last 1 min 30 s before it began (7 confirmed changes).",
        ),
        (
            Figures(data_loss_window_s=0.0, lost_transactions=1),
            "Data loss: 1 confirmed change.",
        ),
        (Figures(data_loss_window_s=None), "Data loss: at most the changes of 3 s."),
        (
            Figures(data_loss_window_s=None, data_loss_bound_s=None),
            "Whether data was lost is not known yet.",
        ),
        (None, "Whether data was lost has not been measured."),
    ],
)
def test_no_more_is_claimed_of_data_than_is_known(figures: Figures | None, said: str) -> None:
    """Zero needs a measurement; a bound is told as one."""
    assert data_loss(resolved(), figures).endswith(said)


def test_a_templates_words_are_the_documented_ones() -> None:
    """All of them texts."""
    words = words_of(PLAN, resolved(), due("final"), BEGIN, Knowledge())
    assert set(words) == {
        "name",
        "title",
        "severity",
        "begun",
        "now",
        "elapsed",
        "affected",
        "status",
        "expected",
        "next",
        "resolved",
        "recovery_time",
        "data_loss",
    }
    assert all(isinstance(word, str) for word in words.values())


@pytest.mark.parametrize(
    "template",
    [
        "{{ unknown }}",
        "{% if %}",
        "{{ name.__class__.__mro__ }}",
        "{{ ''.__class__.__subclasses__() }}",
        "{{ 1 / 0 }}",
        "{{ range(10 ** 9) | list }}",
        "   ",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_that_cannot_be_used_is_told(template: str) -> None:
    """Mistakes and ways out of the sandbox alike."""
    with pytest.raises(UsageError, match=r"updates\.first"):
        rendered(template, {"name": "shop"}, "updates.first")


def test_a_template_s_text_is_bounded() -> None:
    """A message that no channel takes helps nobody."""
    text = rendered("{{ 'x' * 10000 }}", {}, "updates.first")
    assert len(text) == LONGEST_CHARACTERS + 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (605, "10 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_time_is_told_as_people_do(seconds: float, text: str) -> None:
    """Seconds only while they matter."""
    assert spoken(seconds) == text


def sent(incident: Incident, number: int, minutes: float) -> Incident:
    """Return the incident after an update was drafted and went out."""
    at = BEGIN + timedelta(minutes=minutes)
    draft = {"update": f"u{number}", "kind": "progress", "text": "x"}
    incident = then(incident, at, Kind.UPDATE_DRAFTED, draft)
    rows = [{"channel": "word", "delivered": True}]
    return then(incident, at, Kind.UPDATE_SENT, {"update": f"u{number}", "deliveries": rows})


def test_the_next_word_counts_from_the_last_one_that_went_out() -> None:
    """The first is due with the declaration."""
    assert next_draft(declared(), UPDATES) == DraftDue("first", BEGIN, BEGIN + timedelta(minutes=5))
    assert next_draft(sent(declared(), 1, 2), UPDATES) == due("progress", 22)
    assert next_draft(sent(sent(declared(), 1, 2), 2, 30), UPDATES) == due("progress", 50)


def test_without_channels_no_word_is_written() -> None:
    """Nobody would read it."""
    assert next_draft(declared(), Updates()) is None


def test_who_heard_nothing_gets_no_last_word() -> None:
    """An incident that was over before the first."""
    assert next_draft(resolved(), UPDATES) is None


def test_a_draft_for_approval_is_written_ahead_of_time() -> None:
    """By the time allowed for the first word, or half the time between two."""
    approved = UPDATES.model_copy(update={"approval": "press"})
    found = next_draft(sent(declared(), 1, 2), approved)
    assert found is not None
    assert (found.begin_at, found.due_at) == (
        BEGIN + timedelta(minutes=17),
        BEGIN + timedelta(minutes=22),
    )
    hasty = approved.model_copy(update={"every_s": 60.0})
    assert lead_s(hasty) == 30

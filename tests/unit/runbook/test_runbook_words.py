"""Events in words: none of a run's kinds is left for people to guess."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from processpilot.journal.event import Event, JsonValue
from processpilot.runbook.state import Kind
from processpilot.runbook.words import event_line

DATA: dict[str, JsonValue] = {
    "run_id": "r1",
    "scenario": "failure",
    "trigger": "root",
    "verdict": "passed",
    "warning": "late",
    "text": "it takes long",
    "by": "Ada",
    "reason": "no use",
    "role": "commander",
    "to": "Ben",
    "spec": {"id": "more", "title": "More"},
    "step": "fence",
    "attempt": 2,
    "outcome": "passed",
    "done": True,
    "happened": False,
    "comment": "looked",
}


def line(kind: str, **more: JsonValue) -> str:
    """Return an event of that kind in words."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return event_line(Event(0, "run/r1", 1, at, kind, {**DATA, **more}, 0, "", ""))


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_words(kind: Kind) -> None:
    """Nobody reads the name that programs use for it."""
    assert str(kind) not in line(kind)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Kind.APPROVAL_GIVEN, "fence: Ada agrees: looked"),
        (Kind.APPROVAL_REFUSED, "fence: Ada refuses: looked"),
        (Kind.STEP_CONFIRMED, "fence: done, says Ada: looked"),
        (Kind.RETRY_REQUESTED, "fence: to be tried again, says Ada"),
        (Kind.RUN_CONTINUED, "continued by Ada"),
    ],
)
def test_what_people_did_says_who_and_why(kind: Kind, words: str) -> None:
    """Who decided stands there, and the comment they left."""
    assert line(kind) == words


def test_a_comment_nobody_left_leaves_nothing() -> None:
    """No colon without words behind it."""
    assert line(Kind.APPROVAL_GIVEN, comment=None) == "fence: Ada agrees"


@pytest.mark.parametrize(
    ("happened", "words"),
    [
        (True, "fence: it had happened"),
        (False, "fence: it had not happened"),
        (None, "fence: nobody can tell whether it had happened"),
    ],
)
def test_what_a_probe_found_is_a_sentence(happened: bool | None, words: str) -> None:
    """What became of an attempt whose end nobody saw, also where nobody can tell."""
    assert line(Kind.STEP_PROBED, happened=happened) == words

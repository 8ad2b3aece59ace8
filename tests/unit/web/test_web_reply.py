"""Replies over real HTTP: known senders acknowledge and ask; others are nobody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from web_site import FORM, INCIDENT, SECRET, Answer, WebSite, web_site, with_incident

from processpilot.incident.record import Declaration, declare, read_incident
from processpilot.web.reply import SAYS, find_sender


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server with an incident."""
    with web_site(tmp_path) as found:
        with_incident(found)
        yield found


def say(site: WebSite, text: str, sender: str = "+49301234 56") -> Answer:
    """Answer a message."""
    return site.post_json("/reply", {"text": text, "sender": sender})


@pytest.mark.parametrize(
    "sender",
    ["+49 30 123-456", "004930123456", "+49.30.123456", "ADA@example.org", "@ada", " ada "],
)
def test_a_person_is_known_by_what_the_plan_says(site: WebSite, sender: str) -> None:
    """However a gateway spells it."""
    answer = say(site, "ack", sender)
    assert answer.status == 200
    assert answer.text == f"Acknowledged by Ada: Database failure ({INCIDENT}).\n"
    assert site.incident().acknowledged_by == site.run().acknowledged_by == "Ada"


@pytest.mark.parametrize("sender", ["+4930123457", "Dan", "mallory@example.org", "@desk", "-", "'"])
def test_strangers_are_refused(site: WebSite, sender: str) -> None:
    """A name is no contact; one that two people share tells nobody from the other."""
    answer = say(site, "ack", sender)
    assert (answer.status, answer.text) == (
        403,
        "nobody in the plan is reached under that sender\n",
    )
    assert site.incident().acknowledged_by is None


def test_a_form_is_taken_too(site: WebSite) -> None:
    """As SMS gateways send it, with fields of their own."""
    body = urlencode({"text": "Ack!", "sender": "@ada", "MessageSid": "SM1"}).encode()
    answer = site.ask(f"/reply/{SECRET}", "POST", body, FORM)
    assert answer.status == 200
    assert site.incident().acknowledged_by == "Ada"


def test_a_second_ack_says_who_was_first(site: WebSite) -> None:
    """By number or without one."""
    say(site, "ack")
    assert say(site, f"ack {INCIDENT}", "+491717654321").text == (
        f"Nothing was changed: Ada has acknowledged incident {INCIDENT}.\n"
    )
    assert say(site, "ACK", "+491717654321").text == (
        "Nothing waits for an acknowledgement.\n"
        f"{INCIDENT} SEV-1 Database failure, since 03:00 UTC: Ada\n"
    )


def test_of_several_incidents_one_is_named(site: WebSite) -> None:
    """Nothing is guessed at night."""
    declare(site.wired.journal, Declaration("i2", None, "Disk full", [], None))
    answer = say(site, "ack")
    assert answer.text.splitlines()[0] == "Several wait. Say: ack INCIDENT"
    assert "i2 SEV-1 Disk full" in answer.text
    assert say(site, "ack i2").text == "Acknowledged by Ada: Disk full (i2).\n"
    assert read_incident(site.wired.journal, "i2").acknowledged_by == "Ada"
    assert site.incident().acknowledged_by is None


def test_status_tells_what_is_open(site: WebSite) -> None:
    """In a line each."""
    expected = f"{INCIDENT} SEV-1 Database failure, since 03:00 UTC: nobody yet\n"
    assert say(site, " Status. ").text == expected


@pytest.mark.parametrize("text", ["", "hello", "ack a b", "ack; status", "acknowledge", "yes"])
def test_other_words_are_answered_with_what_can_be_said(site: WebSite, text: str) -> None:
    """And change nothing."""
    assert say(site, text).text == f"{SAYS}\n"
    assert site.incident().acknowledged_by is None


@pytest.mark.parametrize("name", ["x", "../x", "run/r1", "i" * 300, "%00"])
def test_an_incident_that_is_not_there_is_told(site: WebSite, name: str) -> None:
    """Nothing is made up, and nothing breaks."""
    answer = say(site, f"ack {name}")
    assert answer.status == 200
    assert answer.text.startswith("Nothing was changed: there is no incident")


@pytest.mark.parametrize(
    "document", [{}, {"text": "ack"}, {"sender": "@ada"}, {"text": 1, "sender": "@ada"}, [], "x"]
)
def test_other_documents_are_refused(site: WebSite, document: object) -> None:
    """With one line."""
    answer = site.post_json("/reply", document)
    assert answer.status == 422
    assert answer.text.count("\n") == 1


def test_a_reply_needs_the_token(site: WebSite) -> None:
    """The gateway vouches for the sender, so it has to be ours."""
    answer = site.post_json("/reply", {"text": "ack", "sender": "@ada"}, token="x")
    assert answer.status == 401
    assert site.incident().acknowledged_by is None


def test_an_empty_sender_is_nobody(site: WebSite) -> None:
    """Also where people have no contacts at all."""
    for sender in (" ", "@", "()"):
        assert find_sender(site.wired.loaded.plan.team, sender) is None

"""Links in messages, over real HTTP: opening changes nothing, pressing does it once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_site import (
    INCIDENT,
    RUN,
    WebSite,
    web_site,
    with_approval,
    with_draft,
    with_incident,
)

from processpilot.incident.state import Kind as IncidentKind
from processpilot.runbook.people import Person, hand_over
from processpilot.runbook.state import Kind, stream_of
from processpilot.runbook.step import StepOutcome
from processpilot.web.links import LINK_TTL_S, Link, Purpose, seal

LIGHT_BYTES = 15_000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server with an incident that a run answers."""
    with web_site(tmp_path) as found:
        with_incident(found)
        yield found


def ack(site: WebSite, who: str = "Ada") -> str:
    """Return the link that acknowledges."""
    return site.links.link_for(INCIDENT, "acknowledge", who)


def test_opening_a_link_acknowledges_nothing(site: WebSite) -> None:
    """Mail scanners open it before people do, with GET and with HEAD."""
    for _ in range(3):
        page = site.ask(ack(site))
        assert page.status == 200
        assert "Database failure" in page.text
        assert "I look after it" in page.text
    assert site.ask(ack(site), "HEAD").status == 405
    assert site.incident().acknowledged_by is None


def test_pressing_acknowledges_incident_and_run(site: WebSite) -> None:
    """By the person the link was made for; afterwards the page says who and when."""
    answer = site.press(ack(site), "acknowledge")
    assert answer.status == 303
    assert site.incident().acknowledged_by == site.run().acknowledged_by == "Ada"
    page = site.ask(answer.headers["location"])
    assert "Ada acknowledged it at 2026-11-26 03:00:02 UTC" in page.text
    assert "<button" not in page.text
    events = site.wired.journal.read(f"incident/{INCIDENT}")
    assert [e.data for e in events if e.kind == IncidentKind.ACKNOWLEDGED] == [
        {"by": "Ada", "how": "link"}
    ]


def test_a_second_press_says_who_was_first(site: WebSite) -> None:
    """Also to somebody else whose page was open meanwhile."""
    theirs = ack(site, "Ben")
    form = site.ask(theirs).field("form")
    site.press(ack(site), "acknowledge")
    site.clock.later(60)
    late = site.send_form(theirs, {"form": form, "act": "acknowledge"})
    assert late.status == 409
    assert "Nothing was changed" in late.text
    assert "Ada acknowledged it at 2026-11-26 03:00:02 UTC" in late.text
    assert site.incident().acknowledged_by == "Ada"


def test_a_form_is_good_on_its_own_page_only(site: WebSite) -> None:
    """Without its token, with another page's, or with the link's own, nothing is done."""
    other = site.ask(site.links.step(RUN, "look", "Ada")).field("form")
    for form in ("", "x", other, ack(site).rpartition("/")[2]):
        answer = site.send_form(ack(site), {"form": form, "act": "acknowledge"})
        assert answer.status in (403, 409), form
    assert site.ask(ack(site), "POST", b"").status == 403
    assert site.incident().acknowledged_by is None


def test_links_that_are_old_altered_or_for_something_else_do_nothing(site: WebSite) -> None:
    """Opened or pressed, with a form that would be good."""
    good = ack(site)
    form = site.ask(good).field("form")
    token = good.rpartition("/")[2]
    strange = seal(
        site.links.secret,
        Link(Purpose.LOGIN, INCIDENT, "", "Ada", site.links.opened(token).expires_at),
    )
    for bad in (token[:-2], f"x{token}", token.swapcase(), strange, "%2e%2e%2fetc%2fpasswd"):
        assert site.ask(f"/link/{bad}").status in (403, 404), bad
        answer = site.send_form(f"/link/{bad}", {"form": form, "act": "acknowledge"})
        assert answer.status in (403, 404), bad
    site.clock.later(LINK_TTL_S)
    page = site.ask(good)
    assert page.status == 403
    assert "expired at" in page.text
    assert site.send_form(good, {"form": form, "act": "acknowledge"}).status == 403
    assert site.incident().acknowledged_by is None


@pytest.mark.parametrize("act", ["", "approve", "done", "resolve", "__class__"])
def test_a_link_does_what_it_is_for_and_nothing_else(site: WebSite, act: str) -> None:
    """Other words on the button are refused."""
    assert site.press(ack(site), act).status == 422
    assert site.incident().acknowledged_by is None


def test_a_resolved_incident_has_no_button(site: WebSite) -> None:
    """An old link says how it ended."""
    site.note(IncidentKind.RESOLVED, resolution="passed")
    page = site.ask(ack(site))
    assert "It is resolved: passed." in page.text
    assert "<button" not in page.text


def test_a_link_to_what_is_not_there_says_so(site: WebSite) -> None:
    """404, and a page for people."""
    assert site.ask(site.links.link_for("20200101-000000-0000", "acknowledge", "Ada")).status == 404
    assert site.ask(site.links.link_for(INCIDENT, "update u9", "Cleo")).status == 404
    assert site.ask(site.links.step(RUN, "nothing", "Ada")).status == 404


def test_a_draft_is_read_and_approved(site: WebSite) -> None:
    """The page shows the very words that are sent."""
    with_draft(site, "We are back soon.\nPromise.")
    link = site.links.link_for(INCIDENT, "update u1", "Cleo")
    page = site.ask(link)
    assert "We are back soon.\nPromise." in page.text
    assert "by 2026-11-26 03:05:00 UTC" in page.text
    assert site.press(link, "approve").status == 303
    update = site.incident().updates[0]
    assert (update.approved_by, update.text) == ("Cleo", "We are back soon.\nPromise.")
    assert "Cleo approved it at" in site.ask(link).text


def test_a_draft_is_refused_for_a_reason(site: WebSite) -> None:
    """The reason is kept, and a second press changes nothing."""
    with_draft(site)
    link = site.links.link_for(INCIDENT, "update u1", "Cleo")
    form = site.ask(link).field("form")
    answer = site.send_form(link, {"form": form, "act": "refuse", "comment": "too early"})
    assert answer.status == 303
    assert site.incident().updates[0].refused_by == "Cleo"
    again = site.send_form(link, {"form": form, "act": "approve"})
    assert again.status == 409
    assert "Cleo refused it at" in again.text
    reasons = [
        e.data["reason"]
        for e in site.wired.journal.read(f"incident/{INCIDENT}")
        if e.kind == IncidentKind.UPDATE_REFUSED
    ]
    assert reasons == ["too early"]


def test_a_draft_is_for_who_fills_the_role(site: WebSite) -> None:
    """Somebody else's genuine link is told whose it is."""
    with_draft(site)
    answer = site.press(site.links.link_for(INCIDENT, "update u1", "Ada"), "approve")
    assert answer.status == 409
    assert "Ada does not fill the role press" in answer.text
    assert site.incident().updates[0].is_pending


def test_a_manual_step_is_confirmed_by_its_role(site: WebSite) -> None:
    """Its instruction stands on the page; the wrong person changes nothing."""
    assert site.press(site.links.step(RUN, "look", "Ada"), "done").status == 409
    link = site.links.step(RUN, "look", "Ben")
    page = site.ask(link)
    assert "Look at the disk.\nSay what you see." in page.text
    assert site.press(link, "done", "it is full").status == 303
    step = site.run().step("look")
    assert step is not None
    assert (step.outcome, step.confirmed_by) == (StepOutcome.PASSED, "Ben")
    assert "Ben confirmed at 2026-11-26 03:00:02 UTC" in site.ask(link).text
    comments = [e.data.get("comment") for e in site.wired.journal.read(stream_of(RUN))]
    assert "it is full" in comments


def test_a_manual_step_can_have_failed(site: WebSite) -> None:
    """The run then waits for a decision, and the page tells what was said."""
    link = site.links.step(RUN, "look", "Ben")
    assert site.press(link, "not-done").status == 303
    step = site.run().step("look")
    assert step is not None and step.outcome is StepOutcome.FAILED
    assert "Ben said that it did not work at" in site.ask(link).text


def test_an_approval_is_given_by_its_role(site: WebSite) -> None:
    """Either who fills it or whom it was handed to; others are refused, and it goes on waiting."""
    with_approval(site)
    assert site.press(site.links.step(RUN, "agree", "Cleo"), "approve").status == 409
    step = site.run().step("agree")
    assert step is not None and step.approved_by is None
    link = site.links.step(RUN, "agree", "Ada")
    form = site.ask(link).field("form")
    assert site.press(link, "approve").status == 303
    step = site.run().step("agree")
    assert step is not None and step.approved_by == "Ada"
    again = site.send_form(link, {"form": form, "act": "refuse"})
    assert again.status == 409
    assert "Ada agreed at" in again.text


def test_an_approval_is_refused(site: WebSite) -> None:
    """By whom the role was handed to."""
    with_approval(site)
    person = Person(site.wired.journal, RUN, "Ada", site.wired.loaded.plan.team)
    hand_over(person, "commander", "Cleo")
    link = site.links.step(RUN, "agree", "Cleo")
    assert site.press(link, "refuse").status == 303
    step = site.run().step("agree")
    assert step is not None and step.refused_by == "Cleo"


def test_a_step_whose_turn_has_not_come_has_no_button(site: WebSite) -> None:
    """And pressing it anyway is refused."""
    link = site.links.step(RUN, "agree", "Ada")
    page = site.ask(link)
    assert "does not wait for you now: it is waiting" in page.text
    assert "<button" not in page.text
    form = site.ask(link).field("form") if 'name="form"' in page.text else ""
    assert site.send_form(link, {"form": form, "act": "approve"}).status in (403, 409)
    site.step(Kind.STEP_CONFIRMED, "look", by="ben", role=None, comment=None, done=False)


def test_pages_are_light_and_need_nothing_else(site: WebSite) -> None:
    """For a phone on a bad network: under 15 kB, no script, nothing fetched."""
    with_draft(site, "x" * 2000)
    for link in (
        ack(site),
        site.links.link_for(INCIDENT, "update u1", "Cleo"),
        site.links.step(RUN, "look", "Ben"),
        site.links.login("Ada"),
    ):
        page = site.ask(link)
        assert len(page.body) < LIGHT_BYTES
        assert "<script" not in page.text
        assert "src=" not in page.text and "url(" not in page.text and "@import" not in page.text


def test_hostile_words_are_shown_and_do_nothing(tmp_path: Path) -> None:
    """Titles and reasons come from outside; so do names in links."""
    hostile = '"><script>alert(1)</script><img src=x onerror=alert(1)>\u202etxt.exe'
    with web_site(tmp_path) as site:
        with_incident(site, hostile, hostile)
        with_draft(site, hostile)
        links = [
            ack(site, hostile),
            site.links.link_for(INCIDENT, "update u1", hostile),
            site.links.step(RUN, "look", hostile),
        ]
        for link in links:
            page = site.ask(link)
            assert page.status == 200
            assert "<script" not in page.text and "<img" not in page.text
            assert "\u202e" not in page.text
            assert "&lt;script&gt;" in page.text

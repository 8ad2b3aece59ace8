"""One whole night, told once on real servers: from the imported plan to the tampered evidence.

The clock is virtual where people sleep or a vendor says nothing, and it stands while what is due is
done, so every moment below is exact. Where the seed is not beside us, the built-in plan is taken.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from night_eve import SEED
from night_page import page_of, stable
from night_plan import ASK_HOSTING, FENCE, PEOPLE, STATUS
from night_site import words_of
from night_story import Told, told

from processpilot.demo.nginx import find_nginx
from processpilot.evidence.report import build_report
from processpilot.incident.state import ESCALATION, Page
from processpilot.runbook.state import Verdict

PAGE = Path(__file__).resolve().parents[2] / "docs" / "night.md"
# The machine may be busy with others; nothing here asserts how long anything took.
pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(find_nginx() is None, reason="nginx is not installed"),
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]


@pytest.fixture(scope="module")
def night() -> Iterator[Told]:
    """Give the night when it is over; its servers still run."""
    with pytest.MonkeyPatch.context() as patch:
        programs = Path(sys.executable).parent
        patch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
        with told() as story:
            yield story


def levels(story: Told) -> list[Page]:
    """Return the attempts to wake somebody because nobody had acknowledged."""
    return [page for page in story.night.incident.pages if page.cause == ESCALATION]


def after(story: Told, page: Page) -> timedelta:
    """Return how long after the declaration that was."""
    return page.at - story.begun


def pages_of(story: Told, cause: str) -> list[Page]:
    """Return the attempts for another reason."""
    return [page for page in story.night.incident.pages if page.cause == cause]


def test_the_plan_was_drilled_before_the_night(night: Told) -> None:
    """The newest backup came back in isolation, every check passed, and nothing was left."""
    if night.drill is None:
        pytest.skip("this machine closes namespaces")
    outcomes = {check["name"]: check["outcome"] for check in night.drill["checks"]}
    assert {*outcomes.values()} <= {"passed", "skipped"}, outcomes
    assert all(outcomes[name] == "passed" for name in outcomes if name.startswith("isolation: "))
    assert night.drill["verdict"] == "passed", night.drill["reasons"]
    assert "evidence: genuine" in night.said["drill"]


def test_it_is_noticed_and_the_first_level_woken_at_once(night: Told) -> None:
    """At the very second of the declaration, which the plan's probes led to."""
    assert night.begun.strftime("%H:%M:%S.%f") == "03:00:01.000000"
    assert night.night.incident.source == "probes"
    first = {page.who for page in levels(night) if after(night, page) == timedelta()}
    assert first == {"DevOps Engineer", "CTO"}


def test_each_level_is_woken_to_the_second_and_nobody_twice(night: Told) -> None:
    """Nothing early, nothing again, though the duty began anew three times in that hour."""
    woken = {
        (page.level, page.who, after(night, page)): page.channel
        for page in levels(night)
        if page.delivered
    }
    assert woken == {
        (1, "DevOps Engineer", timedelta()): "devops-chat",
        (1, "CTO", timedelta()): "cto-mail",
        (2, "Backend Developer", timedelta(minutes=30)): "backend-mail",
        (2, "Lead Developer", timedelta(minutes=30)): "lead-mail",
        (3, "CTO", timedelta(minutes=60)): "cto-mail",
        (3, "Managing Director", timedelta(minutes=60)): "director-mail",
    }
    assert len(levels(night)) == len(woken) + 1, "besides the mail server that is down"


def test_what_was_written_down_arrived_once(night: Told) -> None:
    """In each mailbox, as often as the journal says that it was delivered there."""
    site, incident = night.night, night.night.incident
    said = Counter(page.channel for page in incident.pages if page.delivered)
    for person, channels in PEOPLE.items():
        for channel in channels:
            if channel.endswith("-mail"):
                who = channel.removesuffix("-mail")
                assert len(site.mails_to(who)) == said[channel], person
    pages = [body for body in site.chat.bodies if body["title"].startswith("SEV-1")]
    assert len(pages) == said["devops-chat"] == 1


def test_a_mail_server_that_is_down_is_passed_over_and_named(night: Told) -> None:
    """The next channel gets it in the same second; why the first did not is in the log."""
    mail, chat = (page for page in levels(night) if page.who == "DevOps Engineer")
    assert (mail.channel, mail.delivered) == ("devops-pager", False)
    assert (chat.channel, chat.delivered) == ("devops-chat", True)
    assert "onnection" in mail.detail and "127.0.0.1" not in mail.detail
    assert "paged DevOps Engineer over devops-pager (level 1): NOT DELIVERED" in night.said["show"]


def test_opening_a_link_acknowledges_nothing(night: Told) -> None:
    """A mail scanner opened it half an hour in: the page asked, and the third level was woken."""
    assert "[I look after it]" in words_of(night.pages["scanned"].text)
    assert night.asleep is not None
    assert night.asleep.acknowledged_by is None


def test_the_button_acknowledges_incident_and_run(night: Told) -> None:
    """By name, over the link; nobody is woken after it, and whoever comes later is told who did."""
    incident, run = night.night.incident, night.night.run
    assert incident.acknowledged_at == night.begun + timedelta(minutes=61, seconds=40)
    assert (incident.acknowledged_by, run.acknowledged_by) == ("CTO", "CTO")
    assert "acknowledged by CTO (link)" in night.said["show"]
    assert all(page.at < incident.acknowledged_at for page in levels(night))
    for page in ("pressed", "second"):
        words = words_of(night.pages[page].text)
        assert "[I look after it]" not in words
        assert any(word.startswith("CTO acknowledged it at") for word in words)


def test_only_who_fills_the_role_agrees(night: Told) -> None:
    """Somebody else is refused and told whose it is; the step waited for the commander."""
    assert night.pages["outsider"].status_code == 409
    told = " ".join(words_of(night.pages["outsider"].text))
    assert "Backend Developer does not fill the role incident-commander" in told
    assert "it is filled by CTO, Lead Developer" in told
    assert night.pages["holder"].status_code == 200
    fence = next(step for step in night.night.run.steps if step.spec.id == FENCE)
    assert (fence.approved_by, fence.attempt) == ("CTO", 1)


def test_no_promised_write_is_lost_and_every_objective_is_kept(night: Told) -> None:
    """The database is there again within its two hours, an hour of which people slept."""
    report = build_report(night.night.run, {})
    assert (report.verdict, report.lost_transactions) == (Verdict.PASSED, 0)
    assert report.acknowledged_transactions is not None
    assert report.acknowledged_transactions >= night.promised > 0
    assert report.data_loss_window_s == 0
    assert report.recovery_time_s is not None
    assert timedelta(minutes=62).total_seconds() < report.recovery_time_s < report.rto_s
    assert night.night.incident.resolution == "passed"


def test_stakeholders_hear_in_time_and_only_what_was_approved(night: Told) -> None:
    """The first word within 5 minutes, each within 20 of the one before but the one said late."""
    updates = night.night.incident.updates
    sent = [update.sent_at for update in updates if update.sent_at is not None]
    assert len(sent) == len(updates) > 12
    assert sent[0] - night.begun <= timedelta(minutes=5)
    late = [n for n in range(1, len(sent)) if sent[n] - sent[n - 1] > timedelta(minutes=20)]
    assert late == [2]
    approved = {update.approved_by for update in updates}
    assert approved == {"Product Manager", "Project Manager"}
    mails = [mail.get_content().splitlines() for mail in night.night.mails_to("status")]
    assert mails == [update.text.splitlines() for update in updates]
    assert [body["message"].splitlines() for body in night.night.status.bodies] == mails
    assert all({d["channel"] for d in update.deliveries} == {*STATUS} for update in updates)


def test_a_word_that_is_late_wakes_both_who_may_send_it(night: Told) -> None:
    """At the second in which people expected it, 20 minutes after the one before."""
    updates = night.night.incident.updates
    assert updates[1].sent_at is not None
    due_at = updates[1].sent_at + timedelta(minutes=20)
    late = pages_of(night, "update-late u3")
    assert {(page.who, page.at) for page in late} == {
        ("Product Manager", due_at),
        ("Project Manager", due_at),
    }
    assert updates[2].approved_by == "Project Manager"


def test_the_last_word_states_data_loss_and_since_when_it_works(night: Told) -> None:
    """As it was measured; "works again" is when people could work again, not the resolution."""
    last = night.night.incident.updates[-1]
    mitigated_at = night.night.incident.mitigated_at
    assert mitigated_at is not None
    assert (last.kind, "Data loss: none." in last.text) == ("final", True)
    assert f"It has worked again since {mitigated_at:%Y-%m-%d %H:%M} UTC." in last.text
    assert "Recovery time: 1 h" in last.text
    assert last.sent_at == night.night.incident.resolved_at


def test_a_vendor_who_is_late_is_told_of_to_the_second(night: Told) -> None:
    """Four hours after the question, to the last level, though the incident was acknowledged."""
    (call,) = night.night.incident.vendors
    assert call.due_at is not None
    assert call.due_at == call.late_at
    assert abs(call.due_at - call.asked_at - timedelta(hours=4)) < timedelta(seconds=1)
    late = pages_of(night, f"vendor-late {call.call_id}")
    assert {(page.who, page.level, page.at) for page in late} == {
        ("CTO", 3, call.due_at),
        ("Managing Director", 3, call.due_at),
    }
    step = next(step for step in night.night.run.steps if step.spec.id == ASK_HOSTING)
    assert step.result is not None
    assert (step.result["answered_by"], step.result["late"]) == ("CTO", True)
    assert len(night.night.mails_to("hosting")) == 1, "asked once, whoever carried the run on"


def test_the_review_tells_the_night_with_a_source_for_each_line(night: Told) -> None:
    """Every event of the incident and of its run, impact in numbers, room for people."""
    review, wired = night.review, night.night.wired
    for stream in (
        f"incident/{night.night.incident.incident_id}",
        f"run/{night.night.run.run_id}",
    ):
        for event in wired.journal.read(stream):
            assert f"| {stream}#{event.sequence} |" in review
    for words in (
        "| time until somebody acknowledged | 1 h 01 min |",
        "| data lost | 0.0 s, objective 0.0 s |",
        "## Root cause",
        "NOT DELIVERED",
    ):
        assert words in review, words


def test_the_evidence_has_what_people_were_told_and_who_decided(night: Told) -> None:
    """Every page and word, who acknowledged, who agreed, and the verdict."""
    pack = json.loads((night.evidence / "evidence.json").read_text())
    incident = night.night.incident
    assert len(pack["communications"]["pages"]) == len(incident.pages)
    assert pack["communications"]["updates"][-1]["text"] == incident.updates[-1].text
    assert {(one["what"], one["by"]) for one in pack["acknowledgements"]} == {
        ("incident", "CTO"),
        ("run", "CTO"),
    }
    fence = next(step for step in pack["steps"] if step["id"] == FENCE)
    assert fence["approved_by"] == "CTO"
    assert (pack["verdict"]["verdict"], pack["data_loss"]["lost_transactions"]) == ("passed", 0)


def test_the_evidence_is_genuine_and_one_bit_is_found(night: Told) -> None:
    """Offline, with the public key; the copy with a bit turned over is refused with its name."""
    assert "evidence: genuine" in night.said["genuine"]
    status, _, said = night.said["tampered"].partition("\n")
    assert status == "7"
    assert "evidence.json was changed" in said


def test_the_journal_is_sound_and_no_moment_goes_back(night: Told) -> None:
    """Every event in its place, from the evening's backup to the last word."""
    assert "each sound and in its place" in night.said["journal"]
    events = night.night.wired.journal.since(0, 10_000)
    moments = [event.at for event in events]
    assert moments == sorted(moments)


def test_the_page_shows_what_is_sent_today(night: Told) -> None:
    """docs/night.md has the lines of this night, but for moments, names and figures."""
    if not SEED.exists():
        pytest.skip("../shared is not here, and the page tells of its runbook")
    today = page_of(night)
    if os.environ.get("PROCESSPILOT_WRITE_GOLDEN"):
        PAGE.write_text(today)
    assert stable(PAGE.read_text()) == stable(today)

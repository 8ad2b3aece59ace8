"""Reviews: the timeline writes itself, with a source for every entry."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from dossier_story import INCIDENT, RUN, Story
from incident_plans import BEGIN

from processpilot.dossier.markdown import review_markdown
from processpilot.dossier.page import render_review
from processpilot.dossier.review import Material, due_date, write_review
from processpilot.incident.kind import Kind
from processpilot.incident.record import Declaration, declare, read_incident, write
from processpilot.journal.journal import Journal
from processpilot.plan.alarm import Severity


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """Give the whole story, written down."""
    return Story(tmp_path).tell()


def test_every_event_is_in_the_timeline_with_its_source(story: Story) -> None:
    """In the order of their moments, of the incident and of its run."""
    material = story.material()
    review = write_review(material)
    sources = {entry.source for entry in review.entries}
    wanted = {f"{e.stream}#{e.sequence}" for e in (*material.run_events, *material.incident_events)}
    assert wanted == sources
    moments = [entry.at for entry in review.entries]
    assert moments == sorted(moments)
    assert review.entries[0].text == "the last sign of life before the failure"


def test_impact_is_told_in_numbers_with_their_source(story: Story) -> None:
    """From the last sign of life to the resolution."""
    figures = {f.name: f for f in write_review(story.material()).figures}
    assert figures["time until it was noticed"].value == "9.0 s"
    assert figures["pages delivered"].value == "1 of 2"
    assert figures["recovery time"].source == f"run/{RUN}"
    assert figures["time until it was resolved"].source == f"incident/{INCIDENT}"


def test_what_helped_and_what_hurt_is_taken_from_the_run(story: Story) -> None:
    """Long waits for people hurt as failed checks do."""
    review = write_review(story.material())
    assert "Check it brought database back" in review.helped
    assert any("step agree waited 10 min for people" in line for line in review.hurt)
    assert any(line.startswith("rows: expected 3") for line in review.hurt)


def test_actions_are_followed_to_their_closure(story: Story) -> None:
    """With owner and date; a closed one says so, and is no open finding of the evidence."""
    incident = read_incident(story.journal, INCIDENT)
    data = {"action": "a1", "text": "Add a | replica", "owner": "Ada", "due": "2026-12-01"}
    incident = write(story.journal, incident, Kind.ACTION_ADDED, {**data, "by": "cleo"})
    assert "| Add a \\| replica | Ada | 2026-12-01 | open |" in review_markdown(
        write_review(story.material())
    )
    write(story.journal, incident, Kind.ACTION_CLOSED, {"action": "a1", "by": "ada"})
    review = write_review(story.material())
    assert review.actions[0].closed_by == "ada" and "done 2026" in review_markdown(review)


def test_words_of_people_are_only_words(story: Story) -> None:
    """Neither page nor Markdown takes them for markup."""
    text = "<script>alert(1)</script> [x](http://example.org) `rm`"
    incident = read_incident(story.journal, INCIDENT)
    write(story.journal, incident, Kind.NOTED, {"by": "ada", "text": text})
    review = write_review(story.material())
    assert "<script>" not in render_review(review)
    assert "\\[x\\](http" in review_markdown(review) and "<script>" not in review_markdown(review)


@pytest.mark.parametrize(
    ("severity", "declared", "due"),
    [
        (Severity.SEV1, datetime(2026, 11, 26, 3, tzinfo=UTC), date(2026, 11, 29)),
        (Severity.SEV2, datetime(2026, 11, 26, 3, tzinfo=UTC), date(2026, 12, 3)),
        (Severity.SEV3, datetime(2026, 11, 28, 3, tzinfo=UTC), date(2026, 12, 4)),
    ],
)
def test_the_worst_is_reviewed_first(
    tmp_path: Path, severity: Severity, declared: datetime, due: date
) -> None:
    """Three days for the worst, five working days for the others."""
    story = Story(tmp_path)
    story.clock.at = declared
    declaration = Declaration("i2", None, "Slow", [], None, severity)
    assert due_date(declare(story.journal, declaration)) == due


def test_an_incident_without_a_run_is_reviewed_too(tmp_path: Path) -> None:
    """Nothing is claimed about a recovery that there was not."""
    story = Story(tmp_path)
    journal: Journal = story.journal
    incident = declare(journal, Declaration("i3", None, "Odd", ["somebody said so"], None))
    review = write_review(Material(incident, journal.read("incident/i3")))
    assert review.figures == () and review.entries[0].at == BEGIN
    assert "nobody acknowledged the incident" in review.hurt

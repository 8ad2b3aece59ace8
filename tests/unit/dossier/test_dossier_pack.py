"""Evidence: everything an auditor asks for, from the journal, and nothing secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dossier_story import RUN, SECRET, Story

from processpilot.dossier.signing import open_signing_key
from processpilot.dossier.store import HTML_FILE, JSON_FILE, store_pack
from processpilot.journal.event import canonical


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """Give the whole story, written down."""
    return Story(tmp_path).tell()


@pytest.fixture
def pack(story: Story) -> Any:
    """Give its evidence."""
    return story.pack()


def test_it_says_what_an_auditor_expects(pack: Any) -> None:
    """Scope, plan, people, steps, checks, figures, words, verdict, findings and their source."""
    assert pack["id"] == RUN and pack["verdict"]["verdict"] == "missed"
    assert pack["scope"]["objectives"][0]["rto_met"] is False
    assert pack["plan"]["hash"] and pack["versions"] == {"processpilot": "1"}
    assert {"person": "cleo", "acts": 1} in pack["participants"]
    assert [page["delivered"] for page in pack["communications"]["pages"]] == [False, True]
    assert pack["acknowledgements"][0]["by"] == "ada"
    assert pack["checks"][0]["expected"] == "3"


def test_each_step_has_its_planned_and_its_actual_times(pack: Any) -> None:
    """Planned ends follow from the time boxes, one after the other."""
    look, agree, check = pack["steps"]
    assert look["planned_end_at"] == agree["planned_begin_at"]
    assert agree["planned_end_at"] == check["planned_begin_at"]
    assert look["begin_at"] < look["end_at"] <= agree["begin_at"]
    assert agree["approved_by"] == "cleo" and agree["approval"] == "commander"


def test_a_command_is_kept_by_its_digest_not_its_words(pack: Any) -> None:
    """What it printed stays on the machine; its digest and its status are evidence."""
    assert pack["steps"][0]["command"]["sha256"] == "ab" * 32
    assert SECRET not in json.dumps(pack)


def test_findings_name_an_owner_or_say_that_there_is_none(pack: Any) -> None:
    """Missed objectives, failed checks and undelivered pages are found without anybody's help."""
    codes = {finding["code"]: finding for finding in pack["findings"]}
    assert {"objective-missed", "check-not-passed"} <= codes.keys()
    assert codes["objective-missed"]["owner"] is None
    assert "not-reached" not in codes, "the second channel reached her"


def test_every_event_is_named_with_its_hash(story: Story, pack: Any) -> None:
    """So that the journal can be asked about each, and the head says how far it went."""
    named = pack["journal"]["events"]
    assert [event["position"] for event in named] == sorted(e["position"] for e in named)
    assert named[-1]["hash"] == pack["journal"]["head"]["hash"] == story.journal.head().hash


def test_the_page_is_the_twin_of_the_json(story: Story, tmp_path: Path) -> None:
    """It shows the verdict, escapes what people wrote, and names the digest of its twin."""
    key = open_signing_key(tmp_path / "evidence.key")
    stored = store_pack(story.pack(), tmp_path / "pack", key)
    page = (stored.folder / HTML_FILE).read_text()
    assert "Look at &lt;it&gt;" in page and "missed" in page
    assert stored.signed.files[JSON_FILE] in page
    assert (stored.folder / JSON_FILE).read_bytes() == canonical(story.pack())
    assert "http" not in page.replace("https://", "http").split("</style>")[0]

"""Signs of life over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from web_site import BEGIN, SECRET, WebSite, web_site

from processpilot.incident.heartbeat import last_beats
from processpilot.web.admission import heartbeat_place, inbound_token


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WebSite]:
    """Return a server."""
    with web_site(tmp_path) as found:
        yield found


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_beat_is_taken(site: WebSite, method: str) -> None:
    """As a crontab's curl sends it, with any body, and with the token in either place."""
    token = inbound_token(site.links.secret, heartbeat_place("nightly"))
    body = b"done in 4 min" if method == "POST" else None
    answer = site.ask(f"/heartbeat/nightly/{token}", method, body)
    assert (answer.status, answer.text) == (200, "taken at 2026-11-26 03:00:00 UTC\n")
    assert last_beats(site.wired.state_dir, site.wired.loaded.plan) == {"nightly": BEGIN}
    site.clock.later(60)
    headers = {"Authorization": f"Bearer {token}"}
    assert site.ask("/heartbeat/nightly", method, body, headers).status == 200
    assert last_beats(site.wired.state_dir, site.wired.loaded.plan)["nightly"] > BEGIN


def test_a_beat_needs_its_token(site: WebSite) -> None:
    """Nobody else says that the import is alive."""
    other = inbound_token(site.links.secret, heartbeat_place("other"))
    for path in ("/heartbeat/nightly", "/heartbeat/nightly/x", f"/heartbeat/nightly/{other}"):
        assert site.ask(path, "POST").status == 401
    assert last_beats(site.wired.state_dir, site.wired.loaded.plan) == {}


@pytest.mark.parametrize(
    "name", ["weekly", "..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "nightly%00", "."]
)
def test_a_heartbeat_that_the_plan_has_not_is_not_found(site: WebSite, name: str) -> None:
    """With the secret; and nothing is written anywhere."""
    before = sorted(site.wired.state_dir.rglob("*"))
    answer = site.ask(f"/heartbeat/{name}", "POST", headers={"Authorization": f"Bearer {SECRET}"})
    assert answer.status == 404
    assert sorted(site.wired.state_dir.rglob("*")) == before


def test_a_long_body_is_no_reason_to_miss_a_beat(site: WebSite) -> None:
    """A program that sends its whole log is alive; nobody reads it, and others are answered."""
    answer = site.ask(f"/heartbeat/nightly/{SECRET}", "POST", b"x" * (10 << 20))
    assert answer.status == 200
    assert last_beats(site.wired.state_dir, site.wired.loaded.plan) == {"nightly": BEGIN}
    assert site.ask("/healthz").status == 200

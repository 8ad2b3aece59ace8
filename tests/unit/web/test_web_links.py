"""Signed links: what opens them, and what does not."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_site import BEGIN, INCIDENT, PLAN, SECRET, SetClock, open_wired

from processpilot.errors import RefusedError
from processpilot.plan.secrets import Secret
from processpilot.web.links import (
    LINK_TTL_S,
    BadLinkError,
    Link,
    Purpose,
    link_maker,
    links_of,
    open_link,
    seal,
)

KEY = Secret(SECRET)
NOW = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
LINK = Link(Purpose.UPDATE, INCIDENT, "u1", "Ada Łukasz", NOW + timedelta(hours=1))


@given(
    st.sampled_from(list(Purpose)),
    st.text(max_size=40),
    st.text(max_size=40),
    st.text(max_size=40),
    st.integers(1, 4_000_000_000),
)
def test_what_is_sealed_is_what_is_opened(
    purpose: Purpose, subject: str, item: str, who: str, expires: int
) -> None:
    """Whatever a link says, its token says the same, in characters that need no escaping."""
    link = Link(purpose, subject, item, who, datetime.fromtimestamp(expires, UTC))
    token = seal(KEY, link)
    assert not set(token) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert open_link(KEY, token, datetime.fromtimestamp(expires - 1, UTC), (purpose,)) == link


def test_no_other_token_opens() -> None:
    """Any character changed, cut off or added is refused, wherever it stands."""
    token = seal(KEY, LINK)
    assert open_link(KEY, token, NOW) == LINK
    for place in range(len(token)):
        other = "A" if token[place] != "A" else "B"
        for altered in (
            token[:place] + other + token[place + 1 :],
            token[:place] + token[place + 1 :],
            token[:place] + "=" + token[place:],
        ):
            with pytest.raises(BadLinkError):
                open_link(KEY, altered, NOW)


@pytest.mark.parametrize(
    "token", ["", ".", "a", "a.b", "..", "é.é", "A" * 5000, "a.b.c", "\x00.\x00"]
)
def test_what_was_never_a_token_is_refused(token: str) -> None:
    """Rubbish is told to be no link, and raises nothing else."""
    with pytest.raises(BadLinkError):
        open_link(KEY, token, NOW)


def test_a_token_of_another_spelling_is_refused() -> None:
    """The last characters of base64 have bits to spare; only one spelling counts."""
    text, mac = seal(KEY, LINK).split(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    near = mac[:-1] + alphabet[alphabet.index(mac[-1]) ^ 1]
    padded = [base64.urlsafe_b64decode(one + "=") for one in (mac, near)]
    assert padded[0] == padded[1]
    with pytest.raises(BadLinkError):
        open_link(KEY, f"{text}.{near}", NOW)


def test_content_under_another_key_is_refused() -> None:
    """Nobody without the secret makes a link, also not from one they have seen."""
    with pytest.raises(BadLinkError):
        open_link(KEY, seal(Secret("f" * 32), LINK), NOW)
    text, mac = seal(KEY, LINK).split(".")
    fields = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    forged = json.dumps([*fields[:3], "Ben", fields[4]]).encode()
    spelled = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
    with pytest.raises(BadLinkError):
        open_link(KEY, f"{spelled}.{mac}", NOW)


def test_a_link_ends_at_its_moment() -> None:
    """A second before it opens, at the moment it does not."""
    token = seal(KEY, LINK)
    assert open_link(KEY, token, LINK.expires_at - timedelta(seconds=1)) == LINK
    with pytest.raises(BadLinkError, match="expired at 2026-11-26 04:00 UTC"):
        open_link(KEY, token, LINK.expires_at)


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_link_is_for_one_purpose(purpose: Purpose) -> None:
    """What was made to look is none to act, and so for every pair."""
    token = seal(KEY, Link(purpose, INCIDENT, "", "Ada", LINK.expires_at))
    for other in Purpose:
        if other is not purpose:
            with pytest.raises(BadLinkError, match="something else"):
                open_link(KEY, token, NOW, (other,))


def test_links_of_a_plan_last_three_days(tmp_path: Path) -> None:
    """They lead to the plan's address, and are what the escalation asks for."""
    clock = SetClock()
    wired = open_wired(tmp_path, clock)
    links = links_of(wired.loaded, clock)
    wired.close()
    assert links is not None
    address = links.link_for(INCIDENT, "update u7", "Cleo")
    assert address.startswith("http://127.0.0.1:1/dr/link/")
    expires_at = BEGIN + timedelta(seconds=LINK_TTL_S)
    found = links.opened(address.rpartition("/")[2])
    assert found == Link(Purpose.UPDATE, INCIDENT, "u7", "Cleo", expires_at)
    assert SECRET not in repr(links)


def test_a_secret_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    """Whoever sees one link could try short secrets at home."""
    clock = SetClock()
    wired = open_wired(tmp_path, clock, secret="hunter2")
    with pytest.raises(RefusedError, match="has 7 characters, and links need 24"):
        links_of(wired.loaded, clock)
    wired.close()


def test_a_plan_without_web_has_no_links(tmp_path: Path) -> None:
    """Messages then carry commands alone."""
    clock = SetClock()
    plan = PLAN[: PLAN.index("web:")] + PLAN[PLAN.index("heartbeats:") :]
    wired = open_wired(tmp_path, clock, plan)
    assert links_of(wired.loaded, clock) is None
    wired.close()


def test_messages_go_out_without_links_when_there_can_be_none(tmp_path: Path) -> None:
    """A secret that is missing for a while takes the link away, and gives it back."""
    clock = SetClock()
    wired = open_wired(tmp_path, clock)
    wired.close()
    link_for = link_maker(wired.loaded, clock)
    assert str(link_for(INCIDENT, "acknowledge", "Ada")).startswith("http://127.0.0.1:1/dr/link/")
    (tmp_path / "web-secret").rename(tmp_path / "away")
    assert link_for(INCIDENT, "acknowledge", "Ada") is None
    (tmp_path / "away").rename(tmp_path / "web-secret")
    assert link_for(INCIDENT, "update u1", "Ada") is not None

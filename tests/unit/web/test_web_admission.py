"""Which programs are let in."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from web_site import SECRET, SetClock, open_wired

from processpilot.plan.secrets import Secret
from processpilot.web.admission import (
    ALERTS,
    REPLY,
    Refusals,
    admit,
    bearer,
    heartbeat_place,
    inbound_addresses,
    inbound_token,
)
from processpilot.web.statuses import RequestError

KEY = Secret(SECRET)


def test_a_place_is_opened_by_the_secret_or_its_own_token() -> None:
    """And by no other place's."""
    places = [ALERTS, REPLY, heartbeat_place("a"), heartbeat_place("b")]
    assert len({inbound_token(KEY, place) for place in places}) == len(places)
    for place in places:
        admit(KEY, place, SECRET)
        for other in places:
            token = inbound_token(KEY, other)
            if other == place:
                admit(KEY, place, token)
            else:
                with pytest.raises(RequestError):
                    admit(KEY, place, token)


@pytest.mark.parametrize(
    "shown", [None, "", " ", SECRET[:-1], SECRET + " ", SECRET.upper(), "é\ud800"]
)
def test_anything_else_opens_nothing(shown: str | None) -> None:
    """With 401, and words that do not repeat what was shown."""
    with pytest.raises(RequestError) as caught:
        admit(KEY, ALERTS, shown)
    assert caught.value.status == 401
    assert caught.value.message in (
        "there is no token for /alerts",
        "the token is wrong for /alerts",
    )


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
    ],
)
def test_a_bearer_token_is_read_from_its_header(header: str | None, token: str | None) -> None:
    """The scheme counts in any case; other schemes do not."""
    assert bearer(header) == token


def test_addresses_hold_no_secret_that_signs(tmp_path: Path) -> None:
    """What is pasted into a monitoring system opens that place and nothing else."""
    clock = SetClock()
    wired = open_wired(tmp_path, clock)
    wired.close()
    found = inbound_addresses(wired.loaded.plan, KEY)
    assert list(found) == ["alerts", "reply", "heartbeat/nightly"]
    for place, address in found.items():
        assert address == f"http://127.0.0.1:1/dr/{place}/{inbound_token(KEY, place)}"
        assert SECRET not in address


def test_refusals_are_counted_from_any_thread() -> None:
    """None is lost when many count at once."""
    refusals = Refusals()
    threads = [
        threading.Thread(target=lambda: [refusals.count("alerts", 401) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals.counts() == {("alerts", 401): 2000}

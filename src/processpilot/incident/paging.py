"""Paging: one attempt over one channel, the same for a real page and for a test.

An attempt never raises. A test goes over every channel of everybody meant, because the second one
is needed exactly when the first fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from processpilot.clock import Clock
from processpilot.incident.called import Reached
from processpilot.incident.wording import test_message
from processpilot.journal.event import JsonValue
from processpilot.journal.journal import Journal
from processpilot.messages.send import Delivery, Message, send_to_all
from processpilot.plan.load import LoadedPlan

STREAM = "paging"
TESTED = "page-tested"
NO_CHANNEL = "the plan names no channel"
_AT_ONCE = 16

# Sends a message over the channel of that id, and tells what became of it.
Send = Callable[[str, Message], Delivery]


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of one test page."""

    who: str
    delivery: Delivery


def sender(loaded: LoadedPlan, clock: Clock) -> Send:
    """Return what sends over the plan's channels."""
    channels = {channel.id: channel for channel in loaded.plan.channels}

    def send(channel_id: str, message: Message) -> Delivery:
        channel = channels.get(channel_id)
        if channel is None:
            return Delivery(channel_id, clock.now(), False, "the plan has no such channel")
        return send_to_all([channel], message, loaded.base, clock)[0]

    return send


def attempt(send: Send, channel: str, message: Message, clock: Clock) -> Delivery:
    """Return what became of one attempt; a channel's own failure is an answer like any other."""
    if not channel:
        return Delivery("", clock.now(), False, NO_CHANNEL)
    try:
        return send(channel, message)
    except Exception as error:  # noqa: BLE001 - channels are other people's code
        return Delivery(channel, clock.now(), False, f"the channel broke: {type(error).__name__}")


def test_pages(
    loaded: LoadedPlan, people: Sequence[Reached], send: Send, clock: Clock
) -> list[Tested]:
    """Send a test to everybody over each of their channels; return every delivery in order."""

    def one(pair: tuple[str, str]) -> Tested:
        who, channel = pair
        message = test_message(loaded.plan, who, channel, clock.now())
        return Tested(who, attempt(send, channel, message, clock))

    pairs = list(dict.fromkeys(_pairs(people)))
    if not pairs:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(pairs))) as pool:
        return list(pool.map(one, pairs))


def write_tested(journal: Journal, tested: Sequence[Tested], by: str) -> None:
    """Write a test down, so that it is known when paging was last drilled."""
    rows: list[JsonValue] = [
        {
            "who": one.who,
            "channel": one.delivery.channel,
            "sent_at": one.delivery.sent_at.isoformat(),
            "delivered": one.delivery.delivered,
            "detail": one.delivery.detail,
        }
        for one in tested
    ]
    all_arrived = bool(tested) and all(one.delivery.delivered for one in tested)
    journal.append(STREAM, TESTED, {"by": by, "all_delivered": all_arrived, "deliveries": rows})


def _pairs(people: Sequence[Reached]) -> Iterator[tuple[str, str]]:
    for person in people:
        for channel in person.channels or ("",):
            yield person.who, channel

"""Sending one message over channels, and telling for each whether it went out.

Apprise knows most channels; signed webhooks are ours.

Delivered means that the channel's server took it, not that anybody has read it.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError
from processpilot.messages.webhook import is_webhook, post_signed
from processpilot.plan.secrets import Secret, read_secret
from processpilot.plan.switch import Channel

LIMIT_S = 20.0
_AT_ONCE = 8
_SHOWN_BYTES = 300


@dataclass(frozen=True, slots=True)
class Message:
    """What is said; the subject is left out by channels that have none."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """Whether a channel's server took a message, and otherwise why not, without secrets."""

    channel: str
    sent_at: datetime
    delivered: bool
    detail: str


def send_to_all(
    channels: Sequence[Channel], message: Message, base: Path, clock: Clock
) -> list[Delivery]:
    """Send over all channels at once; return what became of each, in their order."""

    def one(channel: Channel) -> Delivery:
        try:
            url = read_secret(channel.url, base)
        except ProcessPilotError as error:
            return Delivery(channel.id, clock.now(), False, error.message)
        return send(channel.id, url, message, clock)

    if not channels:
        return []
    with ThreadPoolExecutor(min(_AT_ONCE, len(channels))) as pool:
        return list(pool.map(one, channels))


def send(
    channel: str, url: Secret, message: Message, clock: Clock, limit_s: float = LIMIT_S
) -> Delivery:
    """Send over one channel, for at most `limit_s`; what goes wrong is in the answer."""
    if is_webhook(url.text):
        return _signed(channel, url, message, clock.now(), limit_s)
    # Here, because it takes longer to load than most commands to run.
    import apprise

    # What it logs may hold the address; what matters of it is in the answer.
    logging.getLogger("apprise").propagate = False
    sent_at = clock.now()
    # Without a limit of its own it needs none of its threads: there are few, and all channels of
    # the process share them, so that some which never end would keep every later message back.
    target = apprise.Apprise(asset=apprise.AppriseAsset(service_timeout=0))
    if not target.add(url.text):
        return Delivery(channel, sent_at, False, "the channel's address is none that is known")

    def notify() -> tuple[bool, str]:
        result = target.notify(
            body=message.text, title=message.subject, body_format=apprise.NotifyFormat.TEXT
        )
        return bool(result), " ".join(str(entry.message) for entry in result.logs())

    ended = _within(limit_s, notify)
    if ended is None:
        return Delivery(channel, sent_at, False, f"no answer within {limit_s:g} s")
    delivered, said = ended
    return Delivery(
        channel, sent_at, delivered, "" if delivered else _hidden(said, url) or "refused"
    )


def _signed(
    channel: str, url: Secret, message: Message, sent_at: datetime, limit_s: float
) -> Delivery:
    """Send over a webhook of our own form."""
    ended = _within(
        limit_s, lambda: post_signed(url.text, message.subject, message.text, sent_at, limit_s)
    )
    if ended is None:
        return Delivery(channel, sent_at, False, f"no answer within {limit_s:g} s")
    delivered, said = ended
    return Delivery(channel, sent_at, delivered, "" if delivered else _hidden(said, url))


def _within(limit_s: float, work: Callable[[], tuple[bool, str]]) -> tuple[bool, str] | None:
    """Return what comes of work, or None after `limit_s`; what it raises is raised.

    Work that goes on for ever, as with a server whose answer trickles, is left behind in a thread
    that keeps neither the next message nor the end of the process waiting.
    """
    ended: queue.Queue[tuple[bool, str] | Exception] = queue.Queue()

    def carry_out() -> None:
        try:
            ended.put(work())
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            ended.put(error)

    threading.Thread(target=carry_out, name="channel", daemon=True).start()
    try:
        found = ended.get(timeout=limit_s)
    except queue.Empty:
        return None
    if isinstance(found, Exception):
        raise found
    return found


def _hidden(said: str, url: Secret) -> str:
    """Return what a channel complained of in one line, without any part of its address."""
    for part in sorted(_parts(url.text), key=len, reverse=True):
        said = said.replace(part, "***")
    line = " ".join(said.split())
    return line if len(line) <= _SHOWN_BYTES else f"{line[:_SHOWN_BYTES]}…"


def _parts(url: str) -> Iterator[str]:
    """Yield the address and what it is made of: any part but the scheme may be a token."""
    yield url
    scheme, _, rest = url.partition("://")
    for part in re.split(r"[/:@?&=#,]", rest):
        for form in (part, unquote(part), quote(unquote(part), safe="")):
            if len(form) > 3 and form != scheme:
                yield form

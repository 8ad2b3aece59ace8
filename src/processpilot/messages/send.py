"""Sending one message over channels, through Apprise, and telling for each whether it went out.

Delivered means that the channel's server took it, not that anybody has read it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote

from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError
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
    # Here, because it takes longer to load than most commands to run.
    import apprise

    # What it logs may hold the address; what matters of it is in the answer.
    logging.getLogger("apprise").propagate = False
    sent_at = clock.now()
    target = apprise.Apprise()
    if not target.add(url.text):
        return Delivery(channel, sent_at, False, "the channel's address is none that is known")
    result = target.notify(
        body=message.text,
        title=message.subject,
        body_format=apprise.NotifyFormat.TEXT,
        timeout=limit_s,
    )
    if result:
        return Delivery(channel, sent_at, True, "")
    if result.status == apprise.AppriseResultStatus.TIMEOUT:
        return Delivery(channel, sent_at, False, f"no answer within {limit_s:g} s")
    said = " ".join(str(entry.message) for entry in result.logs())
    return Delivery(channel, sent_at, False, _hidden(said, url) or "refused")


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

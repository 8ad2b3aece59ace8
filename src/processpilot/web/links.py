"""Signed links: one person's leave to do one thing, until it expires.

A token is the link's fields and their HMAC-SHA-256 under the plan's secret. Nothing is kept of a
link; whether its act was done already is asked of the journal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError, RefusedError
from processpilot.plan.alarm import Web
from processpilot.plan.load import LoadedPlan
from processpilot.plan.secrets import Secret, read_secret

LINK_TTL_S = 72 * 3600.0
SESSION_TTL_S = 12 * 3600.0
FORM_TTL_S = 12 * 3600.0
LEAST_SECRET_CHARACTERS = 24
LONGEST_TOKEN = 2048
_DOMAIN = b"processpilot link 1\n"


class Purpose(StrEnum):
    """What a token is for; one made for something else is refused."""

    ACKNOWLEDGE = "acknowledge"
    UPDATE = "update"
    STEP = "step"
    LOGIN = "login"
    SESSION = "session"
    FORM = "form"


BY_LINK = (Purpose.ACKNOWLEDGE, Purpose.UPDATE, Purpose.STEP)


@dataclass(frozen=True, slots=True)
class Link:
    """What a token says: `who` may do to `item` of `subject` what the purpose is for.

    `subject` is an incident's id, a run's for a step; `item` an update's or a step's id. Of a login
    `subject` is the page that is shown first; of a form, what the form is on.
    """

    purpose: Purpose
    subject: str
    item: str
    who: str
    expires_at: datetime


class BadLinkError(RefusedError):
    """A token that opens nothing: expired, altered, or made for something else."""


def seal(secret: Secret, link: Link) -> str:
    """Return the token of a link, in characters that need no escaping in an address."""
    fields = [
        str(link.purpose),
        link.subject,
        link.item,
        link.who,
        int(link.expires_at.timestamp()),
    ]
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    return f"{_spelled(text)}.{_spelled(_mac(secret, text))}"


def open_link(
    secret: Secret, token: str, now: datetime, purposes: Collection[Purpose] = BY_LINK
) -> Link:
    """Return what a token says; BadLinkError unless it is genuine, timely and for that purpose."""
    text, mac = _parts(token)
    # Nothing of the content is looked at before it is known to be ours.
    if not hmac.compare_digest(mac, _mac(secret, text)):
        raise BadLinkError("this link is not genuine, or it was cut off on the way")
    purpose, subject, item, who, expires = json.loads(text)
    link = Link(Purpose(purpose), subject, item, who, datetime.fromtimestamp(expires, UTC))
    if link.purpose not in purposes:
        raise BadLinkError("this link is for something else")
    if now >= link.expires_at:
        raise BadLinkError(
            f"this link expired at {link.expires_at:%Y-%m-%d %H:%M} UTC",
            hint="Use the link in a newer message, or the command line on the control host.",
        )
    return link


@dataclass(frozen=True, slots=True)
class Links:
    """Makes the links of a plan's messages; each is good for 72 hours."""

    url: str
    secret: Secret
    clock: Clock

    def link_for(self, incident_id: str, act: str, who: str) -> str:
        """Return the address at which `who` does something about an incident.

        `act` is "acknowledge", or "update ID" to approve or refuse a word to stakeholders.
        """
        kind, _, item = act.partition(" ")
        purpose = Purpose(kind)
        assert purpose in (Purpose.ACKNOWLEDGE, Purpose.UPDATE), act
        return self._to(purpose, incident_id, item, who)

    def step(self, run_id: str, step_id: str, who: str) -> str:
        """Return the address at which `who` approves, refuses or confirms a step."""
        return self._to(Purpose.STEP, run_id, step_id, who)

    def login(self, who: str, page: str = "") -> str:
        """Return the address that lets `who` look at everything for half a day, `page` first."""
        return f"{self.url}/login/{self.token(Purpose.LOGIN, page, '', who, LINK_TTL_S)}"

    def token(self, purpose: Purpose, subject: str, item: str, who: str, ttl_s: float) -> str:
        """Return a token that expires after `ttl_s`."""
        expires_at = self.clock.now() + timedelta(seconds=ttl_s)
        return seal(self.secret, Link(purpose, subject, item, who, expires_at))

    def opened(self, token: str, purposes: Collection[Purpose] = BY_LINK) -> Link:
        """Return what a token says; BadLinkError for one that opens nothing."""
        return open_link(self.secret, token, self.clock.now(), purposes)

    def _to(self, purpose: Purpose, subject: str, item: str, who: str) -> str:
        return f"{self.url}/link/{self.token(purpose, subject, item, who, LINK_TTL_S)}"


def links_of(loaded: LoadedPlan, clock: Clock) -> Links | None:
    """Return what makes the plan's links, None when it has no `web`.

    RefusedError for a secret so short that it can be guessed from one link.
    """
    web = loaded.plan.web
    if web is None:
        return None
    return Links(web.url.rstrip("/"), _strong(web, read_secret(web.secret, loaded.base)), clock)


def link_maker(loaded: LoadedPlan, clock: Clock) -> Callable[[str, str, str], str | None]:
    """Return what gives `link_for` of a plan's links, and None while there can be none.

    A secret that cannot be read costs a message its link, never the message.
    """

    def link_for(incident_id: str, act: str, who: str) -> str | None:
        try:
            links = links_of(loaded, clock)
        except ProcessPilotError:
            return None
        return None if links is None else links.link_for(incident_id, act, who)

    return link_for


def _strong(web: Web, secret: Secret) -> Secret:
    if len(secret.text) < LEAST_SECRET_CHARACTERS:
        raise RefusedError(
            f"the secret {web.secret} has {len(secret.text)} characters, "
            f"and links need {LEAST_SECRET_CHARACTERS}",
            hint="Write a new one, for example with: openssl rand -hex 32",
        )
    return secret


def _mac(secret: Secret, text: bytes) -> bytes:
    return hmac.new(secret.text.encode(), _DOMAIN + text, hashlib.sha256).digest()


def _spelled(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _parts(token: str) -> tuple[bytes, bytes]:
    """Return content and signature; only the one spelling that `seal` gives is taken."""
    text, point, mac = token.partition(".")
    try:
        if not point or len(token) > LONGEST_TOKEN:
            raise ValueError
        parts = tuple(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4)) for p in (text, mac))
        if (_spelled(parts[0]), _spelled(parts[1])) != (text, mac):
            raise ValueError
    except (ValueError, binascii.Error):
        raise BadLinkError("this link is not genuine, or it was cut off on the way") from None
    return parts[0], parts[1]

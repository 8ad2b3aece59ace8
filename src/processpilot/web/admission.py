"""Which programs are let in, and how many requests were not.

A program shows the plan's secret, or better the token of the one place it writes to: that is
derived from the secret and opens nothing else, so that a monitoring system's settings do not hold
what signs people's links.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import Counter
from collections.abc import Mapping

from processpilot.plan.model import Plan
from processpilot.plan.secrets import Secret
from processpilot.web.statuses import UNAUTHORIZED, RequestError

ALERTS = "alerts"
REPLY = "reply"
_DOMAIN = "processpilot inbound 1\n"


def heartbeat_place(heartbeat_id: str) -> str:
    """Return the place to which a program sends its signs of life."""
    return f"heartbeat/{heartbeat_id}"


def inbound_token(secret: Secret, place: str) -> str:
    """Return the token (32 hexadecimal digits) that opens one place."""
    return hmac.new(secret.text.encode(), f"{_DOMAIN}{place}".encode(), hashlib.sha256).hexdigest()[
        :32
    ]


def inbound_addresses(plan: Plan, secret: Secret) -> Mapping[str, str]:
    """Return the address with its token for each place that programs write to, by place."""
    if plan.web is None:
        return {}
    url = plan.web.url.rstrip("/")
    places = [ALERTS, REPLY, *(heartbeat_place(one.id) for one in plan.heartbeats)]
    return {place: f"{url}/{place}/{inbound_token(secret, place)}" for place in places}


def admit(secret: Secret, place: str, shown: str | None) -> None:
    """Return when a program shows what opens `place`; otherwise the request is refused with 401."""
    given = (shown or "").encode(errors="replace")
    # Both are compared whatever the first says, so that the time taken tells nothing.
    is_secret = hmac.compare_digest(given, secret.text.encode())
    is_token = hmac.compare_digest(given, inbound_token(secret, place).encode())
    if not is_secret and not is_token:
        why = "there is no token" if shown is None else "the token is wrong"
        raise RequestError(UNAUTHORIZED, f"{why} for /{place}")


def bearer(authorization: str | None) -> str | None:
    """Return the token of an Authorization header, None when there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


class Refusals:
    """Counts refused requests by place and status, since the server began; any thread may."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()
        self._lock = threading.Lock()

    def count(self, place: str, status: int) -> None:
        """Count one; `place` is one of ours, never the caller's words."""
        with self._lock:
            self._counts[place, status] += 1

    def counts(self) -> Mapping[tuple[str, int], int]:
        """Return how many there were."""
        with self._lock:
            return dict(self._counts)

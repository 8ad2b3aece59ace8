"""Webhooks of our own form, signed: the receiver knows who sends, and that nothing was changed.

The channel's address is `webhook+https://host/path#KEY` (or `webhook+http` on a network that is
trusted). The body is JSON with `subject`, `text` and `sent_at`. The header that HEADER names holds
`t=SECONDS,v1=DIGITS`: the moment, and the HMAC-SHA-256 under KEY of `SECONDS.BODY`. A receiver
compares both and refuses moments long past, so that nobody else can send it again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime

import httpx

SCHEME = "webhook+"
HEADER = "X-ProcessPilot-Signature"
_LEAST_KEY = 16
_OK = 300


def is_webhook(address: str) -> bool:
    """Whether a channel's address is one of ours."""
    return address.startswith((f"{SCHEME}https://", f"{SCHEME}http://"))


def signature(key: str, sent_at: datetime, body: bytes) -> str:
    """Return the header's value for a body."""
    seconds = str(int(sent_at.timestamp()))
    digest = hmac.new(key.encode(), seconds.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def post_signed(
    address: str, subject: str, text: str, sent_at: datetime, limit_s: float
) -> tuple[bool, str]:
    """Send one message; return whether the receiver took it, and otherwise why not."""
    url, _, key = address.removeprefix(SCHEME).partition("#")
    if len(key) < _LEAST_KEY:
        return False, f"the webhook's address ends with no key of at least {_LEAST_KEY} characters"
    document = {"subject": subject, "text": text, "sent_at": sent_at.isoformat()}
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", HEADER: signature(key, sent_at, body)}
    try:
        with httpx.Client(timeout=limit_s, trust_env=False) as client:
            answer = client.post(url, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return False, str(error) or type(error).__name__
    return answer.status_code < _OK, f"status {answer.status_code}"

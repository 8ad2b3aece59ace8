"""Addresses that runbooks tell people to ask with curl, as conditions of a check."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from urllib.parse import urlsplit

_CURL_PLAIN = frozenset({"-f", "-s", "-S", "-sS", "-fs", "-sf", "-fsS", "-sSf", "-i", "-v",
                         "--fail", "--silent", "--show-error", "--include", "--verbose",
                         "-fsSL", "-fSs"})  # fmt: skip
_CURL_VALUE = frozenset({"-m", "--max-time", "--connect-timeout", "-o", "--output", "-w",
                         "--write-out", "--retry"})  # fmt: skip
_HEALTH = re.compile(
    r"health|status|ping|ready|live|alive|heartbeat|version|metrics", re.IGNORECASE
)


def check_of(command: str) -> Mapping[str, object] | None:
    """Return a check of the address that a curl command only looks at; None for any other."""
    text = re.sub(r"\s*\|\s*(?:jq|python3? -m json\.tool|head|tail|grep)\b.*$", "", command)
    try:
        words = shlex.split(text)[1:]
    except ValueError:
        return None
    url, method, n = "", "GET", 0
    while n < len(words):
        word = words[n]
        if word in ("-I", "--head", "-sI", "-Is"):
            method = "HEAD"
        elif word in ("-X", "--request") and n + 1 < len(words):
            method, n = words[n + 1], n + 1
        elif word in _CURL_VALUE:
            n += 1
        elif re.match(r"https?://", word) and not url:
            url = word
        elif word not in _CURL_PLAIN or word == "-fsSL":
            return None
        n += 1
    if method not in ("GET", "HEAD") or not _is_health(url):
        return None
    condition: dict[str, object] = {"kind": "http", "url": url, "status": 200}
    if method == "HEAD":
        condition["method"] = method
    return {"action": "check", "conditions": [condition]}


def _is_health(url: str) -> bool:
    if not url or re.search(r"[$`<>\[\]{}@*\s]", url):
        return False
    try:
        parts = urlsplit(url)
        local = parts.hostname in ("localhost", "127.0.0.1")
        return bool(parts.hostname) and (
            local or bool(_HEALTH.search(f"{parts.path}?{parts.query}"))
        )
    except ValueError:
        return False

"""Passwords at rest: salted scrypt, with its costs written beside each hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

COST: Final = 2**14
BLOCK: Final = 8
LANES: Final = 1
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32


def hash_password(password: str) -> str:
    """Return `scrypt$cost$block$lanes$salt$hash`, the last two in base64; salted anew each call."""
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _scrypt(password, salt, COST, BLOCK, LANES)
    parts = (str(COST), str(BLOCK), str(LANES), _text(salt), _text(digest))
    return "$".join(("scrypt", *parts))


def password_matches(password: str, stored: str) -> bool:
    """Tell whether `password` is the one behind `stored`; compared in constant time."""
    scheme, *parts = stored.split("$")
    if scheme != "scrypt" or len(parts) != 5:
        return False
    cost, block, lanes = (int(part) for part in parts[:3])
    salt, expected = (base64.b64decode(part) for part in parts[3:])
    return hmac.compare_digest(_scrypt(password, salt, cost, block, lanes), expected)


def _scrypt(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    secret = password.encode()
    return hashlib.scrypt(secret, salt=salt, n=cost, r=block, p=lanes, dklen=HASH_BYTES)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")

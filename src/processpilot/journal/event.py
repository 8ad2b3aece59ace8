"""One event of the journal, its canonical bytes, and the hash that chains it to the one before.

Owns what is hashed and how. Where events are stored is left to `journal`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from processpilot.errors import UsageError

JsonValue: TypeAlias = (
    None | bool | int | float | str | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
)

FIRST_PREVIOUS_HASH = "0" * 64
DEEPEST_NESTING = 64
DOMAIN = b"processpilot journal event 1\n"
SPELLING = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in its place in the chain.

    `position` counts all events of the journal from 1 without a hole; `sequence` counts those of
    the stream likewise. `epoch` is the lease's the writer held, 0 without one. `hash` is `digest`
    of the other fields, and the next event's `previous_hash`.
    """

    position: int
    stream: str
    sequence: int
    at: datetime
    kind: str
    data: Mapping[str, JsonValue]
    epoch: int
    previous_hash: str
    hash: str


def canonical(data: Mapping[str, JsonValue]) -> bytes:
    """Return the one spelling of `data`: JSON in UTF-8, keys sorted by code point, no spaces.

    Tuples are written as lists. What JSON would bend is refused with a UsageError: numbers that
    are not finite, keys that are not text, unpaired surrogates, nesting deeper than 64.
    """
    return _encoded(_plain(data, "data", DEEPEST_NESTING))


def digest(event: Event) -> str:
    """Return the SHA-256 (64 hexadecimal digits) over every field of `event` but its hash."""
    fields: dict[str, JsonValue] = {
        "position": event.position,
        "stream": event.stream,
        "sequence": event.sequence,
        "at": at_text(event.at),
        "kind": event.kind,
        "data": event.data,
        "epoch": event.epoch,
        "previous_hash": event.previous_hash,
    }
    plain = _plain(fields, "event", DEEPEST_NESTING + 1)
    return hashlib.sha256(DOMAIN + _encoded(plain)).hexdigest()


def sealed(event: Event) -> Event:
    """Return `event` with the hash its other fields demand."""
    return replace(event, hash=digest(event))


def at_text(at: datetime) -> str:
    """Return `at` in UTC with six decimals of a second, as it is stored and hashed."""
    assert at.tzinfo is not None, "an event's time is aware"
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _encoded(plain: JsonValue) -> bytes:
    try:
        return SPELLING.encode(plain).encode()
    except ValueError as error:
        raise UsageError(f"event data cannot be written as JSON: {error}") from error


def _plain(value: object, place: str, depth: int) -> JsonValue:
    """Return `value` as the dicts, lists and scalars that json writes and reads back alike."""
    if depth < 0:
        raise UsageError(f"event data is nested deeper than {DEEPEST_NESTING} levels")
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UsageError(f"{place} is {value}, which JSON has no number for")
        return value
    if isinstance(value, Mapping):
        return {
            _key(key, place): _plain(inner, f"{place}.{key}", depth - 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(inner, f"{place}[{i}]", depth - 1) for i, inner in enumerate(value)]
    raise UsageError(f"{place} is a {type(value).__name__}, not a JSON value")


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise UsageError(f"{place} has the key {key!r}, and keys are text")
    return key

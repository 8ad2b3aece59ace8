"""The plan in the making: a tree of values that remembers which lines each came from.

`Fate` is what became of a line; a `Claim` says so for one line at one place of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What became of a line."""

    UNDERSTOOD = "understood"
    MAPPED = "mapped"
    MANUAL = "manual"
    UNUSED = "unused"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a line became, in words; its place is where in the tree the claim hangs."""

    line: int
    fate: Fate
    became: str


class Tone(StrEnum):
    """Why a remark is made."""

    ASSUMED = "assumed"
    INFERRED = "inferred"
    ADDED = "added"
    FILL_IN = "fill in"
    LATER = "not there yet"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Remark:
    """What people should know of a place of the plan; it becomes a comment there."""

    tone: Tone
    text: str


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value."""

    value: str | int | float | bool | None
    claims: tuple[Claim, ...] = ()
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Many:
    """A list."""

    items: tuple[Node, ...]
    claims: tuple[Claim, ...] = ()
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Fields:
    """A mapping, in the order in which it is written."""

    entries: tuple[tuple[str, Node], ...]
    claims: tuple[Claim, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def value(self, key: str) -> Node | None:
        """Return what stands under `key`, or None."""
        return next((node for name, node in self.entries if name == key), None)


Node = Leaf | Many | Fields


def understood(became: str, *lines: int) -> tuple[Claim, ...]:
    """Return the claims that these lines were understood as that."""
    return tuple(Claim(line, Fate.UNDERSTOOD, became) for line in lines)


def unused(reason: str, *lines: int) -> tuple[Claim, ...]:
    """Return the claims that these lines could not be used, and why."""
    return tuple(Claim(line, Fate.UNUSED, reason) for line in lines)


def fields(
    values: Mapping[str, object],
    claims: Sequence[Claim] = (),
    remarks: Sequence[Remark] = (),
) -> Fields:
    """Return a mapping of plain values and nodes; empty texts, empty lists and None are left out.

    What was written as an empty list or mapping on purpose has to be a node already.
    """
    entries = tuple(
        (key, node(value))
        for key, value in values.items()
        if value is not None and value != "" and value != () and value != []
    )
    return Fields(entries, tuple(claims), tuple(remarks))


def node(value: object) -> Node:
    """Return a plain value (text, number, list, mapping) as part of the tree."""
    match value:
        case Leaf() | Many() | Fields():
            return value
        case Mapping():
            return Fields(tuple((str(key), node(inner)) for key, inner in value.items()))
        case list() | tuple():
            return Many(tuple(node(inner) for inner in value))
        case str() | bool() | int() | float() | None:
            return Leaf(value)
        case _:
            return Leaf(str(value))


def placed(root: Node, place: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every node with its place, such as scenarios[0].steps[2]."""
    yield place, root
    match root:
        case Fields(entries):
            for key, inner in entries:
                yield from placed(inner, f"{place}.{key}" if place else key)
        case Many(items):
            for n, inner in enumerate(items):
                yield from placed(inner, f"{place}[{n}]")

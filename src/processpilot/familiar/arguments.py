"""The words after a familiar name, taken apart; whatever is not expected is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from processpilot.errors import UsageError
from processpilot.familiar.names import Name, usage_of


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was given: words, flags, and options with their values."""

    words: tuple[str, ...]
    flags: frozenset[str]
    options: Mapping[str, str]


def read_arguments(
    name: Name,
    given: Sequence[str],
    *,
    most: int = 0,
    flags: Collection[str] = (),
    options: Collection[str] = (),
) -> Arguments:
    """Return the arguments; UsageError for more than `most` words or an option not named here."""
    words: list[str] = []
    seen: set[str] = set()
    values: dict[str, str] = {}
    left = list(given)
    while left:
        word = left.pop(0)
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif word in flags:
            seen.add(word)
        elif option in options and option not in values:
            if not equals:
                if not left or left[0].startswith("-"):
                    raise malformed(name, f"{option} needs a value")
                value = left.pop(0)
            if not value:
                raise malformed(name, f"{option} needs a value")
            values[option] = value
        else:
            raise malformed(name, f"{option} is not expected here")
    if len(words) > most:
        raise malformed(name, f'"{words[most]}" is not expected here')
    return Arguments(tuple(words), frozenset(seen), values)


def malformed(name: Name, why: str) -> UsageError:
    """Return the error for a line that is not written as it has to be."""
    return UsageError(f"{name}: {why}", hint=f"Write it as: {usage_of(name)}.")

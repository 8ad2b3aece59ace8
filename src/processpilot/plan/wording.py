"""Parts of the plan in words, for a terminal, for paper and for comparisons.

Commands are exact: what a shell takes back to the same arguments. Only passwords are left out, and
characters that cannot be seen are spelled.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from unicodedata import category

from processpilot.plan.act import (
    BuiltInAct,
    CheckAct,
    CommandAct,
    HttpAct,
    MaintenanceAct,
    ManualAct,
    MessageAct,
    ReleaseAct,
    ServiceAct,
    SqlAct,
    ToggleAct,
    WaitAct,
)
from processpilot.plan.condition import (
    CommandCondition,
    Condition,
    FileCondition,
    HttpCondition,
    ProbeCondition,
    SqlCondition,
)
from processpilot.plan.probe import HttpRequest, SqlQuery

LEFT_OUT = "***"

_PASSWORD_IN_URL = re.compile(r"(://[^/@:\s'\"]*:)[^/@\s'\"]+@")
_NAMES = r"[\w-]*(?:passwo?r?d|passphrase|secret|token|api[_-]?key|credentials?)"
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_SECRET_OPTION = re.compile(rf"-{_NAMES}", re.IGNORECASE)
_ASSIGNED = re.compile(rf"({_NAMES}=)(?!file:|env:|\$)[^\s'\"&]+", re.IGNORECASE)
_KEPT = "\n\t\u200c\u200d"
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"))


class LineKind(StrEnum):
    """Whether a line is read, typed into a shell, or typed elsewhere as it stands."""

    WORDS = "words"
    COMMAND = "command"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what an act does; a command may hold line breaks between its quotes."""

    text: str
    kind: LineKind = LineKind.WORDS


def duration_words(seconds: float | None) -> str:
    """Return a duration of the plan as people say it: 5 min, 1 h 30 min, 90 s, 0.25 s."""
    if seconds is None:
        return "none"
    if seconds < 60 or seconds % 60:
        return f"{seconds:g} s"
    parts = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count:g} {unit}")
    return " ".join(parts)


def loss_words(seconds: float) -> str:
    """Return how much may be lost, as an objective says it."""
    return "nothing" if seconds == 0 else f"at most {duration_words(seconds)}"


def shell_words(argv: Sequence[str]) -> str:
    """Return a command as it is typed into bash; passwords are left out."""
    before = ("", *argv)
    return " ".join(
        LEFT_OUT if _SECRET_OPTION.fullmatch(option) else _shell_word(without_password(word))
        for option, word in zip(before, argv, strict=False)
    )


def visible(text: str) -> str:
    """Return `text` with every character that cannot be seen spelled as an escape.

    Line breaks and tabs stay, other blanks become spaces, joined letters and emoji stay joined.
    """
    return "".join(
        c if c.isprintable() or c in _KEPT else " " if category(c) == "Zs" else _escape(c)
        for c in text
    )


def without_password(text: str) -> str:
    """Return `text` without the passwords in its addresses and its NAME=VALUE."""
    return _ASSIGNED.sub(rf"\1{LEFT_OUT}", _PASSWORD_IN_URL.sub(rf"\1{LEFT_OUT}@", text))


def act_lines(act: object) -> Iterator[Line]:
    """Yield what an act, or a step that is one, does; nothing for groups and approvals."""
    match act:
        case BuiltInAct():
            yield Line(act.action.meaning)
        case CommandAct():
            yield from _command(act)
        case HttpAct():
            yield from _http(act)
        case SqlAct():
            yield from _sql(act)
        case ServiceAct():
            yield Line(f"{act.do.capitalize()} {act.component} through what runs it")
        case CheckAct():
            limit = f", within {duration_words(act.within_s)}" if act.within_s else ""
            yield Line(f"All of this holds{limit}:")
            for condition in act.conditions:
                yield from condition_lines(condition)
        case WaitAct():
            yield from _wait(act)
        case MessageAct():
            over = ", ".join(act.channels) or "every channel"
            yield Line(f"Tell, over {over}: {_named(act.subject)}{act.text}")
        case ManualAct() if act.instruction:
            yield Line(act.instruction)
        case ReleaseAct():
            yield Line(_RELEASES[act.do].format(act.component))
        case MaintenanceAct():
            yield Line(f"Turn maintenance mode {act.mode}")
        case ToggleAct():
            yield Line(f"Turn {act.toggle} {act.state}")


def condition_lines(condition: Condition) -> Iterator[Line]:
    """Yield a condition in words, after them what is asked exactly."""
    match condition:
        case ProbeCondition():
            yield Line(f"probe {condition.probe} {'passes' if condition.passes else 'fails'}")
        case FileCondition():
            yield Line(f"{condition.path} {'exists' if condition.exists else 'does not exist'}")
        case CommandCondition():
            yield Line("this ends with status 0:")
            yield Line(shell_words(condition.argv), LineKind.COMMAND)
        case HttpCondition():
            yield from _http(condition)
        case SqlCondition():
            yield from _sql(condition)


def in_one_line(lines: Iterator[Line]) -> str:
    """Return them joined, for a sentence."""
    return " ".join(line.text for line in lines)


_RELEASES = {
    "rollback": "Put the previous release of {} in place",
    "forward": "Put the newest release of {} in place",
    "migrate": "Run the migrations of {}",
}


def _command(act: CommandAct) -> Iterator[Line]:
    yield Line(shell_words(act.argv), LineKind.COMMAND)
    if act.folder is not None:
        yield Line(f"in the folder {act.folder}")
    for name, value in act.env.items():
        yield Line(f"with {name} {_value(name, value)}")
    if act.exit_codes != (0,):
        yield Line(f"it passes with status {', '.join(map(str, act.exit_codes))}")


def _http(request: HttpRequest) -> Iterator[Line]:
    yield Line(f"{request.method} {without_password(request.url)}", LineKind.EXACT)
    for name, value in (request.json_body or {}).items():
        yield Line(f"with {name} {_value(name, value)}")
    contains = "" if request.contains is None else f' and contains "{request.contains}"'
    yield Line(f"the answer has status {request.status}{contains}")


def _sql(query: SqlQuery) -> Iterator[Line]:
    yield Line(query.query, LineKind.EXACT)
    if query.dsn is not None:
        yield Line(f"on {without_password(query.dsn)}")
    if query.expect is not None:
        yield Line(f'the answer is "{query.expect}"')


def _wait(act: WaitAct) -> Iterator[Line]:
    if act.until is None:
        yield Line(f"Wait {duration_words(act.for_s)}")
        return
    yield Line(f"Wait, at most {duration_words(act.limit_s)}, until")
    yield from condition_lines(act.until)


def _value(name: str, value: str) -> str:
    """Return where a secret comes from, or a value that is none."""
    if value.startswith(("file:", "env:")):
        return f"from {value}"
    return LEFT_OUT if _SECRET_NAME.search(name) else f"= {without_password(value)}"


def _named(subject: str | None) -> str:
    return "" if subject is None else f"{subject}: "


def _shell_word(word: str) -> str:
    # In a script of several lines, tabs are part of its looks.
    seen = "\n\t" if "\n" in word else ""
    if all(c.isprintable() or c in seen for c in word):
        return shlex.quote(word)
    inner = "".join(_ANSI.get(c) or (c if c.isprintable() else _escape(c)) for c in word)
    return f"$'{inner}'"


_ANSI: Mapping[str, str] = {"'": "\\'", "\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

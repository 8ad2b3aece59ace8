"""Placeholders: words that somebody was going to replace and did not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.named import named_commands, strings_of
from processpilot.feasibility.study import Study

_PLACEHOLDER = re.compile(
    r"""(?xi)
    ^\s*\[[^\]]*\](?:\s*\[[^\]]*\])*\s*$        # [PHONE] [EMAIL]
    | ^\s*<[^>]*>\s*$
    | (?<![a-z]) (?: tbd | tbc | todo | fixme | placeholder ) (?![a-z])
    | (?<![a-z]) (?: fill[-_ ]?in | change[-_ ]?me ) (?![a-z])
    | ^x{2,}$ | xxx
    | (?<![a-z0-9-]) example\.(?:com|org|net) \b
    | ^\s*\+?[0\s().-]*0[0\s().-]*$             # +00 000
    | \b555[-. ]?01\d\d\b                       # numbers kept for fiction in North America
    | ^\s*(?: n/?a | none | unknown | \?+ | -+ | \.\.\. | … )\s*$
    """
)
_SETTING = re.compile(r"(?i)fill[-_ ]?in|change[-_ ]?me|<[^>\s]+>|\bTODO\b|\bTBD\b")
_IN_COMMAND = re.compile(
    r"/path/to/|(?<![\w${])[A-Z]{2,}(?:_[A-Z]+)+(?![\w=(}])|<[a-z][\w -]*>|(?i:\bfill[-_ ]in\b)"
    r"|\b(?:database_name|your[-_]\w+)\b"
)
_SETTINGS = ("database", "repository", "state_dir", "protection", "components", "channels")


def is_placeholder(text: str) -> bool:
    """Return whether a contact or an address was never filled in."""
    return _PLACEHOLDER.search(text) is not None


def in_command(word: str) -> str | None:
    """Return the part of a command's word that somebody has to fill in."""
    match = _IN_COMMAND.search(word)
    if match is None:
        return None
    return word if match[0] == "/path/to/" else match[0]


def remarks(study: Study) -> Iterator[Remark]:
    """Yield settings and commands that were never filled in."""
    for place, text in strings_of(study.plan, ""):
        setting = place.startswith(_SETTINGS) and not place.endswith(".title")
        if setting and (match := _SETTING.search(text)):
            yield Remark(
                "placeholder-left",
                place,
                f"{place} was never filled in",
                f'"{match[0]}" stands where a value belongs',
                "Fill it in.",
            )
    seen: set[tuple[str, str]] = set()
    for named in named_commands(study):
        for word in named.command.words:
            part = in_command(word)
            if part is None or (named.place, part) in seen:
                continue
            seen.add((named.place, part))
            yield Remark(
                "placeholder-in-command",
                named.place,
                f"step {named.user} runs with {part} as it stands",
                " ".join(named.command.words),
                "Write the real value, read it from a variable, or make the step manual.",
                None if named.runs else Severity.WARNING,
            )

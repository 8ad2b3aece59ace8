"""Tables: what a column is about, by what people write above it."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Each name with what its heading contains, the more certain first.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "component": (
        r"component|system|komponente", r"\bservice\b|application|dienst|asset|workload|\bapp\b",
        r"\bname\b|data ?(?:set|store)|resource|\btier\b",
    ),
    "rto": (r"\brto\b", r"recovery time|max\.? ?(?:imum)?.{0,12}(?:downtime|outage)|restore time|"
            r"wiederherstellungs(?:zeit|dauer)|ausfallzeit|downtime|back (?:up )?(?:with)?in"),
    "rpo": (r"\brpo\b", r"recovery point|data loss|datenverlust|max\.? ?(?:imum)?.{0,12}loss"),
    "priority": (r"priorit|criticality|kritikalit", r"\btier\b|severity|class|impact"),
    "needs": (r"depend|needs|requires|abhängig",),
    "role": (r"\brole\b|\brolle\b", r"function|team|responsib|position|funktion"),
    "primary": (r"primary|main\b|haupt|\blead\b|owner|assigned|person|who|name|holder|"
                r"verantwortlich",),
    "secondary": (r"secondary|backup|deputy|stand-?in|alternate|substitute|vertret|stellv",),
    "duties": (r"dut(?:y|ies)|responsibilit|tasks?|aufgaben|description",),
    "phone": (r"phone|hotline|mobile|\btel|handy|call|pager",),
    "email": (r"e-?mail",),
    "chat": (r"slack|chat|teams|channel|matrix|messenger|handle|im\b",),
    "contact": (r"contact|reach|kontakt|support|portal|how",),
    "what": (
        r"^(?:action|task|activity|what|step description|description|maßnahme|tätigkeit|was)\b",
        r"action|task|activity|procedure", r"^(?:step|schritt)s?$", r"step|schritt",
    ),
    "who": (r"owner|who|responsib|role|assign|verantwort|zuständig|\bby\b|wer\b|lead|team",),
    "when": (r"time|duration|window|when|minute|dauer|zeit|\bt\+|elapsed|estimate",),
    "command": (r"command|befehl|how\b|\bcli\b",),
    "note": (r"note|expect|verif|result|success|check|comment|remark|hinweis|evidence",),
    "level": (r"level|stage|severity|tier|stufe|escalation|step|\bafter\b|#",),
    "vendor": (r"vendor|provider|supplier|company|service|dienstleister|anbieter|partner",),
    "response": (r"response|sla|react|antwort|reaktion|within",),
    "item": (r"drill|test|exercise|übung|scenario|activity|what",),
    "every": (r"frequen|every|cadence|how often|interval|turnus|häufig|schedule",),
}  # fmt: skip


def column(head: Sequence[str], name: str) -> int | None:
    """Return the index of the column that is about `name`, or None."""
    for pattern in _COLUMNS[name]:
        for n, title in enumerate(head):
            if re.search(pattern, title, re.IGNORECASE):
                return n
    return None


def columns(head: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """Return which column is about what; the first name in `names` has the first choice."""
    found: dict[str, int] = {}
    for name in names:
        for pattern in _COLUMNS[name]:
            free = [
                n
                for n, title in enumerate(head)
                if n not in found.values() and re.search(pattern, title, re.IGNORECASE)
            ]
            if free:
                found[name] = free[0]
                break
    return found


def cell(cells: Sequence[str], found: dict[str, int], name: str) -> str:
    """Return what a row says in the column about `name`; nothing where it has none."""
    n = found.get(name)
    return cells[n].strip() if n is not None and n < len(cells) else ""

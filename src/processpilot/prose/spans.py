"""Durations and windows as people write them: 4 hours, half an hour, 15–30 min, 60+ min."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBERS = {
    "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0,
    "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "twelve": 12.0,
    "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty-five": 45.0, "sixty": 60.0,
    "half a": 0.5, "half an": 0.5, "half": 0.5, "a quarter of an": 0.25, "quarter of an": 0.25,
    "ein": 1.0, "eine": 1.0, "einer": 1.0, "zwei": 2.0, "drei": 3.0, "vier": 4.0, "fünf": 5.0,
    "sechs": 6.0, "acht": 8.0, "zehn": 10.0, "zwölf": 12.0, "halbe": 0.5, "eine halbe": 0.5,
    "einer halben": 0.5, "halben": 0.5,
}  # fmt: skip
_UNITS_S = {
    "ms": 0.001, "millisecond": 0.001, "milliseconds": 0.001,
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "sek": 1, "sekunde": 1, "sekunden": 1,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60, "minuten": 60,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "std": 3600, "stunde": 3600,
    "stunden": 3600,
    "d": 86400, "day": 86400, "days": 86400, "tag": 86400, "tage": 86400, "tagen": 86400,
    "w": 604800, "wk": 604800, "week": 604800, "weeks": 604800, "woche": 604800, "wochen": 604800,
    "month": 2592000, "months": 2592000, "monat": 2592000, "monate": 2592000,
}  # fmt: skip
_NOTHING = re.compile(
    r"\b(?:none|zero|no (?:data )?loss|no downtime|near[- ]?zero|keiner?|kein (?:daten)?verlust|"
    r"immediate(?:ly)?|instant(?:ly)?|sofort)\b",
    re.IGNORECASE,
)
_UNIT = "|".join(sorted(_UNITS_S, key=len, reverse=True))
_WORD = "|".join(sorted(_NUMBERS, key=len, reverse=True))
_NUMBER = rf"(?:(?<![\w.])[0-9]{{1,9}}(?:[.,][0-9]{{1,3}})?|\b(?:{_WORD})\b)"
_ONE = rf"({_NUMBER})[ -]?\s?(?:business |working |calendar |full )?({_UNIT})\b\.?"
_AMOUNT = re.compile(_ONE, re.IGNORECASE)
_MORE = re.compile(rf"(?:\s*(?:,|and|und)?\s*)({_NUMBER})[ -]?\s?({_UNIT})\b", re.IGNORECASE)
_TIGHT = re.compile(r"\b([0-9]{1,4})h([0-9]{1,2})(?:m|min)?\b", re.IGNORECASE)
_RANGE = re.compile(
    rf"(?:T\s?\+\s?)?({_NUMBER})\s?({_UNIT})?\b\.?\s*(?:-|–|—|‑|to|bis|until|through|and)\s*"
    rf"(?:T\s?\+\s?)?({_NUMBER})[ -]?\s?({_UNIT})\b",
    re.IGNORECASE,
)
_OPEN = re.compile(
    rf"({_NUMBER})\s?({_UNIT})?\b\.?\s*\+\s*({_UNIT})?\b|"
    rf"(?:after|from|ab|nach|over|more than|>|>=|≥)\s*({_NUMBER})[ -]?\s?({_UNIT})\b",
    re.IGNORECASE,
)
_WITHIN = re.compile(
    rf"(?:first|within|inside|in under|under|up to|innerhalb(?: von)?|binnen|erste[nr]?|"
    rf"die ersten|max\.?|maximum|<=?|≤)\s*(?:the\s+)?({_NUMBER})[ -]?\s?({_UNIT})\b",
    re.IGNORECASE,
)
_LONGEST_S = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in a text: from `begin_s` to `end_s` (None: open), where it stands.

    `relative` windows count from the beginning of the incident; the others are just so long.
    """

    begin_s: float
    end_s: float | None
    relative: bool
    span: tuple[int, int]

    @property
    def length_s(self) -> float | None:
        """How long it is; None for an open one, and for one that has no length."""
        if self.end_s is None or self.end_s <= self.begin_s:
            return None
        return self.end_s - self.begin_s


def find_duration(text: str) -> float | None:
    """Return the seconds a text names, or None; of a range the longer end, 0 for "none"."""
    if found := _RANGE.search(text):
        return _seconds(found[3], found[4])
    if found := _TIGHT.search(text):
        return _sane(int(found[1]) * 3600.0 + int(found[2]) * 60.0)
    if found := _AMOUNT.search(text):
        total = _seconds(found[1], found[2])
        more = _MORE.match(text, found.end())
        unit = _UNITS_S[found[2].lower()]
        if total is not None and more and _UNITS_S[more[2].lower()] < unit:
            total += _seconds(more[1], more[2]) or 0.0
        return total
    if _NOTHING.search(text) or re.fullmatch(r"\W*0\W*", text):
        return 0.0
    return None


def find_window(text: str) -> Window | None:
    """Return the first window in a text: 0-15 min, 60+ min, within 2 hours, or just 30 min."""
    if found := _RANGE.search(text):
        unit = found[2] or found[4]
        begin, end = _seconds(found[1], unit), _seconds(found[3], found[4])
        if begin is not None and end is not None and begin <= end:
            return Window(begin, end, True, found.span())
    if found := _OPEN.search(text):
        number, unit = found[1] or found[4], found[2] or found[3] or found[5]
        begin = _seconds(number, unit) if unit else None
        if begin is not None:
            return Window(begin, None, True, found.span())
    if found := _WITHIN.search(text):
        end = _seconds(found[1], found[2])
        if end is not None:
            return Window(0.0, end, True, found.span())
    if found := _AMOUNT.search(text):
        length = find_duration(text[found.start() :])
        if length is not None:
            return Window(0.0, length, False, found.span())
    return None


_BRACKETED = re.compile(r"[(\[]([^()\[\]]*)[)\]]")


def split_window(title: str) -> tuple[str, Window | None]:
    """Return a title without the window it carries in brackets or after a dash, and the window.

    A number in the middle of a sentence is left alone.
    """
    for found in _BRACKETED.finditer(title):
        window = find_window(found[1])
        if window is not None:
            left = re.sub(
                r"^\W+|\W+$|\b(?:approx\.?|about|ca\.?|estimated|est\.?|duration|time ?box|max\.?|"
                r"within|first|the|minutes?|min|up to|dauer)\b:?",
                "",
                found[1][: window.span[0]] + found[1][window.span[1] :],
                flags=re.IGNORECASE,
            ).strip(" ,;:~+-–—")
            inner = f" ({left})" if left else ""
            return (title[: found.start()].rstrip() + inner + title[found.end() :]).strip(), window
    tail = re.search(r"\s[–—-]\s([^–—]*)$|,\s([^,]*)$|:\s([^:]*)$", title)
    if tail:
        words = tail[1] or tail[2] or tail[3] or ""
        window = find_window(words)
        if window is not None and len(words) - (window.span[1] - window.span[0]) <= 12:
            return title[: tail.start()].strip(), window
    return title, None


def duration_text(seconds: float) -> str | int:
    """Return seconds as a plan writes them: 30d, 4h, 30m, 15s; 0 is just 0."""
    if seconds == 0:
        return 0
    if seconds % 86400 == 0 and seconds >= 7 * 86400:
        return f"{seconds / 86400:.0f}d"
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{max(1, round(seconds * 1000))}ms"


def _seconds(number: str, unit: str) -> float | None:
    words = number.lower()
    value = _NUMBERS.get(words)
    if value is None:
        value = float(words.replace(",", "."))
    return _sane(value * _UNITS_S[unit.lower()])


def _sane(seconds: float) -> float | None:
    return seconds if math.isfinite(seconds) and seconds <= _LONGEST_S else None

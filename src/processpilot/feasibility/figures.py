"""How findings write spans of time, so that their arithmetic can be followed by hand."""

from __future__ import annotations

from collections.abc import Sequence

from processpilot.feasibility.path import Source, Span, Term

_MINUTE_S = 60.0
_HOUR_S = 3600.0
_SHOWN = 4
_PLURALS = {Source.ESTIMATE: "estimates", Source.TIMEBOX: "time boxes"}


def number(seconds: float, unit_s: float = _MINUTE_S) -> str:
    """Return a span in one unit, without the unit, to at most two decimals."""
    return f"{round(seconds / unit_s, 2):.10g}"


def minutes(seconds: float) -> str:
    """Return "15 min", or "2 s" for what is shorter than a minute."""
    if 0 < abs(seconds) < _MINUTE_S:
        return f"{number(seconds, 1.0)} s"
    return f"{number(seconds)} min"


def hours(seconds: float) -> str:
    """Return "24 h", "1 h 30 min", or minutes or seconds below an hour."""
    whole, rest_s = divmod(seconds, _HOUR_S)
    if not whole:
        return minutes(seconds)
    return f"{whole:g} h {minutes(rest_s)}" if rest_s else f"{whole:g} h"


def addition(span: Span) -> str:
    """Return "15 + 90 = 105 min (time boxes)", each figure with where it is from."""
    terms = [term for term in span.terms if term.seconds > 0]
    unit_s, unit = (_MINUTE_S, "min") if span.seconds >= _MINUTE_S else (1.0, "s")
    sources = {term.source for term in terms}
    if len(sources) <= 1:
        shown = [number(term.seconds, unit_s) for term in terms]
        origin = f" ({_plural(terms)})" if terms else ""
    else:
        shown = [f"{number(term.seconds, unit_s)} ({_origin(term)})" for term in terms]
        origin = ""
    total = f"{number(span.seconds, unit_s)} {unit}"
    sum_ = f"{' + '.join(shown)} = {total}" if len(shown) > 1 else total
    rest = f", not counting {listed(span.unknown)}: nobody knows how long" if span.unknown else ""
    return f"{sum_}{origin}{rest}"


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence; of many, only the first."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _origin(term: Term) -> str:
    if term.source is Source.MEASURED:
        return f"measured, {term.count} run{'s' if term.count != 1 else ''}"
    return str(term.source)


def _plural(terms: Sequence[Term]) -> str:
    if terms[0].source is Source.MEASURED:
        least, most = min(t.count for t in terms), max(t.count for t in terms)
        runs = str(most) if least == most else f"{least} to {most}"
        return f"measured, {runs} run{'s' if most != 1 else ''}"
    return _PLURALS[terms[0].source] if len(terms) > 1 else str(terms[0].source)

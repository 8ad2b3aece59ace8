"""Shapes of documents that Markdown does not know: front matter, numbered titles underlined."""

from __future__ import annotations

import re
from collections.abc import Sequence


def front_matter(lines: Sequence[str]) -> set[int]:
    """Return the numbers of the lines of YAML that some documents begin with."""
    if not lines or lines[0].strip() != "---":
        return set()
    for n, line in enumerate(lines[1:60], 2):
        if line.strip() in ("---", "..."):
            return set(range(1, n + 1))
        if line.strip() and not re.match(r"[\w-]+\s*:|\s*-\s|\s+\S|#", line):
            return set()
    return set()


def with_numbered_titles(lines: list[str]) -> list[int]:
    """Make headings of numbered titles that are underlined, and return their underlines' numbers.

    To Markdown "2. People" over dashes is a list and a rule; to people it is a title.
    """
    underlines = []
    for n in range(len(lines) - 1):
        alone = n == 0 or not lines[n - 1].strip()
        line, under = lines[n], lines[n + 1].rstrip()
        title = re.match(r"[0-9]{1,2}(?:\.[0-9]{1,2})*[.)]?\s+\S", line)
        if alone and title and re.fullmatch(r"-{3,}|={3,}", under):
            lines[n] = f"{'#' if under[0] == '=' else '##'} {line}"
            lines[n + 1] = ""
            underlines.append(n + 2)
    return underlines

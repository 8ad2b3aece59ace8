"""Steps that use a provider's program for what it does not do."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.named import named_commands
from processpilot.feasibility.study import Study
from processpilot.feasibility.texts import texts_of
from processpilot.feasibility.vendors import facts_about
from processpilot.plan.step import CommandStep


def remarks(study: Study) -> Iterator[Remark]:
    """Yield each such command once, in what runs and in what people read."""
    lines = [(n.place, " ".join(n.command.words), n.runs) for n in named_commands(study)]
    for placed in study.steps:
        if not isinstance(placed.step, CommandStep):
            lines += [
                (placed.place, line.strip(" `$-*0123456789."), False)
                for text in texts_of(placed.step)
                for line in text.splitlines()
            ]
    seen: set[str] = set()
    for place, words, runs in lines:
        for fact in facts_about(words):
            if words not in seen:
                seen.add(words)
                yield Remark(
                    "vendor-command",
                    place,
                    fact.why,
                    words,
                    f"Use: {fact.instead}",
                    None if runs else Severity.WARNING,
                )

"""The words of a step: everything in it that people wrote or that a machine runs."""

from __future__ import annotations

from collections.abc import Iterator

from processpilot.plan.step import CommandStep, ManualStep, MessageStep, SqlStep, Step


def texts_of(step: Step) -> Iterator[str]:
    """Yield title, note and what the step says, runs or asks."""
    yield step.title
    if step.note:
        yield step.note
    match step:
        case CommandStep():
            yield " ".join(step.argv)
        case ManualStep():
            yield step.instruction
        case MessageStep():
            yield step.subject or ""
            yield step.text
        case SqlStep():
            yield step.query

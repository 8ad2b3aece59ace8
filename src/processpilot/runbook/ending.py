"""How a step's attempt, or its undo, ended, in the form kept in the journal. Pure.

Whatever a step gave or raised can be written down: a controller that could not write an end would
carry the step out again and again.
"""

from __future__ import annotations

from collections.abc import Mapping

from processpilot.errors import ProcessPilotError, UnavailableError, UsageError
from processpilot.journal.event import JsonValue, canonical
from processpilot.runbook.action import Happened, StepFailedError
from processpilot.runbook.hands import Done, NotNeeded
from processpilot.runbook.step import StepOutcome

Data = dict[str, JsonValue]


def ending_of(done: Done) -> Data:
    """Return how a job ended; a result that cannot be written down is a failure that says so."""
    data = _ending(done)
    try:
        canonical(data)
    except UsageError as error:
        data.pop("result", None)
        if "error" not in data:
            wrong = UsageError(f"the step gave what cannot be written down: {error.message}")
            return _failed(done.job.step_id, wrong)
    return data


def _ending(done: Done) -> Data:
    step, end = done.job.step_id, done.end
    passed: Data = {"step": step, "outcome": str(StepOutcome.PASSED)}
    match end:
        case Happened(result=result):
            return passed | {"result": dict(result), "seen": "found done"}
        case NotNeeded(why=why):
            outcome = str(StepOutcome.NOT_NEEDED)
            return {"step": step, "outcome": outcome, "result": {"why": _text(why)}}
        case ProcessPilotError() | OSError():
            return _failed(step, end)
        case Mapping():
            return passed | {"result": dict(end), "seen": "carried out"}
    raise AssertionError(f"a job ended with {end!r}")


def _failed(step: str, error: ProcessPilotError | OSError) -> Data:
    if isinstance(error, OSError):
        error = UnavailableError(f"{error.filename or 'the system'}: {error.strerror}")
    data: Data = {
        "step": step,
        "outcome": str(StepOutcome.FAILED),
        "error": {
            "code": error.code,
            "message": _text(error.message),
            "hint": None if error.hint is None else _text(error.hint),
            "transient": isinstance(error, UnavailableError) and error.transient,
        },
    }
    if isinstance(error, StepFailedError):
        data["result"] = dict(error.result)
    return data


def _text(words: str) -> str:
    """Return words with what no text holds, as in a file name of other bytes, spelled out."""
    return words.encode(errors="backslashreplace").decode()

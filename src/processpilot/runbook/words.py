"""A run's events as lines for people and as JSON."""

from __future__ import annotations

from processpilot.journal.event import Event, JsonValue
from processpilot.runbook.state import Kind


def event_json(event: Event) -> dict[str, object]:
    """Return an event as `--json` shows it; the plan's text is left out."""
    data = dict(event.data)
    data.pop("details", None)
    return {
        "at": event.at.isoformat(),
        "stream": event.stream,
        "sequence": event.sequence,
        "kind": event.kind,
        "data": data,
    }


def event_line(event: Event) -> str:
    """Return an event in words."""
    data = event.data
    match event.kind:
        case Kind.RUN_BEGUN:
            return f"run {data['run_id']} begins: {data['scenario']}, by {data['trigger']}"
        case Kind.RUN_RESUMED:
            return "the run is resumed; the step that was running is looked at first"
        case Kind.RUN_FINISHED:
            return f"the run is finished: {data['verdict']}"
        case Kind.RUN_WARNED:
            return f"WARNING: {data['text']}"
        case Kind.RUN_ACKNOWLEDGED:
            return f"{data['by']} has acknowledged and looks after it"
        case Kind.RUN_PAUSED:
            return f"paused by {data['by']}: {data['reason']}"
        case Kind.RUN_CONTINUED:
            return f"continued by {data['by']}"
        case Kind.ABORT_REQUESTED:
            undo = ", what it did is undone" if data.get("undo") else ""
            return f"ended by {data['by']}{undo}: {data['reason']}"
        case Kind.ROLE_HANDED_OVER:
            return f"{data['role']} is {data['to']} from now on, says {data['by']}"
        case Kind.STEP_ADDED:
            spec = data["spec"]
            assert isinstance(spec, dict)
            return f"{spec['id']}: added by {data['by']}: {spec['title']}"
    return _step_line(event)


def _step_line(event: Event) -> str:
    data = event.data
    step = data.get("step", "")
    match event.kind:
        case Kind.STEP_STARTED:
            return f"{step}: attempt {data['attempt']}"
        case Kind.STEP_FINISHED:
            return f"{step}: {_ending(event)}"
        case Kind.UNDO_STARTED:
            return f"{step}: being undone"
        case Kind.UNDO_FINISHED:
            return f"{step}: undoing it: {_ending(event)}"
        case Kind.APPROVAL_REQUESTED:
            return f"{step}: waits until {data['role']} agrees (processpilot run approve)"
        case Kind.APPROVAL_GIVEN:
            return f"{step}: {data['by']} agrees{_comment(event)}"
        case Kind.APPROVAL_REFUSED:
            return f"{step}: {data['by']} refuses{_comment(event)}"
        case Kind.RETRY_REQUESTED:
            return f"{step}: to be tried again, says {data['by']}"
        case Kind.CONFIRMATION_REQUESTED:
            return f"{step}: waits until people have done it (processpilot run confirm)"
        case Kind.STEP_CONFIRMED:
            said = "done" if data["done"] else "did not work"
            return f"{step}: {said}, says {data['by']}{_comment(event)}"
        case Kind.STEP_SKIPPED:
            return f"{step}: left out by {data['by']}: {data['reason']}"
        case Kind.STEP_PROBED:
            return f"{step}: {_seen(data['happened'])}"
    return f"{event.kind} {step} {data.get('by', '')}".rstrip()


def _seen(happened: JsonValue) -> str:
    """Return what was found of an attempt whose end nobody saw."""
    if happened is None:
        return "nobody can tell whether it had happened"
    return "it had happened" if happened else "it had not happened"


def _comment(event: Event) -> str:
    said = event.data.get("comment")
    return f": {said}" if said else ""


def _ending(event: Event) -> str:
    error = event.data.get("error")
    if isinstance(error, dict):
        hint = f" ({error['hint']})" if error.get("hint") else ""
        return f"FAILED: {error['message']}{hint}"
    return str(event.data["outcome"])

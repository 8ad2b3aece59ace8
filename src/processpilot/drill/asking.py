"""Asks conditions inside a drill's namespaces until all hold (python -m ...asking FILE).

The file says what to ask and for how long; the answers go to standard output, as one JSON list:
null for what holds, otherwise why not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from processpilot.checks.ask import ask_command, ask_http, ask_tcp
from processpilot.plan.condition import (
    CommandCondition,
    FileCondition,
    HttpCondition,
    condition_from_json,
)

TCP = "tcp"
_PAUSE_S = 0.5
_HERE = Path()


def _ask(question: dict[str, Any]) -> str | None:
    if question["kind"] == TCP:
        return ask_tcp(question["host"], question["port"], question["timeout_s"])
    condition = condition_from_json(question)
    match condition:
        case HttpCondition():
            return ask_http(condition, condition.timeout_s, _HERE)
        case CommandCondition():
            return ask_command(condition.argv, condition.timeout_s, _HERE)
        case FileCondition():
            found = Path(condition.path).exists()
            return None if found is condition.exists else f"{condition.path}: exists is {found}"
    raise AssertionError(f"{condition.kind} is not asked in here")


def main(words: Sequence[str]) -> int:
    """Ask until everything holds or the time is over."""
    order = json.loads(Path(words[0]).read_text())
    deadline = time.monotonic() + order["within_s"]
    while True:
        answers = [_ask(question) for question in order["questions"]]
        if not any(answers) or time.monotonic() >= deadline:
            print(json.dumps(answers))  # noqa: T201
            return 0
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

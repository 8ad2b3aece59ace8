"""Asking a condition of the plan: a probe, a request, a query, a program, a file.

Asking changes nothing. What could not be asked does not hold, whatever was hoped for.
"""

from __future__ import annotations

from dataclasses import dataclass

from processpilot.checks.ask import ask_command, ask_http, ask_sql
from processpilot.checks.probe import Prober
from processpilot.checks.result import Outcome
from processpilot.errors import ProcessPilotError
from processpilot.plan.condition import (
    CommandCondition,
    Condition,
    FileCondition,
    HttpCondition,
    ProbeCondition,
    SqlCondition,
)
from processpilot.plan.load import LoadedPlan


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks conditions: knows the plan's probes, its database and its folder."""

    prober: Prober
    loaded: LoadedPlan

    def ask(self, condition: Condition) -> str | None:
        """Return None when the condition holds now, otherwise why not, without secrets."""
        try:
            return self._ask(condition)
        except ProcessPilotError as error:
            return error.message

    def _ask(self, condition: Condition) -> str | None:
        match condition:
            case ProbeCondition():
                return self._probe(condition)
            case HttpCondition():
                return ask_http(condition, condition.timeout_s, self.loaded.base)
            case SqlCondition():
                return ask_sql(condition, self.prober.address, condition.timeout_s)
            case CommandCondition():
                said = ask_command(condition.argv, condition.timeout_s, self.loaded.base)
                return None if said is None else _without_words(said)
            case FileCondition():
                return self._file(condition)

    def _probe(self, condition: ProbeCondition) -> str | None:
        component, _, name = condition.probe.partition(".")
        probes = self.loaded.plan.component(component).probes
        spec = next(probe for probe in probes if probe.id == name)
        result = self.prober.run(component, spec)
        wanted = Outcome.PASSED if condition.passes else Outcome.FAILED
        if result.outcome is wanted:
            return None
        return f"{condition.probe} {result.outcome}" + (
            f": {result.detail}" if result.detail else ""
        )

    def _file(self, condition: FileCondition) -> str | None:
        path = self.loaded.resolve(condition.path)
        try:
            path.lstat()
            exists = True
        except FileNotFoundError:
            exists = False
        except OSError as error:
            return f"{path}: {error.strerror}"
        if exists is condition.exists:
            return None
        return f"{path} exists" if exists else f"{path} does not exist"


def shown(condition: Condition) -> str:
    """Return the question as people read it."""
    match condition:
        case ProbeCondition():
            return f"{condition.probe} {'passes' if condition.passes else 'fails'}"
        case HttpCondition():
            return f"{condition.method} {condition.url} answers {condition.status}"
        case SqlCondition():
            expected = "" if condition.expect is None else f' answers "{condition.expect}"'
            return f"{' '.join(condition.query.split())}{expected}"
        case CommandCondition():
            return f"{condition.argv[0]} ends with 0"
        case FileCondition():
            return f"{condition.path} {'exists' if condition.exists else 'does not exist'}"


def _without_words(said: str) -> str:
    """Return how a program ended without what it printed, which nobody has looked at."""
    ended, _, _ = said.partition(": ") if " ended with " in said else (said, "", "")
    return ended

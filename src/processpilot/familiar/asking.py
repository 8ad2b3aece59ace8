"""Asking what a familiar name stands for: the database, its data, probes, validation checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from processpilot.checks.validation import ask_checks, ask_probe
from processpilot.familiar.answer import Answer, Section
from processpilot.familiar.names import Name
from processpilot.familiar.selection import (
    Questions,
    about_signing_in,
    every_question,
    of_critical_components,
)
from processpilot.steps.database import database_health, verify_data
from processpilot.wiring.wired import Wired

# People who ask by hand wait as long as it takes, or interrupt.
DATA_LIMIT_S = 86_400.0
_NOTHING = "Give components probes, and add checks to validation: in the plan."
_NOBODY_SIGNS_IN = (
    "Add a check to validation: whose name or address says auth, authentication, login or sign-in."
)
_NOT_CRITICAL = "Give a component priority: critical and probes in the plan."


def ask(name: Name, wired: Wired) -> Answer:
    """Return what was found; nothing is changed. What the plan has nothing for is not run."""
    return Answer([look(wired) for look in _LOOKS[name]])


def _health(wired: Wired) -> Section:
    return Section("database", database_health(wired.address))


def _data(wired: Wired) -> Section:
    return Section("data", verify_data(wired.address, wired.clock, DATA_LIMIT_S))


def _smoke(wired: Wired) -> Section:
    questions = every_question(wired.loaded.plan)
    return _asked("probes and validation", questions, wired, _NOTHING)


def _signing_in(wired: Wired) -> Section:
    questions = about_signing_in(wired.loaded.plan)
    return _asked("authentication", questions, wired, _NOBODY_SIGNS_IN)


def _critical(wired: Wired) -> Section:
    questions = of_critical_components(wired.loaded.plan)
    return _asked("critical components", questions, wired, _NOT_CRITICAL)


def _asked(title: str, questions: Questions, wired: Wired, hint: str) -> Section:
    if questions.is_empty:
        return Section(title, (), hint)
    probes = [ask_probe(wired.prober, component, spec) for component, spec in questions.probes]
    return Section(
        title, [*probes, *ask_checks(questions.checks, wired.address, wired.loaded.base)]
    )


_LOOKS: Mapping[Name, tuple[Callable[[Wired], Section], ...]] = {
    Name.HEALTH: (_health,),
    Name.INTEGRITY: (_data,),
    Name.INTEGRITY_TOO: (_data,),
    Name.DATA: (_data,),
    Name.SMOKE: (_smoke,),
    Name.AUTHENTICATION: (_signing_in,),
    Name.CRITICAL: (_critical, _data),
    Name.VERIFY: (_health, _smoke, _signing_in),
}

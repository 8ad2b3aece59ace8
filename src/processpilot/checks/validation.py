"""What the plan says how the application is: its probes and its validation checks, asked now.

A recovery asks them when it goes through its checklist, and people ask them whenever they like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from processpilot.checks.ask import ask_http, ask_sql
from processpilot.checks.probe import Prober
from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.errors import ProcessPilotError
from processpilot.plan.component import Component
from processpilot.plan.model import HttpCheck, SqlCheck
from processpilot.plan.probe import ProbeSpec
from processpilot.postgres.connection import ServerAddress

_POLL_S = 0.2
_ASK_S = 10.0


def ask_probe(
    prober: Prober, component: Component, spec: ProbeSpec, attempts: int = 1
) -> CheckResult:
    """Return whether a probe passes within so many attempts."""
    trouble = None
    for attempt in range(attempts):
        if attempt:
            prober.clock.sleep(_POLL_S)
        result = prober.run(component.id, spec)
        if result.outcome is Outcome.PASSED:
            trouble = None
            break
        trouble = result.detail or "no answer"
    name = f"{component.title}: {spec.id}"
    return passed_if(name, trouble is None, "well", trouble or "well")


def ask_checks(
    checks: Iterable[HttpCheck | SqlCheck], address: ServerAddress, base: Path
) -> Iterator[CheckResult]:
    """Yield whether each validation check is answered as the plan expects."""
    for check in checks:
        expected = _expected(check)
        try:
            trouble = _ask(check, address, base)
        except ProcessPilotError as error:
            yield CheckResult(check.name, Outcome.UNKNOWN, expected, "not asked", error.message)
            continue
        yield passed_if(check.name, trouble is None, expected, trouble or expected)


def trouble_within(prober: Prober, component: Component, limit_s: float) -> str | None:
    """Return None once every probe passes, or the last complaint after `limit_s`."""
    clock = prober.clock
    deadline = clock.monotonic() + limit_s
    while True:
        results = [prober.run(component.id, spec) for spec in component.probes]
        bad = [r for r in results if r.outcome is not Outcome.PASSED]
        if not bad:
            return None
        if clock.monotonic() > deadline:
            return f"{bad[0].probe}: {bad[0].detail}"
        clock.sleep(_POLL_S)


def _ask(check: HttpCheck | SqlCheck, address: ServerAddress, base: Path) -> str | None:
    if isinstance(check, HttpCheck):
        return ask_http(check, _ASK_S, base)
    return ask_sql(check, address, _ASK_S)


def _expected(check: HttpCheck | SqlCheck) -> str:
    if isinstance(check, HttpCheck):
        words = f' with "{check.contains}"' if check.contains else ""
        return f"status {check.status}{words}"
    return "an answer" if check.expect is None else check.expect

"""How fast the probes of the plan are answered: measured while all is well, compared afterwards."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from processpilot.checks.probe import Prober
from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.plan.component import Component

NAME = "performance"
FILE_NAME = "baseline.json"
_SAMPLES = 7

# Answers within this time are not called slow, whatever they took before.
_FLOOR_S = 0.05


def measure_speed(prober: Prober, components: Iterable[Component]) -> Mapping[str, float]:
    """Return the median seconds of each HTTP and SQL probe that passes every time."""
    found = {}
    for component in components:
        for spec in component.probes:
            if spec.kind not in ("http", "sql"):
                continue
            results = [prober.run(component.id, spec) for _ in range(_SAMPLES)]
            if all(result.outcome is Outcome.PASSED for result in results):
                found[results[0].probe] = statistics.median(r.duration_s for r in results)
    return found


def write_baseline(path: Path, speed: Mapping[str, float]) -> None:
    """Remember `speed` as what is normal."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(dict(speed), sort_keys=True) + "\n")
    temporary.replace(path)


def read_baseline(path: Path) -> Mapping[str, float]:
    """Return what was normal; empty when nobody measured."""
    try:
        return {str(name): float(value) for name, value in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def compare_speed(
    before: Mapping[str, float], now: Mapping[str, float], factor: float
) -> CheckResult:
    """Return whether every probe measured before is answered within `factor` times as long."""
    expected = f"within {factor:g} times as long as before"
    if not before:
        return CheckResult(NAME, Outcome.SKIPPED, expected, "not compared", "no measure of before")
    slow = []
    for name, was in before.items():
        took = now.get(name)
        if took is None:
            slow.append(f"{name} does not answer")
        elif took > max(factor * was, _FLOOR_S):
            slow.append(f"{name} takes {took * 1000:.0f} ms, before {was * 1000:.0f}")
    worst = max((now[n] / max(was, 1e-9) for n, was in before.items() if n in now), default=0.0)
    return passed_if(NAME, not slow, expected, f"at most {worst:.1f} times", "; ".join(slow))

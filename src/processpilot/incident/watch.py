"""Watching: every probe at its own pace, health with thresholds, and what that points to.

Each probe has a thread, so that one that hangs until its time-out delays no other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime

from processpilot.checks.hysteresis import Health, ProbeHealth, observe
from processpilot.checks.probe import Prober
from processpilot.checks.result import Outcome, ProbeResult
from processpilot.checks.symptoms import Match, match_scenarios
from processpilot.errors import ProcessPilotError
from processpilot.plan.model import Plan
from processpilot.plan.probe import ProbeSpec


class Watch:
    """Probes everything in the plan; `on_match` may be called from several threads at once."""

    def __init__(self, plan: Plan, prober: Prober, on_match: Callable[[Match], None]) -> None:
        self._plan = plan
        self._prober = prober
        self._on_match = on_match
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._health: dict[str, ProbeHealth] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to probe."""
        for component in self._plan.components:
            for spec in component.probes:
                name = f"{component.id}.{spec.id}"
                self._health[name] = ProbeHealth()
                arguments = (component.id, spec, name)
                self._threads.append(threading.Thread(target=self._probe, args=arguments))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End; returns when the last probe has ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def health(self) -> Mapping[str, ProbeHealth]:
        """Every probe's health now, by component.probe."""
        with self._lock:
            return dict(self._health)

    def last_passed_at(self, component: str) -> datetime | None:
        """Return when a probe of the component last passed: the recovery clock begins there."""
        moments = [
            health.last_passed_at
            for name, health in self.health.items()
            if name.startswith(f"{component}.") and health.health is Health.FAILING
        ]
        known = [moment for moment in moments if moment is not None]
        return max(known, default=None)

    def is_well_again(self, scenario_id: str) -> bool:
        """Whether every probe that a scenario must see failing passes, and has for a while."""
        return self._required_are(scenario_id, Health.HEALTHY)

    def is_failing(self, scenario_id: str) -> bool:
        """Whether every probe that a scenario must see failing fails, and has for a while."""
        return self._required_are(scenario_id, Health.FAILING)

    def _required_are(self, scenario_id: str, wanted: Health) -> bool:
        scenario = self._plan.scenario(scenario_id)
        if scenario is None:
            return False
        failing = [s for s in scenario.probes if not s.passes]
        required = [s for s in failing if s.required] or failing
        health = self.health
        return bool(required) and all(
            health.get(str(symptom.probe), ProbeHealth()).health is wanted for symptom in required
        )

    def _run(self, component: str, spec: ProbeSpec, name: str) -> ProbeResult:
        """Return a probe's result; a bug in it is unknown health, not the end of the watch."""
        try:
            return self._prober.run(component, spec)
        except Exception as error:  # noqa: BLE001 - the edge of a thread that must go on
            detail = f"the probe broke: {type(error).__name__}"
            return ProbeResult(name, Outcome.UNKNOWN, self._prober.clock.now(), 0.0, detail)

    def _probe(self, component: str, spec: ProbeSpec, name: str) -> None:
        while not self._stop.is_set():
            result = self._run(component, spec, name)
            with self._lock:
                before = self._health[name]
                after = observe(
                    before, result, fail_after=spec.fail_after, recover_after=spec.recover_after
                )
                self._health[name] = after
                failing = after.health is Health.FAILING
                matches = match_scenarios(self._plan.scenarios, self._health) if failing else []
            if matches:
                # Writing the incident down may fail now; the next result tries again.
                with suppress(ProcessPilotError):
                    self._on_match(matches[0])
            self._stop.wait(max(0.0, spec.every_s - result.duration_s))

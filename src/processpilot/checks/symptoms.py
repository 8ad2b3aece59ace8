"""From failing probes to a scenario, with the reasons. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processpilot.checks.hysteresis import Health, ProbeHealth
from processpilot.plan.scenario import Scenario, Symptom


@dataclass(frozen=True, slots=True)
class Match:
    """A scenario whose required symptoms are all there; reasons are sentences for people."""

    scenario: Scenario
    present: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def share(self) -> float:
        """How many of the scenario's symptoms are there, from 0 to 1."""
        return len(self.present) / len(self.scenario.symptoms)


def match_scenarios(
    scenarios: Sequence[Scenario], health: Mapping[str, ProbeHealth]
) -> list[Match]:
    """Return the scenarios that the health points to, the best explained first.

    A scenario without a required symptom needs all of its symptoms.
    """
    found = []
    for scenario in scenarios:
        required = [s for s in scenario.symptoms if s.required] or list(scenario.symptoms)
        if all(_present(symptom, health) for symptom in required):
            present = [s for s in scenario.symptoms if _present(s, health)]
            names = tuple(symptom.probe for symptom in present)
            found.append(Match(scenario, names, tuple(_reasons(scenario, health))))
    return sorted(found, key=lambda match: (-match.share, -len(match.present)))


def _present(symptom: Symptom, health: Mapping[str, ProbeHealth]) -> bool:
    wanted = Health.HEALTHY if symptom.passes else Health.FAILING
    return health.get(symptom.probe, ProbeHealth()).health is wanted


def _reasons(scenario: Scenario, health: Mapping[str, ProbeHealth]) -> list[str]:
    reasons = []
    for symptom in scenario.symptoms:
        state = health.get(symptom.probe, ProbeHealth())
        if _present(symptom, health):
            detail = f": {state.detail}" if state.detail else ""
            meaning = f"{symptom.means}. " if symptom.means else ""
            reasons.append(f"{meaning}{symptom.probe} is {state.health}{detail}")
        else:
            reasons.append(f"not (yet) seen: {symptom.probe} is {state.health}")
    return reasons

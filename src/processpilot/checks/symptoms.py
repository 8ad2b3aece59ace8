"""From failing probes to a scenario, with the reasons. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processpilot.checks.hysteresis import Health, ProbeHealth
from processpilot.plan.scenario import Scenario, Symptom

# How a reason begins that speaks of a symptom of the scenario which is not there.
UNSEEN = "not (yet) seen: "


@dataclass(frozen=True, slots=True)
class Match:
    """A scenario whose required symptoms are all there; reasons are sentences for people."""

    scenario: Scenario
    present: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def share(self) -> float:
        """How many of the symptoms that a probe can see are there, from 0 to 1."""
        return len(self.present) / len(self.scenario.probes)


def match_scenarios(
    scenarios: Sequence[Scenario], health: Mapping[str, ProbeHealth]
) -> list[Match]:
    """Return the scenarios that the health points to, the best explained first.

    A scenario without a required symptom needs all that a probe can see; one whose symptoms are in
    words only is for people to recognise.
    """
    found = []
    for scenario in scenarios:
        required = [s for s in scenario.probes if s.required] or list(scenario.probes)
        if required and all(_present(symptom, health) for symptom in required):
            present = [s for s in scenario.probes if _present(s, health)]
            names = tuple(str(symptom.probe) for symptom in present)
            found.append(Match(scenario, names, tuple(_reasons(scenario, health))))
    return sorted(found, key=lambda match: (-match.share, -len(match.present)))


def _present(symptom: Symptom, health: Mapping[str, ProbeHealth]) -> bool:
    wanted = Health.HEALTHY if symptom.passes else Health.FAILING
    return health.get(str(symptom.probe), ProbeHealth()).health is wanted


def _reasons(scenario: Scenario, health: Mapping[str, ProbeHealth]) -> list[str]:
    reasons = []
    for symptom in scenario.probes:
        state = health.get(str(symptom.probe), ProbeHealth())
        if _present(symptom, health):
            detail = f": {state.detail}" if state.detail else ""
            meaning = f"{symptom.means}. " if symptom.means else ""
            reasons.append(f"{meaning}{symptom.probe} is {state.health}{detail}")
        else:
            reasons.append(f"{UNSEEN}{symptom.probe} is {state.health}")
    return reasons

"""The dry run of a scenario: for each step, what it would do and how far that was verified.

What a step would do is looked at by `foresight` for general steps and by `rebuilding` for those
that rebuild the database; nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from processpilot.agent.foresight import Coverage, Foreseen, foresee
from processpilot.agent.rebuilding import foresee_rebuilding
from processpilot.errors import ProcessPilotError
from processpilot.plan.act import ActionName
from processpilot.plan.condition import condition_from_json
from processpilot.plan.model import Autonomy
from processpilot.plan.scenario import Scenario
from processpilot.runbook.compose import compose
from processpilot.runbook.step import StepSpec
from processpilot.wiring.running import steps_of
from processpilot.wiring.wired import Wired

_MEANINGS = {
    Coverage.VERIFIED: "looked at now",
    Coverage.SIMULATED: "described, not tried",
    Coverage.UNKNOWN: "shows only on the day",
}


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """One step of a dry run; `refusal` is what would stop it now."""

    id: str
    title: str
    coverage: Coverage
    text: str
    refusal: str | None
    approval: str | None
    only_if: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """A dry run: nothing was changed."""

    scenario: str
    steps: tuple[PreviewStep, ...]

    @property
    def refusals(self) -> tuple[str, ...]:
        """What would stop the recovery now."""
        return tuple(step.refusal for step in self.steps if step.refusal is not None)

    def lines(self) -> Iterator[str]:
        """Yield the dry run as people read it."""
        for number, step in enumerate(self.steps, 1):
            yield f"{number:>2}. {step.title}  [{step.coverage}]"
            yield f"    {step.text}"
            if step.only_if is not None:
                yield f"    {step.only_if}"
            if step.approval is not None:
                yield f"    waits until {step.approval} agrees"
            if step.refusal is not None:
                yield f"    WOULD STOP HERE: {step.refusal}"
        for coverage, meaning in _MEANINGS.items():
            count = sum(1 for step in self.steps if step.coverage is coverage)
            yield f"{count} of {len(self.steps)} steps: {coverage} ({meaning})"


def preview_recovery(wired: Wired, scenario: Scenario) -> Preview:
    """Return what a run of the scenario would do now; changes nothing."""
    plan = wired.loaded.plan
    composed = compose(plan, scenario, asks=plan.autonomy is Autonomy.APPROVE)
    return Preview(scenario.id, tuple(_previewed(wired, spec) for spec in composed.steps))


def _previewed(wired: Wired, spec: StepSpec) -> PreviewStep:
    rebuilds = spec.action in {*ActionName}
    looks: Callable[[], Foreseen] = (
        (lambda: foresee_rebuilding(wired, spec)) if rebuilds else (lambda: _general(wired, spec))
    )
    try:
        found = looks()
    except ProcessPilotError as error:
        found = Foreseen(Coverage.VERIFIED, "it was looked at, and would be refused", error.message)
    return PreviewStep(
        spec.id,
        spec.title,
        found.coverage,
        found.text,
        found.refusal,
        spec.approval,
        _needed(wired, spec),
    )


def _general(wired: Wired, spec: StepSpec) -> Foreseen:
    return foresee(steps_of(wired), spec)


def _needed(wired: Wired, spec: StepSpec) -> str | None:
    """Say whether a step that is only sometimes needed would be needed now."""
    if spec.only_if is None:
        return None
    try:
        why = steps_of(wired).asker.ask(condition_from_json(spec.only_if))
    except ProcessPilotError as error:
        return f"nobody can tell now whether it is needed: {error.message}"
    return "needed now" if why is None else f"not needed now: {why}"

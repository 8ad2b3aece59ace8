"""The dry run of a recovery: for each step, what it would do and how far that was verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from processpilot.errors import ProcessPilotError
from processpilot.evidence.page import format_bytes
from processpilot.plan.act import ActionName
from processpilot.plan.model import Autonomy
from processpilot.plan.scenario import Scenario
from processpilot.recovery.look import why_silent_at
from processpilot.recovery.rebuild import folder_beside
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.runbook.compose import compose
from processpilot.wiring.drivers import driver_for
from processpilot.wiring.wired import Wired


class Coverage(StrEnum):
    """How well a dry run knows a step: looked at, only described, or unknowable beforehand."""

    VERIFIED = "verified"
    SIMULATED = "simulated"
    UNKNOWN = "cannot be known"


_MEANINGS = {
    Coverage.VERIFIED: "looked at now",
    Coverage.SIMULATED: "described, not tried",
    Coverage.UNKNOWN: "shows only on the day",
}


@dataclass(frozen=True, slots=True)
class PreviewStep:
    """One step of a dry run."""

    id: str
    title: str
    coverage: Coverage
    text: str
    refusal: str | None
    approval: str | None


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
            if step.approval is not None:
                yield f"    waits until {step.approval} agrees"
            if step.refusal is not None:
                yield f"    WOULD STOP HERE: {step.refusal}"
        for coverage, meaning in _MEANINGS.items():
            count = sum(1 for step in self.steps if step.coverage is coverage)
            yield f"{count} of {len(self.steps)} steps: {coverage} ({meaning})"


def preview_recovery(wired: Wired, scenario: Scenario) -> Preview:
    """Return what recovering would do now; changes nothing."""
    looks: dict[ActionName, Callable[[], str]] = {
        ActionName.ASSESS: lambda: f"the database is silent: {why_silent_at(wired.address)}",
        ActionName.RESTORE: lambda: _restore(wired),
        ActionName.FENCE: lambda: _driver(wired, scenario),
    }
    steps = []
    plan = wired.loaded.plan
    for step in compose(plan, scenario, asks=plan.autonomy is Autonomy.APPROVE).steps:
        coverage, text, refusal = Coverage.SIMULATED, _described(wired, scenario, step.action), None
        if step.action in looks:
            coverage = Coverage.VERIFIED
            try:
                text = looks[ActionName(step.action)]()
            except ProcessPilotError as error:
                refusal = error.message
        elif step.action in (ActionName.PROVE, ActionName.VALIDATE):
            coverage = Coverage.UNKNOWN
        steps.append(PreviewStep(step.id, step.title, coverage, text, refusal, step.approval))
    return Preview(scenario.id, tuple(steps))


def _described(wired: Wired, scenario: Scenario, name: str) -> str:
    """Return what a step would do, with the names it would use."""
    if name not in {*ActionName}:
        return name
    action = ActionName(name)
    data_dir = wired.loaded.plan.database.data_dir
    if action is ActionName.SWAP and data_dir is not None:
        place = wired.loaded.resolve(data_dir)
        return f"rename {place} to {place}.before-RUN, then {place}.recovered-RUN to {place}"
    if action is ActionName.START_DATABASE:
        driver = driver_for(wired.loaded.plan.component(scenario.component), wired.loaded)
        if driver is None:
            return "nothing in the plan starts the database: a person is asked to"
        return f"start it through {driver.name}"
    return action.meaning


def _restore(wired: Wired) -> str:
    data_dir = wired.loaded.plan.database.data_dir
    if data_dir is None:
        raise ProcessPilotError("the plan does not say where the data directory is")
    folder = folder_beside(wired.loaded.resolve(data_dir), "dry-run")
    request = RestoreRequest(RecoveryTarget(TargetKind.LATEST), folder, bin_dirs=wired.bin_dirs)
    plan = plan_restore(wired.repository, request)
    return (
        f"backup {plan.manifest.backup_id} ({format_bytes(plan.bytes)}), "
        f"{format_bytes(plan.log_bytes)} of log to {plan.planned_lsn} on timeline "
        f"{plan.chain.timeline}; {format_bytes(plan.free_bytes)} free"
    )


def _driver(wired: Wired, scenario: Scenario) -> str:
    driver = driver_for(wired.loaded.plan.component(scenario.component), wired.loaded)
    if driver is None:
        return "nothing in the plan can hold the old server; a person has to"
    return (
        f"{driver.name} is {driver.status().state}; it can{'' if driver.holds else 'not'} be held"
    )

"""What the steps that rebuild the database would do now. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from processpilot.agent.foresight import Coverage, Foreseen
from processpilot.errors import ProcessPilotError
from processpilot.evidence.page import format_bytes
from processpilot.plan.act import ActionName
from processpilot.plan.component import Component
from processpilot.recovery.look import why_silent_at
from processpilot.recovery.rebuild import folder_beside
from processpilot.recovery.stock import stock_of
from processpilot.restore.plan import RestoreRequest, plan_restore
from processpilot.restore.target import RecoveryTarget, TargetKind
from processpilot.runbook.step import StepSpec
from processpilot.steps.database import database_health
from processpilot.wiring.drivers import driver_for
from processpilot.wiring.wired import Wired


def foresee_rebuilding(wired: Wired, spec: StepSpec) -> Foreseen:
    """Return what a built-in step would do; ProcessPilotError when it would be refused."""
    action = ActionName(spec.action)
    assert spec.component is not None
    component = wired.loaded.plan.component(spec.component)
    looks: Mapping[ActionName, Callable[[], str]] = {
        ActionName.ASSESS: lambda: f"the database is silent: {why_silent_at(wired.address)}",
        ActionName.RESTORE: lambda: _restore(wired),
        ActionName.FENCE: lambda: _fence(wired, component),
        ActionName.LIST_BACKUPS: lambda: _stock(wired),
        ActionName.DATABASE_HEALTH: lambda: _health(wired),
    }
    if action in looks:
        return Foreseen(Coverage.VERIFIED, looks[action]())
    unknown = action in (ActionName.PROVE, ActionName.VALIDATE, ActionName.VERIFY_DATA)
    coverage = Coverage.UNKNOWN if unknown else Coverage.SIMULATED
    return Foreseen(coverage, _described(wired, component, action))


def _described(wired: Wired, component: Component, action: ActionName) -> str:
    """Return what a step would do, with the names it would use."""
    data_dir = wired.loaded.plan.database.data_dir
    if action is ActionName.SWAP and data_dir is not None:
        place = wired.loaded.resolve(data_dir)
        return f"rename {place} to {place}.before-RUN, then {place}.recovered-RUN to {place}"
    if action is ActionName.START_DATABASE:
        driver = driver_for(component, wired.loaded)
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


def _stock(wired: Wired) -> str:
    data_dir = wired.loaded.plan.database.data_dir
    place = wired.state_dir / "dry-run" if data_dir is None else wired.loaded.resolve(data_dir)
    stock = stock_of(wired.repository, folder_beside(place, "dry-run"), wired.bin_dirs)
    if stock.trouble is not None:
        raise ProcessPilotError(f"no backup can be restored: {stock.trouble}")
    end = "an unknown moment" if stock.window_end_at is None else f"{stock.window_end_at:%F %T} UTC"
    return f"{len(stock.backups)} backups, newest {stock.backups[-1].backup_id}, log up to {end}"


def _health(wired: Wired) -> str:
    checks = database_health(wired.address)
    bad = [check for check in checks if check.outcome not in ("passed", "skipped")]
    if bad:
        return f"{len(bad)} of {len(checks)} checks do not pass now; {bad[0].name}: {bad[0].actual}"
    return f"the database answers; {len(checks)} checks"


def _fence(wired: Wired, component: Component) -> str:
    driver = driver_for(component, wired.loaded)
    if driver is None:
        return "nothing in the plan can hold the old server; a person has to"
    return (
        f"{driver.name} is {driver.status().state}; it can{'' if driver.holds else 'not'} be held"
    )

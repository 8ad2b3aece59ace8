"""What familiar names change in production: services are restarted, releases migrate their data.

Which components is decided first, so that people are asked with all of it before anything begins.
While a recovery is under way nothing is touched.
"""

from __future__ import annotations

from collections.abc import Sequence

from processpilot.checks.result import CheckResult, passed_if
from processpilot.checks.validation import trouble_within
from processpilot.errors import NotFoundError, ProcessPilotError, RefusedError
from processpilot.familiar.answer import Answer, Section
from processpilot.familiar.scenarios import database_scenario
from processpilot.plan.component import Component
from processpilot.plan.model import Plan
from processpilot.runbook.history import open_runs
from processpilot.services.release import releases_of
from processpilot.steps.drive import restart
from processpilot.wiring.drivers import driver_for
from processpilot.wiring.wired import Wired

STREAM = "services"
RESTARTED = "services-restarted"
MIGRATED = "data-migrated"
_WELL_S = 60.0


def to_restart(plan: Plan) -> tuple[Component, ...]:
    """Return what has a service and is not the database, each after what it depends on."""
    scenario = database_scenario(plan)
    database = "database" if scenario is None else scenario.component
    found = tuple(c for c in plan.start_order() if c.service is not None and c.id != database)
    if not found:
        raise NotFoundError(
            "the plan does not say what runs the application",
            hint="Give its components a service in the plan.",
        )
    return found


def to_migrate(plan: Plan) -> tuple[Component, ...]:
    """Return the components whose release says how its data is migrated."""
    found = tuple(
        c for c in plan.start_order() if c.release is not None and c.release.migrate != ()
    )
    if not found:
        raise NotFoundError(
            "no component of the plan says how its data is migrated",
            hint="Add release: {kind: git, folder: FOLDER, migrate: [PROGRAM, ARGUMENT]} to it.",
        )
    return found


def restart_services(components: Sequence[Component], wired: Wired, by: str) -> Answer:
    """Restart one after the other; what does not become well keeps nobody else back."""
    _require_no_run(wired)
    named = [c.id for c in components]
    wired.journal.append(STREAM, RESTARTED, {"components": list(named), "by": by})
    return Answer([Section("services", [_restarted(c, wired) for c in components])])


def _restarted(component: Component, wired: Wired) -> CheckResult:
    driver = driver_for(component, wired.loaded)
    assert driver is not None, "only components with a service are restarted"
    try:
        restart(driver)
    except ProcessPilotError as error:
        return passed_if(component.title, False, "well", "not restarted", error.message)
    if not component.probes:
        return passed_if(component.title, True, "running", f"{driver.name} restarted and runs")
    trouble = trouble_within(wired.prober, component, _WELL_S)
    actual = f"{driver.name} restarted, " + ("well" if trouble is None else f"not well: {trouble}")
    return passed_if(component.title, trouble is None, "well", actual)


def migrate_data(components: Sequence[Component], wired: Wired, by: str) -> Answer:
    """Run the migrations of the releases in place; UnavailableError when one fails."""
    _require_no_run(wired)
    done = []
    for component in components:
        assert component.release is not None, "only components with a release are migrated"
        releases = releases_of(component.release, wired.loaded.base, wired.clock)
        release = releases.current()
        wired.journal.append(
            STREAM, MIGRATED, {"component": component.id, "release": release, "by": by}
        )
        releases.migrate()
        done.append(passed_if(component.title, True, "migrated", f"{release} migrated its data"))
    return Answer([Section("migrations", done)])


def _require_no_run(wired: Wired) -> None:
    for run_id in open_runs(wired.journal):
        raise RefusedError(
            f"run {run_id} is under way, and changes the same services",
            hint=f"Look with `processpilot run show {run_id}`; wait for it, or abort it.",
        )

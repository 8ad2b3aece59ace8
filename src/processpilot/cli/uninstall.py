"""`processpilot uninstall`: take back what the server was given; the repository stays."""

from __future__ import annotations

from processpilot.agent.removal import remove_from_server
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    YesOption,
    confirm,
    opened,
    out,
    print_json,
)


def uninstall(
    plan: PlanOption = DEFAULT_PLAN, as_json: JsonOption = False, yes: YesOption = False
) -> None:
    """Drop our slot, schema and settings from the server. Backups, plan and keys are kept."""
    with opened(plan, as_json=as_json) as wired:
        slot = wired.loaded.plan.protection.slot
        confirm(f"Drop slot {slot} and schema processpilot from {wired.address.shown}?", yes=yes)
        done = remove_from_server(wired)
        location = wired.repository.store.location
    if as_json:
        print_json({"removed": list(done), "kept": [location, str(plan)]})
        return
    for line in done:
        out(f"removed: {line}")
    out(f"kept: {location}, {plan}")

"""What `uninstall` takes back from the server."""

from __future__ import annotations

from processpilot.agent.agent import CONTROLLER
from processpilot.backup.heartbeat import drop_heartbeat
from processpilot.backup.receiver import drop_slot, read_slot
from processpilot.backup.synchronous import require_receiver, requires_receiver
from processpilot.errors import RefusedError
from processpilot.journal.lease import holder
from processpilot.wiring.wired import Wired


def remove_from_server(wired: Wired) -> tuple[str, ...]:
    """Drop the slot, the schema and the setting; return what was there and is gone."""
    owner = holder(CONTROLLER, wired.locks)
    if owner is not None:
        raise RefusedError(
            f"the agent runs (pid {owner.pid})", hint="Stop it first, then uninstall."
        )
    slot = wired.loaded.plan.protection.slot
    removed = []
    with wired.address.session() as connection:
        if requires_receiver(connection):
            require_receiver(wired.address, on=False)
            removed.append("synchronous_standby_names")
        if read_slot(connection, slot) is not None:
            drop_slot(connection, slot)
            removed.append(f"slot {slot}")
        row = connection.execute("select to_regclass('processpilot.heartbeat')::text").fetchone()
        if row is not None and row[0] is not None:
            drop_heartbeat(connection)
            removed.append("schema processpilot")
    wired.journal.append("protection", "uninstalled", {"removed": list(removed)})
    return tuple(removed)

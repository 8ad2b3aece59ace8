"""What there is to restore from, for people who list it or name a file of another tool."""

from __future__ import annotations

from processpilot.errors import RefusedError
from processpilot.familiar.staging import FOLDER
from processpilot.recovery.stock import Stock, stock_of
from processpilot.wiring.wired import Wired


def list_stock(wired: Wired) -> Stock:
    """Return the backups, oldest first, and the newest one's window of recovery."""
    return stock_of(wired.repository, wired.loaded.resolve(FOLDER) / "new", wired.bin_dirs)


def dump_refused(wired: Wired, path: str) -> RefusedError:
    """Return why a file that another tool wrote is not restored, and what to restore instead."""
    ids = wired.repository.backup_ids()
    if not ids:
        hint = "There is no backup here yet: run `processpilot backup create`."
    else:
        hint = f"Restore the newest, {ids[-1]}: processpilot as restore.sh postgresql latest"
    return RefusedError(
        f"{path} is a file; backups here are physical, encrypted and in "
        f"{wired.repository.store.location}, and have ids",
        hint=hint,
    )

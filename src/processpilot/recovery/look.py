"""The first two steps: assess what is left, and bring the last log into the repository."""

from __future__ import annotations

import os

from processpilot.errors import NotFoundError, ProcessPilotError, RefusedError
from processpilot.postgres.cluster import postmaster_of
from processpilot.postgres.connection import ServerAddress
from processpilot.recovery.ground import Ground
from processpilot.recovery.salvage import salvage
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext


class StillAnswersError(RefusedError):
    """The database answers: there is nothing to recover."""

    code = "still-answers"


def why_silent(ground: Ground) -> str:
    """Return why the database does not answer; StillAnswersError when it does."""
    return why_silent_at(ground.address)


def why_silent_at(address: ServerAddress) -> str:
    """Return why nothing answers at `address`; StillAnswersError when something does."""
    try:
        with address.session() as connection:
            connection.execute("select 1")
    except RefusedError:
        pass
    except ProcessPilotError as error:
        return error.message
    raise StillAnswersError(
        f"the database {address.shown} answers; there is nothing to recover",
        hint="If it answers wrongly, stop it first; then run this again.",
    )


class Assess:
    """Looks at the database, its folder and the repository. Changes nothing."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Looking again is safe."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return what was found; RefusedError while the database still answers."""
        ground = self._ground
        data_dir = ground.data_dir
        answer = why_silent(ground)
        _check_swappable(ground)
        backups = ground.repository.backup_ids()
        if not backups:
            raise NotFoundError(
                f"no backup in {ground.repository.store.location}",
                hint="Without a backup nothing can be recovered; check repository.url in the plan.",
            )
        return {
            "answer": answer,
            "data_dir": str(data_dir),
            "data_dir_state": _state_of(ground),
            "postmaster": postmaster_of(data_dir),
            "backups": len(backups),
            "newest_backup": str(backups[-1]),
        }


def _state_of(ground: Ground) -> str:
    data_dir = ground.data_dir
    if not data_dir.exists():
        return "missing"
    if not (data_dir / "global" / "pg_control").exists():
        return "without a control file"
    return "there"


def _check_swappable(ground: Ground) -> None:
    """Refuse early what the swap could not do in the end."""
    data_dir = ground.data_dir
    if data_dir.is_symlink():
        raise RefusedError(
            f"{data_dir} is a symbolic link", hint="Name the folder it points to in the plan."
        )
    if os.path.ismount(data_dir):
        raise RefusedError(
            f"{data_dir} is a mount point, which cannot be renamed",
            hint="Keep the cluster in a folder below the mount point, or restore elsewhere with "
            "`processpilot restore --target DIR`.",
        )
    if not os.access(data_dir.parent, os.W_OK | os.X_OK):
        raise RefusedError(
            f"cannot write in {data_dir.parent}",
            hint="Run as root or as the owner of that folder.",
        )


class Drain:
    """Stops the receiver and stores everything it had received, and what only the old disk has."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Storing again what is stored changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return up to where the log was received, and where the old server's own log ends."""
        reached = self._ground.stream.pause()
        received = None if reached is None else str(reached)
        return {"received_lsn": received, **salvage(self._ground).as_result()}

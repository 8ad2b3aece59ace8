"""A receiver, its spool and the archive behind it, for as long as a context is entered.

A base backup without an agent streams through a slot of its own, dropped afterwards. The agent's
continuous stream is in `protection`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from processpilot.backup.receiver import Receiver, create_slot, drop_slot, flushed_lsn
from processpilot.backup.spool import Shipped, Spool
from processpilot.clock import Clock
from processpilot.errors import UnavailableError
from processpilot.leftovers import SPOOL_PREFIX
from processpilot.postgres.binaries import Installation
from processpilot.postgres.connection import ServerAddress
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive

_START_TIMEOUT_S = 30.0
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class LogStream:
    """A running receiver; `ship` stores what has arrived."""

    receiver: Receiver
    spool: Spool
    archive: WalArchive

    def ship(self) -> Shipped:
        """Store what the spool has and the repository has not; durable on return.

        UnavailableError when the receiver has ended.
        """
        shipped = self.spool.ship(self.archive)
        if not self.receiver.is_running():
            raise UnavailableError(f"pg_receivewal ended: {self.receiver.last_words()}")
        return shipped


@contextmanager
def temporary_stream(
    repository: Repository,
    address: ServerAddress,
    installation: Installation,
    segment_bytes: int,
    name: str,
    clock: Clock,
) -> Iterator[LogStream]:
    """Yield a stream that receives from now on through a slot called `name`, dropped afterwards."""
    folder = Path(mkdtemp(prefix=SPOOL_PREFIX))
    spool = Spool(folder / "spool", segment_bytes)
    receiver = Receiver(installation, address, name, spool.folder, folder)
    try:
        with address.session() as connection:
            create_slot(connection, name)
        receiver.start()
        wait_streaming(receiver, address, clock)
        yield LogStream(receiver, spool, WalArchive(repository, segment_bytes))
    finally:
        receiver.stop()
        try:
            with address.session() as connection:
                drop_slot(connection, name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def wait_streaming(receiver: Receiver, address: ServerAddress, clock: Clock) -> None:
    """Return once the server sees the receiver streaming; UnavailableError when it ends first."""
    deadline = clock.monotonic() + _START_TIMEOUT_S
    with address.session() as connection:
        while flushed_lsn(connection) is None:
            if not receiver.is_running():
                raise UnavailableError(
                    f"pg_receivewal ended: {receiver.last_words()}",
                    hint="The role needs REPLICATION, and pg_hba.conf a line for replication.",
                )
            if clock.monotonic() > deadline:
                raise UnavailableError(
                    f"pg_receivewal does not stream after {_START_TIMEOUT_S:.0f} s: "
                    f"{receiver.last_words()}",
                    transient=True,
                )
            clock.sleep(_POLL_S)

"""Starting a scratch server inside namespaces that somebody made for it.

The plan of such a restore knows them, so everything that starts a server for it starts it there.
Making them is left to whoever wants the isolation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from processpilot.errors import UnavailableError
from processpilot.postgres.cluster import Postmaster, last_words
from processpilot.postgres.connection import ServerAddress
from processpilot.restore.plan import RestorePlan
from processpilot.restore.staging import make_staging, write_into

_POLL_S = 0.05
_PORT = 5432
_HBA = "local all all trust\nhost all all 127.0.0.1/32 trust\n"


@dataclass(frozen=True, slots=True)
class Isolation:
    """`words`, an account's ids and a program's words start it inside; `sockets` is seen from
    inside and outside."""

    words: tuple[str, ...]
    sockets: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolatedPlan(RestorePlan):
    """The operation plan of a restore whose servers run inside namespaces."""

    isolation: Isolation


def isolated(plan: RestorePlan, isolation: Isolation) -> IsolatedPlan:
    """Return the same operation plan with its servers inside."""
    same = {field.name: getattr(plan, field.name) for field in fields(plan)}
    return IsolatedPlan(**same, isolation=isolation)


def start_isolated(
    plan: IsolatedPlan, settings: Mapping[str, str], superuser: str, timeout_s: float
) -> Postmaster:
    """Return a server as `postgres.cluster.start` does, inside and without our environment."""
    staging, owner = make_staging(plan.folder), plan.folder.stat()
    write_into(staging, "pg_hba.conf", _HBA.encode())
    sockets = Path(tempfile.mkdtemp(prefix="s-", dir=plan.isolation.sockets))
    if os.geteuid() == 0:
        os.chown(sockets, owner.st_uid, owner.st_gid)
    port = int(settings.get("port", _PORT))
    every = {"unix_socket_directories": str(sockets), "port": str(port), **settings}
    program = [str(plan.installation.bin_dir / "postgres"), "-D", str(plan.folder)]
    for name, value in every.items():
        program += ["-c", f"{name}={value}"]
    log_path = staging / "server.log"
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*plan.isolation.words, str(owner.st_uid), str(owner.st_gid), *program],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    server = Postmaster(plan.folder, sockets, port, log_path, process)
    try:
        _wait_ready(server, superuser, timeout_s)
    except BaseException:
        server.stop("immediate")
        shutil.rmtree(sockets, ignore_errors=True)
        raise
    return server


def _wait_ready(server: Postmaster, superuser: str, timeout_s: float) -> None:
    address = ServerAddress.parse("").with_options(
        host=str(server.socket_dir), port=server.port, user=superuser, dbname="postgres"
    )
    deadline = time.monotonic() + timeout_s
    while True:
        if not server.is_running():
            said = last_words(server.log_path)
            raise UnavailableError(f"the server on {server.data_dir} ended: {said}")
        try:
            address.connect().close()
            return
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"the server on {server.data_dir} did not answer within {timeout_s:.0f} s: "
                    f"{error.message}"
                ) from error
        time.sleep(_POLL_S)

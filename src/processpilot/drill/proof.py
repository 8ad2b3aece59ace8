"""The proof of isolation: what leads out is tried from inside, and production is compared.

Made before anything of the restored data is started; a drill whose isolation failed starts nothing.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.drill.enclosure import Enclosure, Program, machine_sockets
from processpilot.drill.place import Place
from processpilot.drill.reach import REACHED, reach
from processpilot.drill.verdict import ISOLATION
from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.postgres.cluster import postmaster_of
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.control import read_control
from processpilot.repository.repository import Repository

# No address of anybody: reserved for documentation (RFC 5737). With a route it would time out.
_ROUTABLE = "tcp:192.0.2.1:443"
_SMTP = "tcp:127.0.0.1:25"
_LIMIT_S = 60.0
# A time-out is none: it would mean that packets left.
_CLOSED = {
    "ECONNREFUSED",
    "ENETUNREACH",
    "EHOSTUNREACH",
    "ENOENT",
    "EROFS",
    "EACCES",
    "EPERM",
    "ESRCH",
    "no address",
    "only a loopback, no route",
}


@dataclass(frozen=True, slots=True)
class Production:
    """What must stay as it is: the server, its folder, the repository's folder and backups."""

    address: ServerAddress
    data_dir: Path | None
    repository_dir: Path | None

    @property
    def sockets(self) -> tuple[Path, ...]:
        """The folders of sockets that its address names."""
        return tuple(Path(host) for host in _hosts(self.address) if host.startswith("/"))


def targets_of(production: Production) -> dict[str, str]:
    """Return what is tried from inside, and what each target is."""
    found = dict(_database_targets(production.address))
    found |= {_SMTP: "a mail server on this machine", _ROUTABLE: "an address outside"}
    sockets = os.pathsep.join(map(str, machine_sockets()))
    found[f"sockets:{sockets}"] = "a socket of this machine's programs"
    found["network:"] = "another network than a loopback"
    if production.data_dir is not None:
        found[f"write:{production.data_dir}"] = "writing into production's data directory"
        if (pid := postmaster_of(production.data_dir)) is not None:
            found[f"process:{pid}"] = "production's server process"
    if production.repository_dir is not None:
        found[f"write:{production.repository_dir}"] = "writing into the repository"
    return found


def prove_isolation(
    enclosure: Enclosure, place: Place, targets: Mapping[str, str]
) -> list[CheckResult]:
    """Return one check for each target, which passed when it was out of reach from inside."""
    output = place.outputs / "reach.json"
    # Out here, writing into production would be the damage itself, and sockets are others'.
    there = {
        target: reach(target) for target in targets if not target.startswith(("write:", "sockets:"))
    }
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))}
    argv = (sys.executable, "-m", "processpilot.drill.reach", *targets)
    ended = enclosure.run(Program(argv, env, Path("/"), output, _LIMIT_S))
    if ended.exit_status != 0:
        raise UnavailableError(f"the proof of isolation did not run: {ended.why or 'it failed'}")
    answers: Mapping[str, str] = json.loads(output.read_text())
    return [
        passed_if(
            f"{ISOLATION}{what}",
            answers[target] in _CLOSED,
            "out of reach",
            answers[target],
            "within reach from outside" if there.get(target) == REACHED else "",
        )
        for target, what in targets.items()
    ]


def unproven(why: str) -> CheckResult:
    """Return the check of a drill on a machine that allows no namespaces."""
    return CheckResult(f"{ISOLATION}namespaces", Outcome.UNKNOWN, "namespaces", "none", why)


def fingerprint(production: Production, repository: Repository) -> dict[str, str]:
    """Return what tells whether production is what it was: its server, its folder, its backups.

    The content of the data directory changes all the time; a drill cannot see it, let alone write.
    """
    found = {"backups": ",".join(map(str, repository.backup_ids()))}
    if production.data_dir is not None:
        with suppress(OSError, ProcessPilotError):
            status = production.data_dir.stat()
            found["folder"] = f"{status.st_dev}:{status.st_ino}"
            found["cluster"] = str(read_control(production.data_dir).system_identifier)
        found["server"] = str(postmaster_of(production.data_dir) or "none")
    return found


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[CheckResult]:
    """Yield one check for each thing compared; new backups may have come, none may be gone."""
    for name, was in before.items():
        now = after.get(name, "nothing")
        if name == "backups":
            gone = set(filter(None, was.split(","))) - set(now.split(","))
            yield passed_if(
                "production: backups", not gone, "none gone", ", ".join(sorted(gone)) or "none gone"
            )
        elif name == "server" and was != now:
            # Production may well be restarted meanwhile; nobody can tell any more who did it.
            why = "it was started, stopped or restarted during the drill"
            yield CheckResult("production: server", Outcome.UNKNOWN, was, now, why)
        else:
            yield passed_if(f"production: {name}", was == now, was, now)


def _hosts(address: ServerAddress) -> list[str]:
    parts = conninfo_to_dict(address.conninfo)
    text = str(parts.get("hostaddr") or parts.get("host") or "/run/postgresql")
    return [host for host in text.split(",") if host]


def _database_targets(address: ServerAddress) -> Iterator[tuple[str, str]]:
    port = str(conninfo_to_dict(address.conninfo).get("port") or 5432).split(",")[0]
    for host in _hosts(address):
        if host.startswith("/"):
            yield f"unix:{host}/.s.PGSQL.{port}", "production's database"
            continue
        try:
            # Names are looked up out here: inside, nobody would answer.
            found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
        except OSError:
            found = []
        for each in sorted({str(entry[4][0]) for entry in found} or {host}):
            yield f"tcp:{each}:{port}", "production's database"

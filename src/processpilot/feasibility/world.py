"""What there is on this machine, as far as a plan names it: programs, files, units, hosts, disks.

Nothing is contacted. Names of hosts go to the system's resolver, all of a plan together for at most
RESOLVE_LIMIT_S; what it has not answered by then is not known.
"""

from __future__ import annotations

import contextlib
import ipaddress
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from processpilot.feasibility.path import Durations

RESOLVE_LIMIT_S = 0.5
# systemd.unit(5), "Unit File Load Path"; SysV scripts become units of the same name.
_UNIT_FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_SYSV_FOLDER = "/etc/init.d"
_USER_UNIT_FOLDERS = (
    "~/.config/systemd/user",
    "/etc/systemd/user",
    "/run/systemd/user",
    "/usr/local/lib/systemd/user",
    "/usr/lib/systemd/user",
)
_LONGEST_TEXT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class World:
    """Facts that a plan is compared with.

    `unit_exists` gets a unit's name and whether it is a user's, `hosts_known` many names at once;
    both leave out or answer None for what cannot be known. `device` is the number of the file
    system that a path lies on, or would. `drills` holds when each drill last finished.
    """

    now: datetime
    program_exists: Callable[[str], bool]
    path_exists: Callable[[Path], bool]
    read_text: Callable[[Path], str | None]
    unit_exists: Callable[[str, bool], bool | None]
    hosts_known: Callable[[Iterable[str]], Mapping[str, bool]]
    device: Callable[[Path], int | None]
    measured: Durations = field(default_factory=dict)
    drills: Mapping[str, datetime] = field(default_factory=dict)


def this_machine(
    now: datetime, measured: Durations | None = None, drills: Mapping[str, datetime] | None = None
) -> World:
    """Return the facts of the machine this runs on."""
    return World(
        now,
        lambda name: shutil.which(name) is not None,
        path_exists,
        read_text,
        unit_exists,
        hosts_known,
        device_of,
        measured or {},
        drills or {},
    )


def path_exists(path: Path) -> bool:
    """Return whether there is something at `path`; what may not be looked at is taken as there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True
    return True


def read_text(path: Path) -> str | None:
    """Return the text of a small file; None when it cannot be read."""
    try:
        if path.stat().st_size > _LONGEST_TEXT_BYTES:
            return None
        return path.read_text()
    except (OSError, ValueError):
        return None


def unit_exists(name: str, user: bool) -> bool | None:
    """Return whether systemd would find a unit file; None on a machine without its folders."""
    unit = name if "." in name else f"{name}.service"
    stem, suffix = unit.rsplit(".", 1)
    names = {unit, f"{stem.split('@')[0]}@.{suffix}"} if "@" in stem else {unit}
    folders = [Path(f).expanduser() for f in (_USER_UNIT_FOLDERS if user else _UNIT_FOLDERS)]
    there = [folder for folder in folders if folder.is_dir()]
    if not there:
        return None
    if any(path_exists(folder / n) for folder in there for n in names):
        return True
    return not user and path_exists(Path(_SYSV_FOLDER) / stem)


def hosts_known(names: Iterable[str]) -> Mapping[str, bool]:
    """Return for each host whether its name leads to an address; unanswered ones are left out."""
    found: dict[str, bool] = {}
    threads = []
    for name in set(names):
        if _is_plain(name):
            found[name] = True
            continue
        threads.append(threading.Thread(target=_resolve, args=(name, found), daemon=True))
        threads[-1].start()
    deadline = threading.Event()
    timer = threading.Timer(RESOLVE_LIMIT_S, deadline.set)
    timer.daemon = True
    timer.start()
    for thread in threads:
        while thread.is_alive() and not deadline.is_set():
            thread.join(0.01)
    timer.cancel()
    return dict(found)


def _is_plain(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _resolve(name: str, found: dict[str, bool]) -> None:
    try:
        socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
            found[name] = False
        return
    except (OSError, ValueError):
        return
    found[name] = True


def device_of(path: Path) -> int | None:
    """Return the number of the file system that `path` lies on, or would once it is made."""
    for folder in (path, *path.parents):
        try:
            return folder.stat().st_dev
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError):
            return None
    return None

"""What Linux offers to cut programs off, as functions: namespaces, mounts, the loopback.

Thin and without decisions. Numbers are from the kernel's headers (include/uapi/linux/sched.h,
mount.h, prctl.h); `mount_setattr` is there since Linux 5.12.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import struct
from collections.abc import Collection
from pathlib import Path

NEW_NS = 0x00020000
NEW_UTS = 0x04000000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PID = 0x20000000
NEW_NET = 0x40000000

_MS_BIND = 4096
_MS_REC = 16384
_MS_PRIVATE = 1 << 18
_MS_NOSUID = 2
_MS_NODEV = 4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_ATTR_RDONLY = 1
_SYS_MOUNT_SETATTR = 442
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1

_LIBC = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move this process, which has one thread, into new namespaces."""
    _require(_LIBC.unshare(ctypes.c_int(flags)), "unshare")


def join(descriptor: int, kind: int) -> None:
    """Move this process into the namespace that a descriptor stands for."""
    _require(_LIBC.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def die_with_parent() -> None:
    """Have this process killed when the one that started it ends."""
    _require(_LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def drop_powers(kept: Collection[int]) -> None:
    """Let no program that is started from now on have other capabilities than those kept."""
    number = 0
    while _LIBC.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in kept:
            _require(_LIBC.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "prctl")
        number += 1


def keep_mounts_private() -> None:
    """Let no mount made from now on be seen outside this mount namespace."""
    _mount(None, Path("/"), None, _MS_REC | _MS_PRIVATE, None)


def mount_empty(target: Path, mode: int) -> None:
    """Cover a folder by an empty one in memory."""
    _mount("tmpfs", target, "tmpfs", _MS_NOSUID | _MS_NODEV, f"mode={mode:o}")


def bind(source: str | Path, target: Path) -> None:
    """Show a folder or file, and all that is mounted in it, at another place as well."""
    _mount(str(source), target, None, _MS_BIND | _MS_REC, None)


def set_read_only(target: Path, *, read_only: bool, recursive: bool) -> None:
    """Let nobody write below a mount point, or let them again."""
    wanted = (_ATTR_RDONLY, 0) if read_only else (0, _ATTR_RDONLY)
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", *wanted, 0, 0), 32)
    done = _LIBC.syscall(
        ctypes.c_long(_SYS_MOUNT_SETATTR),
        ctypes.c_int(_AT_FDCWD),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_uint(_AT_RECURSIVE if recursive else 0),
        attributes,
        ctypes.c_size_t(32),
    )
    _require(done, f"mount_setattr {target}")


def bring_loopback_up() -> None:
    """Let 127.0.0.1 answer in this network namespace; there is nothing else in it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack_from("h", fcntl.ioctl(link, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(link, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | _IFF_UP))


def _mount(
    source: str | None, target: Path, kind: str | None, flags: int, data: str | None
) -> None:
    done = _LIBC.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        None if data is None else data.encode(),
    )
    _require(done, f"mount {target}")


def _require(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")

"""Continuous protection: one receiver, its spool, and what goes from there to the repository.

A thread of its own runs it. It starts the receiver again when that ends, ships every few seconds,
and keeps synchronous protection honest. For a recovery it is paused, with everything shipped, and
renewed on the recovered server with a fresh spool and slot.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psycopg

from processpilot.backup.ancestry import check_ancestry, read_position
from processpilot.backup.heartbeat import FILE_NAME, INTERVAL_S, beat, create_heartbeat
from processpilot.backup.receiver import Receiver, create_slot, drop_slot, read_slot, silence
from processpilot.backup.spool import Spool, remove_sealed
from processpilot.backup.stream import wait_streaming
from processpilot.backup.synchronous import check_synchronous, require_receiver, requires_receiver
from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.journal.event import JsonValue
from processpilot.postgres.binaries import Installation
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.repository.repository import Repository
from processpilot.repository.wal import WalArchive

_TICK_S = 0.1
_RESTART_S = 1.0
_LOOK_S = 2.0


class StreamState(StrEnum):
    """What the receiver is doing."""

    STARTING = "starting"
    STREAMING = "streaming"
    PAUSED = "paused"
    BROKEN = "broken"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ProtectionStatus:
    """How well the log is protected now.

    `spooled` is on the spool's disk, `stored` in the repository; `waits` says that commits wait
    for the receiver.
    """

    state: StreamState
    detail: str = ""
    spooled: Lsn | None = None
    stored: Lsn | None = None
    waits: bool = False
    last_beat_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProtectionSettings:
    """What the plan says of streaming, with the folders resolved."""

    spool: Path
    state_dir: Path
    slot: str
    segment_bytes: int
    synchronous: bool
    sync_grace_s: float
    tail_interval_s: float
    heartbeat: bool


@dataclass(frozen=True, slots=True)
class ProtectionGround:
    """What protection works with; `note` writes an event (kind, data) into the journal."""

    address: ServerAddress
    installation: Installation
    repository: Repository
    clock: Clock
    note: Callable[[str, Mapping[str, JsonValue]], None]


class Protection:
    """The stream of one cluster. Whoever starts it holds the lease named "stream"."""

    def __init__(self, settings: ProtectionSettings, ground: ProtectionGround) -> None:
        self._settings = settings
        self._ground = ground
        self._archive = WalArchive(ground.repository, settings.segment_bytes)
        self._spool = Spool(settings.spool, settings.segment_bytes)
        self._receiver = Receiver(
            ground.installation,
            ground.address,
            settings.slot,
            self._spool.folder,
            settings.state_dir,
        )
        self._pid_file = settings.state_dir / "receiver.pid"
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._paused = False
        self._lost_at: float | None = None
        self._waits = False
        self._answers_since: float | None = None
        self._last_ship = 0.0
        self._last_look = 0.0
        self._threads: list[threading.Thread] = []
        self.status = ProtectionStatus(StreamState.STOPPED)

    def start(self, *, paused: bool = False) -> None:
        """Begin in threads of its own; with `paused` nothing streams until `renew`."""
        self._paused = paused
        self._set(StreamState.PAUSED if paused else StreamState.STARTING)
        self._end_orphan()
        remove_sealed(self._spool.folder, self._ground.clock.now())
        self._threads = [threading.Thread(target=self._stream, name="stream")]
        if self._settings.heartbeat:
            self._threads.append(threading.Thread(target=self._beat, name="heartbeat"))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End deliberately: commits no longer wait, what has arrived is shipped. Idempotent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._threads = []
        with self._lock:
            if self._settings.synchronous and not self._paused:
                with contextlib.suppress(ProcessPilotError):
                    self._wait_for_receiver(on=False, why="the agent was stopped")
            self._stop_receiver()
            with contextlib.suppress(ProcessPilotError):
                self._ship()
            self._set(StreamState.STOPPED)

    def pause(self) -> Lsn | None:
        """Stop receiving, store everything received; return up to where. Idempotent."""
        with self._lock:
            self._paused = True
            self._answers_since = None
            self._waits = False
            self.status = replace(self.status, waits=False)
            self._stop_receiver()
            self._ship()
            self._set(StreamState.PAUSED)
            return self._spool.written_to()

    def resume(self) -> None:
        """Go on streaming after a pause that no `renew` ended: from the server that is there."""
        with self._lock:
            if self._paused:
                self._paused = False
                self._lost_at = None
                self._set(StreamState.STARTING)

    def renew(self, timeout_s: float) -> Path | None:
        """Stream from the recovered server; return where the old spool was put aside.

        Returns once the new receiver streams. Everything received before was stored, and the new
        timeline's history is stored as well.
        """
        with self._lock:
            self._stop_receiver()
            self._ship()
            at = self._ground.clock.now()
            sealed = self._spool.seal(at) if self._spool.files() else None
            with self._ground.address.session() as connection:
                drop_slot(connection, self._settings.slot)
            self._paused = False
            self._lost_at = None
            self._set(StreamState.STARTING)
        deadline = self._ground.clock.monotonic() + timeout_s
        while self.status.state is not StreamState.STREAMING:
            if self._ground.clock.monotonic() > deadline:
                raise UnavailableError(
                    f"the log does not stream after {timeout_s:.0f} s: {self.status.detail}",
                    transient=True,
                )
            self._ground.clock.sleep(_TICK_S)
        return sealed

    def _stream(self) -> None:
        while not self._stop.is_set():
            try:
                with self._lock:
                    if not self._paused:
                        self._tend()
                    elif self._settings.synchronous:
                        self._let_commits_go()
            except ProcessPilotError as error:
                self._broken(self._lack_of_room() or error)
                self._stop.wait(_RESTART_S)
            except OSError as error:
                self._broken(UnavailableError(f"{error.filename}: {error.strerror}"))
                self._stop.wait(_RESTART_S)
            self._stop.wait(_TICK_S)

    def _tend(self) -> None:
        """Keep the receiver running and ship what is due."""
        if not self._receiver.is_running():
            self._note_lost()
            self._begin()
        now = self._ground.clock.monotonic()
        if now - self._last_look >= _LOOK_S:
            self._last_look = now
            self._end_if_silent()
        if now - self._last_ship >= self._settings.tail_interval_s:
            self._last_ship = now
            self._ship()
            if self._receiver.is_running():
                self._set(StreamState.STREAMING)

    def _let_commits_go(self) -> None:
        """While paused nobody confirms anything; a server that came back must not wait forever."""
        now = self._ground.clock.monotonic()
        if now - self._last_look < _LOOK_S:
            return
        self._last_look = now
        try:
            with self._ground.address.session() as connection:
                waits = requires_receiver(connection)
        except ProcessPilotError:
            self._answers_since = None
            self._waits = False
            self.status = replace(self.status, waits=False)
            return
        if self._answers_since is None:
            self._answers_since = now
        self._waits = waits
        self.status = replace(self.status, waits=waits)
        if waits and now - self._answers_since >= self._settings.sync_grace_s:
            self._wait_for_receiver(on=False, why="the stream is paused for a recovery")

    def _end_if_silent(self) -> None:
        """End a receiver that lives but confirms nothing.

        Commits must not wait for it, and log that it does not take is not protected.
        """
        with self._ground.address.session() as connection:
            silent_s = silence(connection)
        if silent_s is None or silent_s > self._settings.sync_grace_s:
            self._receiver.kill()
            if self._waits:
                self._wait_for_receiver(on=False, why="the receiver confirms nothing")

    def _begin(self) -> None:
        """Start the receiver with its slot and wait until it streams."""
        ground, settings = self._ground, self._settings
        with ground.address.session() as connection:
            self._check(connection)
            slot = read_slot(connection, settings.slot)
            if slot is not None and slot.wal_status == "lost":
                drop_slot(connection, settings.slot)
                ground.note("log-lost", {"slot": settings.slot})
                slot = None
            if slot is None:
                if self._spool.files():
                    self._ship()
                    self._spool.seal(ground.clock.now())
                create_slot(connection, settings.slot)
                ground.note("slot-created", {"slot": settings.slot})
            if settings.synchronous:
                check_synchronous(connection)
            if settings.heartbeat:
                create_heartbeat(connection)
        self._spool.mend()
        self._receiver.start()
        self._pid_file.write_text(f"{self._receiver.pid}\n")
        wait_streaming(self._receiver, ground.address, ground.clock)
        self._lost_at = None
        self._ship()
        if settings.synchronous:
            self._wait_for_receiver(on=True, why="the receiver streams")
        self._set(StreamState.STREAMING)

    def _check(self, connection: psycopg.Connection) -> None:
        """Refuse a server whose log does not belong behind what is stored; name a gap before it.

        What was received before, of the right server, is stored first. After a gap the next look
        at the schedule takes a base backup, with which a new window begins.
        """
        if self._spool.files():
            self._ship()
        # What is held first: it must not be newer than the position it is compared with.
        held = self._archive.inventory()
        server = read_position(connection)
        check_ancestry(server, self._ground.repository.settings.system_identifier, held)
        end, slot = held.end_of(server.timeline), read_slot(connection, self._settings.slot)
        if end is None or slot is None or slot.restart_lsn is None:
            return
        number = end // self._settings.segment_bytes
        if slot.restart_lsn // self._settings.segment_bytes > number:
            missing = Segment(server.timeline, number, self._settings.segment_bytes)
            self._ground.note("log-gap", {"missing": missing.name, "until": str(slot.restart_lsn)})

    def _ship(self) -> None:
        shipped = self._spool.ship(self._archive)
        stored = shipped.reached or self.status.stored
        self.status = replace(self.status, stored=stored, spooled=self._spool.written_to())

    def _note_lost(self) -> None:
        """After the grace period, let commits go on without the receiver."""
        now = self._ground.clock.monotonic()
        if self._lost_at is None:
            self._lost_at = now
        away = now - self._lost_at
        if self._waits and away > self._settings.sync_grace_s:
            self._wait_for_receiver(on=False, why=f"the receiver was away for {away:.0f} s")

    def _wait_for_receiver(self, *, on: bool, why: str) -> None:
        require_receiver(self._ground.address, on=on)
        if self._waits != on:
            kind = "protection-synchronous" if on else "protection-lifted"
            self._ground.note(kind, {"why": why})
        self._waits = on
        self.status = replace(self.status, waits=on)

    def _broken(self, error: ProcessPilotError) -> None:
        if self.status.state is not StreamState.BROKEN:
            with contextlib.suppress(ProcessPilotError):
                self._ground.note("stream-broken", {"code": error.code, "message": error.message})
        self._set(StreamState.BROKEN, error.message)

    def _lack_of_room(self) -> UnavailableError | None:
        """Return what to say when the next segment does not fit on the spool's disk."""
        folder = self._spool.folder
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            return None
        if free >= self._settings.segment_bytes:
            return None
        return UnavailableError(
            f"No space left for the log in {folder}: {free} bytes are free, a segment needs "
            f"{self._settings.segment_bytes}",
            hint="Free space on that disk. The server keeps the log meanwhile, as "
            "max_slot_wal_keep_size allows.",
        )

    def _set(self, state: StreamState, detail: str = "") -> None:
        self.status = replace(self.status, state=state, detail=detail)

    def _stop_receiver(self) -> None:
        self._receiver.stop()
        self._pid_file.unlink(missing_ok=True)

    def _end_orphan(self) -> None:
        """End the receiver that a killed predecessor left behind; it kept filling our spool."""
        try:
            pid = int(self._pid_file.read_text())
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return
        if str(self._spool.folder).encode() not in words:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
            for _ in range(100):
                os.kill(pid, 0)
                self._ground.clock.sleep(0.05)
            os.kill(pid, signal.SIGKILL)

    def _beat(self) -> None:
        """Renew the heartbeat every second, in a thread that may wait for the server.

        Also while nothing streams: the last one acknowledged tells what the log held lacks.
        """
        file = self._settings.state_dir / FILE_NAME
        while not self._stop.is_set():
            if self.status.state is not StreamState.STARTING:
                trouble = (ProcessPilotError, OSError)
                address = self._ground.address
                with contextlib.suppress(*trouble), address.session(limit_s=None) as link:
                    while not self._stop.wait(INTERVAL_S):
                        beat_at = beat(link, file, address.shown)
                        self.status = replace(self.status, last_beat_at=beat_at)
            self._stop.wait(INTERVAL_S)

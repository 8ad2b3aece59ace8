"""Work spread over a few workers: interpreters of their own where there is much, threads otherwise.

Python's interpreter lock makes threads wait for each other whenever they come back from a library;
measured (docs/architecture.md, "Decisions"), that cost more than half of the time of a restore.
A worker is made by calling a picklable function with its number, receives one task after the other
and answers each. What goes between the processes goes through a socket that only they hold, so a
key never lies in an environment, an argument or a file. Workers of a killed process die with it.
"""

from __future__ import annotations

import ctypes
import gc
import itertools
import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import traceback
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, Protocol, TypeVar

from processpilot.errors import ProcessPilotError, UnavailableError

Task = TypeVar("Task")
Result = TypeVar("Result")
Rest = TypeVar("Rest")
_Task = TypeVar("_Task", contravariant=True)
_Result = TypeVar("_Result", covariant=True)
_Rest = TypeVar("_Rest", covariant=True)

# Below this, starting interpreters (0.4 s each) costs more than they save.
PROCESSES_FROM_BYTES = 256 * 1024 * 1024
_MOST_WORKERS = 8
# Each worker has a task at hand and one waiting, so that it never waits for an answer.
_AHEAD = 2
_END_S = 5.0
_PR_SET_PDEATHSIG = 1


class Work(Protocol[_Task, _Result, _Rest]):
    """What one worker does; used by one thread."""

    def do(self, task: _Task) -> _Result:
        """Carry out one task."""
        ...

    def finish(self) -> _Rest:
        """Complete what is still open, when all tasks were done."""
        ...

    def close(self) -> None:
        """Let go of everything, after `finish` or after a failure."""
        ...


Start = Callable[[int], Work[Task, Result, Rest]]


class Crew(ABC, Generic[Task, Result, Rest]):
    """Workers at hand."""

    @abstractmethod
    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """Yield every task with its result, in the order in which they are done.

        Tasks are taken only when a worker has room. The first failure is raised.
        """

    @abstractmethod
    def finish(self) -> list[Rest]:
        """Return what each worker returns at its end."""

    @abstractmethod
    def close(self) -> None:
        """End the workers, whatever they are doing."""


def worker_count() -> int:
    """Return how many workers this machine keeps busy: one per core it lets us use, 2 to 8."""
    return min(_MOST_WORKERS, max(2, len(os.sched_getaffinity(0))))


@contextmanager
def open_crew(
    start: Start[Task, Result, Rest], count: int, *, processes: bool
) -> Generator[Crew[Task, Result, Rest]]:
    """Yield `count` workers, each made by `start` with its number; none is left afterwards.

    With `processes`, `start`, tasks and results have to be picklable; where `start` is not (a store
    that lives in memory), threads do the work.
    """
    crew: Crew[Task, Result, Rest]
    packed = _pickled(start) if processes else None
    if packed is None:
        stand_down()
    crew = _Threads(start, count) if packed is None else _Processes(packed, count)
    try:
        yield crew
    finally:
        crew.close()


def stand_by(module: str) -> None:
    """Start worker processes that import `module` and wait for the next crew, if there is one.

    They get ready while this process loads what it needs. Call it in the main thread.
    """
    for _ in range(worker_count()):
        _WAITING.append(_Member(module))


def stand_down() -> None:
    """End the processes that wait."""
    members, _WAITING[:] = _WAITING[:], []
    for member in members:
        member.dismiss()
    for member in members:
        member.see_off()


def _pickled(start: object) -> bytes | None:
    try:
        return pickle.dumps(start)
    except (pickle.PicklingError, TypeError, AttributeError):
        return None


class _Threads(Crew[Task, Result, Rest]):
    def __init__(self, start: Start[Task, Result, Rest], count: int) -> None:
        self._works: list[Work[Task, Result, Rest]] = []
        try:
            for number in range(count):
                self._works.append(start(number))
        except BaseException:
            self.close()
            raise

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        source = iter(tasks)
        lock = threading.Lock()
        stop = threading.Event()
        done: queue.Queue[tuple[Task, Result] | BaseException | None] = queue.Queue()

        def pull(work: Work[Task, Result, Rest]) -> None:
            try:
                while not stop.is_set():
                    with lock:
                        task = next(source, _NOTHING)
                    if task is _NOTHING:
                        break
                    done.put((task, work.do(task)))
                done.put(None)
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                done.put(error)

        threads = [threading.Thread(target=pull, args=(work,)) for work in self._works]
        for thread in threads:
            thread.start()
        try:
            yield from _until_all_ended(done, len(threads))
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def finish(self) -> list[Rest]:
        return [work.finish() for work in self._works]

    def close(self) -> None:
        for work in self._works:
            work.close()


_NOTHING: Any = object()


def _until_all_ended(
    done: queue.Queue[tuple[Task, Result] | BaseException | None], count: int
) -> Iterator[tuple[Task, Result]]:
    ended = 0
    while ended < count:
        answer = done.get()
        if answer is None:
            ended += 1
        elif isinstance(answer, BaseException):
            raise answer
        else:
            yield answer


class _Member:
    """One worker process and the tasks it holds; it begins by importing `module`."""

    def __init__(self, module: str = "processpilot.crew") -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "processpilot.crew"),
                    *(str(theirs.fileno()), str(os.getpid()), module),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
        self.connection = Connection(ours.detach())
        self.held: deque[Any] = deque()

    def send(self, message: object) -> None:
        try:
            self.connection.send(message)
        except ConnectionError:
            # It ended before it took this; its last words say why.
            self.receive()
            raise AssertionError("a worker ended without having failed") from None

    def receive(self) -> Any:
        with _lost_means(self):
            kind, value = self.connection.recv()
        if kind == "failed":
            raise value
        assert kind == "done", f"a worker failed:\n{value}"
        return value

    def dismiss(self) -> None:
        """Tell the process to end: by itself when it is idle, otherwise in the middle of its work.

        What it was writing aside it removes, if it gets the time.
        """
        self.connection.close()
        if self.held:
            self.process.terminate()

    def see_off(self) -> None:
        """Return when the process is gone."""
        try:
            self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def _lost_means(member: _Member) -> Iterator[None]:
    try:
        yield
    except (EOFError, ConnectionError) as error:
        status = member.process.wait()
        raise UnavailableError(
            f"a worker process ended with status {status}",
            hint="Look for the kernel's out-of-memory killer in its log, then try again.",
            transient=True,
        ) from error


# Processes that `stand_by` started and no crew has taken yet.
_WAITING: list[_Member] = []


class _Processes(Crew[Task, Result, Rest]):
    def __init__(self, start: bytes, count: int) -> None:
        self._members: list[_Member] = []
        try:
            for number in range(count):
                member = _WAITING.pop() if _WAITING else _Member()
                self._members.append(member)
                member.send((start, number))
        except BaseException:
            self.close()
            raise
        stand_down()

    def results(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        source = iter(tasks)
        for member in itertools.chain.from_iterable(itertools.repeat(self._members, _AHEAD)):
            _hand_over(member, source)
        while busy := [member for member in self._members if member.held]:
            ready = wait([member.connection for member in busy])
            for member in [member for member in busy if member.connection in ready]:
                result = member.receive()
                task = member.held.popleft()
                _hand_over(member, source)
                yield task, result

    def finish(self) -> list[Rest]:
        for member in self._members:
            member.send(None)
        return [member.receive() for member in self._members]

    def close(self) -> None:
        for member in self._members:
            member.dismiss()
        for member in self._members:
            member.see_off()


def _hand_over(member: _Member, source: Iterator[Task]) -> None:
    for task in itertools.islice(source, 1):
        member.send((task,))
        member.held.append(task)


def _serve(descriptor: int, parent: int, module: str) -> None:
    """Be a worker: answer tasks until there are none."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    gc.disable()  # a worker is short-lived and makes no cycles worth looking for
    with Connection(descriptor) as connection, suppress(EOFError, ConnectionError):
        try:
            import_module(module)
            packed, number = connection.recv()
            work = pickle.loads(packed)(number)  # noqa: S301 - from our own parent, by a socketpair
            try:
                while (message := connection.recv()) is not None:
                    connection.send(("done", work.do(message[0])))
                connection.send(("done", work.finish()))
            finally:
                work.close()
        except ProcessPilotError as error:
            connection.send(("failed", error))
        except (EOFError, ConnectionError):
            raise
        except Exception:  # noqa: BLE001 - a bug; its traceback goes to the parent
            connection.send(("broken", traceback.format_exc()))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])

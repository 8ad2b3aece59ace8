"""A drill's namespaces, really made: what programs inside can see, write, reach and outlive."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from drill_site import needs_namespaces
from protected_site import wait_until

from processpilot.drill.enclosure import Enclosure, Ended, Program, View, enclosed, processes_in
from processpilot.errors import UnavailableError

pytestmark = needs_namespaces


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder with what may be written, what may be read, and what is hidden."""
    made = Path(tempfile.mkdtemp(prefix="pp-test-"))
    for name in ("own", "own/s", "plan", "production", "production/spool"):
        (made / name).mkdir()
    (made / "plan" / "script").write_text("#!/bin/sh\n")
    (made / "production" / "data").write_text("precious")
    yield made
    shutil.rmtree(made)


def view(folder: Path, lifetime_s: float = 600.0) -> View:
    """Return the view of those folders."""
    return View(
        (folder / "own",),
        (folder / "plan",),
        (folder / "production", folder / "production" / "spool"),
        folder / "own" / "s",
        lifetime_s,
    )


def shell(
    enclosure: Enclosure, folder: Path, words: str, timeout_s: float = 20
) -> tuple[Ended, str]:
    """Run a line of shell inside; return how it ended and what it said."""
    output = folder / "own" / "out"
    output.unlink(missing_ok=True)
    argv = ("/bin/sh", "-c", words)
    ended = enclosure.run(Program(argv, {"PATH": os.environ["PATH"]}, Path("/"), output, timeout_s))
    return ended, output.read_text()


def succeeds(enclosure: Enclosure, folder: Path, words: str) -> bool:
    """Whether a line of shell ends with 0 inside."""
    return shell(enclosure, folder, words)[0].exit_status == 0


def test_only_its_own_folders_can_be_written(folder: Path) -> None:
    """Neither the system, nor the plan's folder, nor what is hidden; and no cover comes off."""
    with enclosed(view(folder)) as inside:
        assert succeeds(inside, folder, f"echo x > {folder}/own/new")
        assert succeeds(inside, folder, f"cat {folder}/plan/script && echo x > /tmp/mine")
        for place in ("/etc", f"{folder}/plan", f"{folder}/production", "/proc/sys/kernel"):
            assert not succeeds(inside, folder, f"echo x > {place}/planted"), place
        assert not succeeds(inside, folder, f"cat {folder}/production/data")
        assert not succeeds(inside, folder, "umount /run")
        assert not succeeds(inside, folder, "mount -o remount,rw /")
        assert not succeeds(inside, folder, "unshare --user --map-root-user --mount umount /run")
    assert (folder / "own" / "new").exists()
    assert not Path("/tmp/mine").exists()  # noqa: S108
    assert (folder / "production" / "data").read_text() == "precious"


def test_the_only_network_is_a_loopback_of_its_own(folder: Path) -> None:
    """What listens on the machine's loopback is not there, and nothing leads out."""
    with socket.create_server(("127.0.0.1", 0)) as listener, enclosed(view(folder)) as inside:
        port = listener.getsockname()[1]
        program = f"import socket; socket.create_connection(('{{}}', {port}))"
        connect = f'{sys.executable} -c "{program}"'
        socket.create_connection(("127.0.0.1", port)).close()
        assert "refused" in shell(inside, folder, connect.format("127.0.0.1"))[1]
        assert "unreachable" in shell(inside, folder, connect.format("192.0.2.1"))[1]


def test_no_socket_of_a_program_of_the_machine_answers(folder: Path) -> None:
    """Wherever it lies: that a folder can only be read keeps nobody from connecting."""
    path = folder / "plan" / "supervisor.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        program = f"import socket; socket.socket(socket.AF_UNIX).connect('{path}')"
        subprocess.run([sys.executable, "-c", program], check=True)
        with enclosed(view(folder)) as inside:
            assert "refused" in shell(inside, folder, f'{sys.executable} -c "{program}"')[1]


def test_a_socket_that_was_named_from_its_own_folder_does_not_answer_either(folder: Path) -> None:
    """The kernel then knows half of its name; the other half is where its program is."""
    program = """
import socket
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("app.sock")
    listener.listen()
    print("listening", flush=True)
    input()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=folder / "plan",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"listening\n"
        path = folder / "plan" / "app.sock"
        connect = f"import socket; socket.socket(socket.AF_UNIX).connect('{path}')"
        subprocess.run([sys.executable, "-c", connect], check=True)
        with enclosed(view(folder)) as inside:
            assert "refused" in shell(inside, folder, f'{sys.executable} -c "{connect}"')[1]
        process.communicate(b"\n")


@pytest.mark.skipif(os.geteuid() == 0, reason="root enters every folder")
def test_a_socket_in_a_folder_that_nobody_may_enter_keeps_no_drill_from_isolation(
    folder: Path,
) -> None:
    """It cannot be covered, and need not be: nothing inside may enter there either."""
    closed = folder / "plan" / "closed"
    closed.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(closed / "agent.sock"))
        listener.listen()
        closed.chmod(0)
        try:
            with enclosed(view(folder)) as inside:
                assert succeeds(inside, folder, "true")
        finally:
            closed.chmod(0o700)


def test_of_the_devices_only_those_that_hold_nothing_are_there(folder: Path) -> None:
    """No disk and no memory can be written around the file system; shared memory is its own."""
    with enclosed(view(folder)) as inside:
        said = shell(inside, folder, "find -L /dev -maxdepth 1 ! -type d -printf '%f '")[1]
        devices = set(said.split()) - {"fd", "stdin", "stdout", "stderr"}
        assert devices == {"null", "zero", "full", "random", "urandom"}
        assert succeeds(inside, folder, "echo x > /dev/null && echo x > /dev/shm/mine")
        assert not succeeds(inside, folder, "echo 0 > /proc/sysrq-trigger")
    assert not Path("/dev/shm/mine").exists()  # noqa: S108


def test_no_process_of_the_machine_can_be_touched(folder: Path) -> None:
    """Not by its number, not through its namespaces, not through its view of the files."""
    with enclosed(view(folder)) as inside:
        assert not succeeds(inside, folder, f"kill -0 {os.getpid()}")
        assert not succeeds(inside, folder, "nsenter --target 1 --net true")
        assert not succeeds(inside, folder, f"ls /proc/{os.getpid()}/root/")


def test_what_is_left_in_the_background_lives_until_the_end_and_not_longer(folder: Path) -> None:
    """An application started by one program is there for the next."""
    with enclosed(view(folder)) as inside:
        shell(inside, folder, "sleep 600 >/dev/null 2>&1 &")
        namespace = inside.namespace
        assert len(processes_in(namespace)) == 3
    assert processes_in(namespace) == []


def test_a_program_that_takes_too_long_is_killed_with_its_children(folder: Path) -> None:
    """And the enclosure goes on."""
    with enclosed(view(folder)) as inside:
        ended, _ = shell(inside, folder, "trap '' TERM; sleep 600 & sleep 600", timeout_s=0.5)
        assert ended.timed_out
        namespace = inside.namespace
        wait_until(lambda: len(processes_in(namespace)) == 2, "the end of its children")
        assert succeeds(inside, folder, "true")


def test_a_program_that_cannot_be_started_is_told(folder: Path) -> None:
    """With the system's reason."""
    with enclosed(view(folder)) as inside:
        program = Program(("/no/such",), {}, Path("/"), folder / "own" / "out", 1.0)
        assert inside.run(program).why == "No such file or directory"


def test_everything_ends_after_the_lifetime(folder: Path) -> None:
    """Whatever runs then; whoever asks for more is told that it is gone."""
    with enclosed(view(folder, lifetime_s=0.5)) as inside:
        namespace = inside.namespace
        shell_is_gone = pytest.raises(UnavailableError, match="namespaces are gone")
        with shell_is_gone:
            shell(inside, folder, "sleep 600", timeout_s=600)
        wait_until(lambda: processes_in(namespace) == [], "the end of the namespaces")


def test_everything_ends_when_whoever_made_it_is_killed(folder: Path) -> None:
    """Without a word, by the kernel."""
    maker = f"""
import time
from pathlib import Path
from processpilot.drill.enclosure import Program, View, enclosed
folder = Path({str(folder)!r})
with enclosed(View((folder / "own",), (), (), folder / "own" / "s", 600.0)) as inside:
    argv = ("/bin/sh", "-c", "sleep 600 >/dev/null 2>&1 &")
    inside.run(Program(argv, {{}}, Path("/"), folder / "own" / "out", 10.0))
    print(inside.namespace, flush=True)
    time.sleep(600)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", maker], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    namespace = process.stdout.readline().strip()
    assert len(processes_in(namespace)) == 3
    process.kill()
    process.wait()
    process.stdout.close()
    wait_until(lambda: processes_in(namespace) == [], "the end of the namespaces")


def test_everything_ends_with_its_maker_also_while_a_program_is_waited_for(folder: Path) -> None:
    """A long program does not keep its namespaces alive until its own time limit."""
    maker = f"""
from pathlib import Path
from processpilot.drill.enclosure import Program, View, enclosed
folder = Path({str(folder)!r})
with enclosed(View((folder / "own",), (), (), folder / "own" / "s", 600.0)) as inside:
    print(inside.namespace, flush=True)
    argv = ("/bin/sleep", "600")
    inside.run(Program(argv, {{}}, Path("/"), folder / "own" / "out", 600.0))
"""
    with subprocess.Popen(
        [sys.executable, "-c", maker], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        namespace = process.stdout.readline().strip()
        wait_until(lambda: len(processes_in(namespace)) == 3, "the program")
        process.kill()
    wait_until(lambda: processes_in(namespace) == [], "the end of the namespaces")

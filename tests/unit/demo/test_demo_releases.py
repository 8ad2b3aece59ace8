"""The releases of the demo: good ones serve, the broken one fails under load, a rollback helps."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from demo_application import (
    Server,
    free_port,
    listens,
    log_in,
    prepare,
    server,
    wait_until,
)

from processpilot.demo.releases import Fault, Releases
from processpilot.plan.component import GitRelease
from processpilot.services.release import releases_of

__all__ = ["server"]


@pytest.fixture
def secret(server: Server, tmp_path: Path) -> Path:
    """Give the file with the address of a migrated database."""
    made = server.create()
    prepare(made)
    path = tmp_path / "address"
    path.write_text(made)
    path.chmod(0o600)
    return path


@pytest.fixture
def releases(tmp_path: Path, secret: Path) -> Releases:
    """Give the releases, the newest good one built."""
    made = Releases(tmp_path / "release")
    made.create()
    made.build(secret)
    return made


def rolled(releases: Releases, secret: Path) -> GitRelease:
    """Return the releases as the plan of the demo describes them."""
    return GitRelease(
        kind="git",
        folder=str(releases.folder),
        build=(sys.executable, "build.py"),
        migrate=(sys.executable, "migrate.py", str(secret)),
    )


@contextmanager
def served(releases: Releases, secret: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run what is checked out; give its process and port."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "serve.py"],
        cwd=releases.folder,
        env={**os.environ, "DATABASE_URL_FILE": str(secret), "PORT": str(port)},
    )
    try:
        yield process, port
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def client_of(port: int) -> Iterator[httpx.Client]:
    """Give a client once somebody listens."""
    wait_until(lambda: listens(port), "the release listens")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
        yield client


def test_every_answer_says_which_release_it_comes_from(releases: Releases, secret: Path) -> None:
    """The newest good release is checked out, built, and serves."""
    with served(releases, secret) as (_, port), client_of(port) as client:
        log_in(client, "employee")
        assert client.get("/health/detailed").headers["X-Release"] == "v1.1"
    assert releases.checked_out() == "v1.1"


def test_what_is_not_built_does_not_serve(releases: Releases, secret: Path) -> None:
    """A release that is only checked out says so and ends."""
    releases.release_broken(Fault.DIES)
    done = subprocess.run(
        [sys.executable, "serve.py"], cwd=releases.folder, capture_output=True, text=True
    )
    assert (done.returncode, "v1.1 is built" in done.stderr) == (1, True)


def test_the_broken_release_dies_and_no_restart_helps(releases: Releases, secret: Path) -> None:
    """It is well until the first request; what that leaves behind ends every start after it."""
    releases.release_broken(Fault.DIES)
    releases.build(secret)
    with served(releases, secret) as (process, port), client_of(port) as client:
        assert client.get("/health/detailed").status_code == 200
        with pytest.raises(httpx.TransportError):
            client.post("/api/auth/login", json={})
        assert process.wait(20) == 1
    with served(releases, secret) as (process, _):
        assert process.wait(20) == 1


def test_the_other_fault_answers_500_through_every_restart(
    releases: Releases, secret: Path
) -> None:
    """The process lives, and every answer is an error from the first request on."""
    releases.release_broken(Fault.ANSWERS_500)
    releases.build(secret)
    with served(releases, secret) as (_, port), client_of(port) as client:
        assert client.get("/health/detailed").status_code == 200
        assert client.post("/api/auth/login", json={}).status_code == 500
        assert client.get("/health/detailed").status_code == 500
    with served(releases, secret) as (_, port), client_of(port) as client:
        assert client.get("/health/detailed").status_code == 500


@pytest.mark.parametrize("fault", list(Fault))
def test_rollback_helps_and_the_repaired_release_is_the_way_forward(
    releases: Releases, secret: Path, fault: Fault
) -> None:
    """Back to the release before the broken one, then on to the one after it; both serve."""
    releases.release_broken(fault)
    releases.build(secret)
    with served(releases, secret) as (_, port), client_of(port) as client:
        if fault is Fault.DIES:
            with pytest.raises(httpx.TransportError):
                client.post("/api/auth/login", json={})
        else:
            client.post("/api/auth/login", json={})
    shelf = releases_of(rolled(releases, secret), releases.folder)
    shelf.roll_back()
    for release in ("v1.1", "v1.3"):
        assert releases.checked_out() == release
        with served(releases, secret) as (_, port), client_of(port) as client:
            assert client.get("/health/detailed").headers["X-Release"] == release
            log_in(client, "employee")
        if release == "v1.1":
            releases.release_repaired()
            shelf.roll_forward()

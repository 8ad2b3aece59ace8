"""Fixtures for every test that needs a real cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from protected_site import MAJORS, SUPERUSER, Site, SiteMaker, one_of, processes_in
from s3_endpoint import s3_endpoint

from processpilot.postgres.cluster import initialise

__all__ = ["s3_endpoint"]

# A slow machine is no failure: no timing is asserted, and examples may take their time.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out, visibly, what is only for the long form."""
    if os.environ.get("PROCESSPILOT_NIGHTLY"):
        return
    for item in items:
        if item.get_closest_marker("nightly") is not None:
            item.add_marker(pytest.mark.skip(reason="the long form: make test-nightly"))


@pytest.fixture(scope="session", autouse=True)
def staging_place() -> Iterator[Path]:
    """Keep what scratch servers and killed processes leave in a folder that goes with the tests."""
    folder = Path(tempfile.mkdtemp(prefix="pp-staging-"))
    os.environ["PROCESSPILOT_STAGING_DIR"] = str(folder)
    os.environ["TMPDIR"] = str(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[SiteMaker]:
    """Return what makes a running, protected cluster; everything is ended afterwards."""
    made: list[Site] = []
    # Socket paths must be short, so sockets do not live below tmp_path.
    sockets = Path(tempfile.mkdtemp(prefix="pp-test-"))

    def make(
        major: int = 18,
        *,
        wal_segment_bytes: int | None = None,
        synchronous: bool = False,
        autonomy: str = "act",
        repository: str | None = None,
        storage: dict[str, str | bool] | None = None,
        checksums: bool = True,
    ) -> Site:
        if major not in MAJORS:
            pytest.skip(f"PostgreSQL {major} is not installed here")
        installation = one_of(major)
        site = Site(
            tmp_path / "cluster",
            installation,
            sockets,
            synchronous,
            autonomy,
            repository,
            storage or {},
        )
        site.folder.mkdir()
        initialise(
            installation,
            site.data,
            superuser=SUPERUSER,
            wal_segment_bytes=wal_segment_bytes,
            checksums=checksums,
        )
        with (site.data / "postgresql.conf").open("a") as file:
            file.write("shared_buffers = 16MB\nmax_slot_wal_keep_size = 1GB\n")
        made.append(site)
        site.start()
        site.protect()
        return site

    yield make
    for site in made:
        with suppress(OSError, subprocess.CalledProcessError):
            site.stop()
        for pid in processes_in(site.folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    shutil.rmtree(sockets, ignore_errors=True)


@pytest.fixture
def site(make_site: SiteMaker) -> Site:
    """Return a running, protected cluster of PostgreSQL 18."""
    return make_site()

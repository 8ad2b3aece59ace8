"""Everything measured, beside pgBackRest, pg_basebackup and cp -r, all synced.

    python -m bench [--scale 200] [--json-mb 0] [--app-mb 1000] [--rounds 5] [--folder DIR]
                    [--pgbackrest "PROGRAM ..."] [--block] [--sections files,series,log,load]

Contenders run one after the other within each round, in turning order; medians, and medians of
the ratios of each round, are printed. Everything lies in one folder, so all meet the same disk.
pgBackRest is left out when it is not installed; it needs PostgreSQL 15 beside it. Memory is that of
all processes of a command together.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import files, load, log, series
from bench.cluster import CLUSTERED, SCATTERED, Size, running
from bench.contenders import PgBackRest
from bench.contest import Contest
from bench.measure import Sheet
from processpilot.backup.summary import FIRST_MAJOR
from processpilot.postgres.binaries import find_installations, installation_for

_LOG_BYTES = 2_000_000_000


def _files(contest: Contest, rounds: int) -> None:
    files.full(contest, rounds)
    files.changed(contest, rounds, "scattered", SCATTERED)
    files.changed(contest, rounds, "clustered", CLUSTERED)
    files.restore(contest, rounds)
    files.verify(contest, rounds)


def _series(contest: Contest, rounds: int) -> None:
    series.size_of_ten(contest)
    if contest.cluster.installation.major >= FIRST_MAJOR:
        series.summarised(contest, rounds)
    series.thirtieth(contest, rounds)
    series.rewritten(contest)


def _log(contest: Contest, rounds: int) -> None:
    log.replay(contest, rounds, _LOG_BYTES)


def _load(contest: Contest, rounds: int) -> None:
    load.slowdown(contest, rounds)
    load.synchronous(contest, rounds)


SECTIONS: Mapping[str, Callable[[Contest, int], None]] = {
    "files": _files,
    "series": _series,
    "log": _log,
    "load": _load,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("--scale", type=int, default=200, help="pgbench's scale, 15 MB each")
    parser.add_argument("--json-mb", type=int, default=0, help="rows of JSON")
    parser.add_argument("--app-mb", type=int, default=1000, help="the sample application's tables")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--pgbackrest", default="pgbackrest", help="how to call it; empty for none")
    parser.add_argument("--block", action="store_true", help="pgBackRest with block incremental")
    parser.add_argument("--sections", default=",".join(SECTIONS), help="which parts, by commas")
    options = parser.parse_args(arguments)
    sections = [SECTIONS[name] for name in options.sections.split(",")]
    program = tuple(shlex.split(options.pgbackrest))
    majors = {installation.major for installation in find_installations()}
    with_rest = bool(program) and shutil.which(program[0]) is not None and 15 in majors
    installation = installation_for(15 if with_rest else 18)
    folder = Path(tempfile.mkdtemp(prefix="processpilot-bench-", dir=options.folder))
    folder.chmod(0o755)
    size = Size(options.scale, options.json_mb * 1_000_000, options.app_mb * 1_000_000)
    settings = {"archive_mode": "on"} if with_rest else {}
    with running(folder, installation, size, settings) as cluster:
        rest = None
        if with_rest:
            rest = PgBackRest(cluster, program, {"repo1-block": "y"} if options.block else {})
            rest.renew()
            cluster.sql(f"alter system set archive_command = '{rest.archive_command}'")
            cluster.sql("select pg_reload_conf()")
        targets = folder / "targets"

        def tidy() -> None:
            shutil.rmtree(targets, ignore_errors=True)
            targets.mkdir()

        sheet = Sheet(tidy)
        contest = Contest(cluster, sheet, rest)
        for section in sections:
            section(contest, options.rounds)
        print(
            f"{os.cpu_count()} cores, {cluster.data_bytes() / 1e9:.1f} GB, "
            f"PostgreSQL {installation.version}, Python {platform.python_version()}"
            f"{'' if rest is None else ', ' + rest.version()}, {options.rounds} rounds\n"
        )
        print(sheet.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())

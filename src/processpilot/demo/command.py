"""The demo's command line, and the promise that nothing is left running."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

from rich.console import Console

from processpilot.demo import stage
from processpilot.demo.nginx import find_nginx, require_nginx
from processpilot.demo.places import Places, free_ports
from processpilot.demo.programs import Cast, programs_of
from processpilot.demo.releases import Fault
from processpilot.demo.show import Show
from processpilot.demo.show_application import ApplicationShow
from processpilot.demo.supervisor import Supervisor
from processpilot.errors import ProcessPilotError
from processpilot.evidence.report import Report
from processpilot.evidence.store import store_report
from processpilot.postgres.binaries import Installation, installation_for

MAJOR = 18
INTERRUPTED = 130
DATABASE_FAILURE = "database-failure"
APPLICATION_FAILURE = "application-failure"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when the recovery passed, 1 when it did not, 130 when interrupted."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.fault is not None and options.scenario != APPLICATION_FAILURE:
        parser.error(f"--fault says nothing about {options.scenario}")
    console = Console()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    folder = Path(mkdtemp(prefix="processpilot-demo-"))
    supervisor: Supervisor | None = None
    kept = False
    try:
        installation = installation_for(MAJOR)
        cast = _cast(options, installation)
        places = Places(folder, *free_ports(4))
        stage.make_folders(places)
        supervisor = Supervisor(places, programs_of(places, cast))
        show = _show(options, places, supervisor, console)
        show.set_up(installation, options.size * 1_000_000)
        show.destroy()
        report = show.watch()
        store_report(report, options.report)
        passed = show.summarise(report, options.report)
        if options.keep:
            kept = True
            front = places.url if cast.nginx is None else places.front.url
            _keep(console, report, places.site, front)
        _try_next(console)
        return 0 if passed else 1
    except KeyboardInterrupt:
        console.print("\ninterrupted; everything that was started is being ended")
        return 0 if kept else INTERRUPTED
    except ProcessPilotError as error:
        console.print(f"[bold red]the demo failed:[/] {error.message}")
        if error.hint is not None:
            console.print(error.hint)
        return 1
    finally:
        _end(supervisor, folder)


def _cast(options: argparse.Namespace, installation: Installation) -> Cast:
    """Return what the scenario needs; NotFoundError says what is missing on this machine."""
    has_releases = options.scenario == APPLICATION_FAILURE
    return Cast(
        installation,
        options.rate,
        require_nginx() if has_releases else find_nginx(),
        has_releases,
    )


def _show(
    options: argparse.Namespace, places: Places, supervisor: Supervisor, console: Console
) -> Show:
    if options.scenario == APPLICATION_FAILURE:
        return ApplicationShow(places, supervisor, console, options.fault or Fault.DIES)
    return Show(places, supervisor, console)


def _end(supervisor: Supervisor | None, folder: Path) -> None:
    """End every process, then remove the folder; a second interrupt does not stop this."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if supervisor is not None:
        supervisor.end()
    with suppress(OSError):
        shutil.rmtree(folder)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _try_next(console: Console) -> None:
    console.print()
    console.print(
        "Try next: look at the report; `make demo ARGS=--keep` leaves everything running;"
    )
    console.print("`processpilot init --help` begins with your own database.")


def _keep(console: Console, report: Report, site: Path, url: str) -> None:
    """Say where to look, and leave everything running until interrupted."""
    program = Path(sys.executable).with_name("processpilot")
    console.print()
    console.print("Everything is still running. In another terminal:")
    console.print(f"  cd {site}")
    console.print(f"  {program} status")
    console.print(f"  {program} run show {report.run_id}")
    console.print(f"  open {url}")
    console.print("Ctrl-C ends it.")
    while True:
        signal.pause()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="processpilot demo",
        description="A whole disaster and its recovery on this machine: a database under load is "
        "destroyed, or an application dies of its newest release, and the product recovers it.",
    )
    parser.add_argument(
        "--scenario",
        choices=(DATABASE_FAILURE, APPLICATION_FAILURE),
        default=DATABASE_FAILURE,
        help="which disaster (database-failure); application-failure needs nginx and git",
    )
    parser.add_argument(
        "--fault",
        type=Fault,
        choices=tuple(Fault),
        help="what is wrong with the release in application-failure (dies)",
    )
    parser.add_argument("--size", type=_size, default=300, help="megabytes of data (300)")
    parser.add_argument("--rate", type=float, default=50.0, help="writes a second (50)")
    parser.add_argument(
        "--report", type=Path, default=Path("demo-report"), help="folder of the report"
    )
    parser.add_argument("--keep", action="store_true", help="leave everything running to look at")
    return parser


def _size(text: str) -> int:
    size = int(text)
    if not 1 <= size <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 1000000")
    return size

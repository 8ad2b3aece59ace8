"""The programs of one demo, in the order in which they are started; supervisord runs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from processpilot.demo import nginx
from processpilot.demo.places import PYTHON, Places
from processpilot.postgres.account import launch_for
from processpilot.postgres.binaries import Installation

_APPLICATION = "processpilot.demo.application"


@dataclass(frozen=True, slots=True)
class Program:
    """One program; `retries` is how often a start that fails is tried again."""

    name: str
    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    folder: Path | None = None
    stop_signal: str = "TERM"
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Cast:
    """What one demo runs with: PostgreSQL, writes a second, nginx if there is one.

    With releases the application is started from their work tree, and the load goes through nginx.
    """

    installation: Installation
    rate: float
    nginx: Path | None
    has_releases: bool


def programs_of(places: Places, cast: Cast) -> list[Program]:
    """Return the programs, each after those that it needs."""
    database = {"DATABASE_URL_FILE": str(places.database_url)}
    mail = {**database, "SMTP_URL": f"smtp://127.0.0.1:{places.mail_port}"}
    sink = ("--port", str(places.mail_port), "--file", str(places.mail))
    return [
        _postgres(places, cast.installation),
        Program("mail-sink", _module("processpilot.demo.sink", *sink)),
        _api(places, database, has_releases=cast.has_releases),
        Program("email", _module(f"{_APPLICATION}.mail"), mail),
        Program("analytics", _module(f"{_APPLICATION}.analytics"), database),
        *_frontend(places, cast.nginx),
        Program("processpilot", _module("processpilot", "up", "--plan", str(places.plan))),
        _load(places, cast),
    ]


def _module(name: str, *words: str) -> list[str]:
    return [PYTHON, "-m", name, *words]


def _postgres(places: Places, installation: Installation) -> Program:
    program = str(installation.bin_dir / "postgres")
    argv = [*launch_for(places.data_dir).prefix, program, "-D", str(places.data_dir)]
    return Program("postgres", argv, stop_signal="INT")


def _api(places: Places, database: dict[str, str], *, has_releases: bool) -> Program:
    port = ("--port", str(places.api_port))
    if not has_releases:
        return Program("api", _module(_APPLICATION, *port), database)
    argv = [PYTHON, "serve.py", *port]
    return Program("api", argv, database, folder=places.releases, retries=1)


def _frontend(places: Places, program: Path | None) -> Iterator[Program]:
    if program is not None:
        yield Program("frontend", nginx.command(program, places.front))


def _load(places: Places, cast: Cast) -> Program:
    return Program(
        "load",
        _module(
            f"{_APPLICATION}.load",
            *("--url", places.front.url if cast.has_releases else places.url),
            *("--ledger", str(places.ledger), "--status", str(places.load_status)),
            *("--user", "employee", "--approver", "manager", "--rate", f"{cast.rate:g}"),
            *("--password-file", str(places.user_password)),
        ),
    )

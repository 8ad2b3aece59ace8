"""nginx in front of the application: its program, and its configuration in the demo's folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import processpilot.demo.application as application
from processpilot.errors import NotFoundError
from processpilot.postgres.account import launch_for

_FRONT: Final = Path(__file__).with_name("front")
_STATIC: Final = Path(application.__path__[0]) / "static"
# Debian keeps it where an ordinary account does not look.
_ELSEWHERE: Final = "/usr/sbin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True, slots=True)
class Front:
    """One nginx: its folder, its port, and the port of the API behind it, all on loopback."""

    prefix: Path
    port: int
    api_port: int

    @property
    def url(self) -> str:
        """Where people go."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def maintenance(self) -> Path:
        """While this file exists, everybody is asked to come back later."""
        return self.prefix / "maintenance"

    @property
    def config(self) -> Path:
        """The configuration."""
        return self.prefix / "nginx.conf"


def find_nginx(folders: str | None = None) -> Path | None:
    """Return nginx's program, looked for in folders joined by colons, or None."""
    if folders is None:
        folders = f"{os.environ.get('PATH', '')}:{_ELSEWHERE}"
    found = shutil.which("nginx", path=folders)
    return None if found is None else Path(found)


def require_nginx(folders: str | None = None) -> Path:
    """Return nginx's program, or raise NotFoundError that says how to get it."""
    found = find_nginx(folders)
    if found is None:
        raise NotFoundError(
            "nginx is not installed, and this scenario needs it in front of the application",
            hint="Run `apt install nginx-light`, then start the demo again.",
        )
    return found


def write_config(front: Front) -> None:
    """Create nginx's folder with everything in it."""
    front.prefix.mkdir(mode=0o700, exist_ok=True)
    text = (_FRONT / "nginx.conf").read_text()
    for name, value in {
        "prefix": str(front.prefix),
        "maintenance": str(front.maintenance),
        "pages": str(_FRONT),
        "static": str(_STATIC),
        "port": str(front.port),
        "api-port": str(front.api_port),
    }.items():
        text = text.replace(f"<{name}>", value)
    front.config.write_text(text)


def command(program: Path, front: Front) -> Sequence[str]:
    """Return how nginx is started in the foreground; never as root, whose workers change account.

    As root it gets the user namespace that PostgreSQL gets.
    """
    launch = launch_for(front.prefix)
    arguments = ("-p", str(front.prefix), "-c", str(front.config), "-e", "stderr")
    return [*launch.prefix, str(program), *arguments]

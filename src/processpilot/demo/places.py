"""Where everything of one demo lies, and on which free ports it listens."""

from __future__ import annotations

import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from processpilot.demo.nginx import Front

PYTHON = sys.executable
DATABASE = "processpilot"
SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class Places:
    """The folder of one demo and the ports it uses, all on loopback."""

    folder: Path
    database_port: int
    api_port: int
    front_port: int
    mail_port: int

    @property
    def data_dir(self) -> Path:
        """The cluster that is going to be destroyed."""
        return self.folder / "database"

    @property
    def sockets(self) -> Path:
        """PostgreSQL's socket folder; short, because socket paths are."""
        return self.folder / "s"

    @property
    def supervisor(self) -> Path:
        """supervisord's socket."""
        return self.folder / "s" / "supervisor"

    @property
    def logs(self) -> Path:
        """What every program wrote."""
        return self.folder / "logs"

    @property
    def repository(self) -> Path:
        """Where backups go."""
        return self.folder / "repository"

    @property
    def site(self) -> Path:
        """The folder of the plan."""
        return self.folder / "site"

    @property
    def plan(self) -> Path:
        """The plan that the product works by."""
        return self.site / "processpilot.yaml"

    @property
    def ledger(self) -> Path:
        """The keys of all writes that the application acknowledged."""
        return self.folder / "acknowledged"

    @property
    def load_status(self) -> Path:
        """How many requests the load sent, and what became of them."""
        return self.folder / "load.json"

    @property
    def mail(self) -> Path:
        """What the mail server received."""
        return self.folder / "mail.jsonl"

    @property
    def releases(self) -> Path:
        """The work tree of the application's releases."""
        return self.folder / "release"

    @property
    def front(self) -> Front:
        """nginx in front of the application."""
        return Front(self.folder / "front", self.front_port, self.api_port)

    @property
    def database_password(self) -> Path:
        """A file of mode 0600."""
        return self.folder / "database-password"

    @property
    def database_url(self) -> Path:
        """The application's database address with its password, mode 0600."""
        return self.folder / "database-url"

    @property
    def user_password(self) -> Path:
        """The application's users' password, mode 0600."""
        return self.folder / "user-password"

    @property
    def url(self) -> str:
        """The application's address."""
        return f"http://127.0.0.1:{self.api_port}"


def free_ports(count: int) -> list[int]:
    """Return ports on loopback that nobody listens on now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()

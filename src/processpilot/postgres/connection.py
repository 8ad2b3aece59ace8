"""Reaching a server: addresses that hide their password, connections, client programs.

Vendor exceptions end here: what psycopg raises while connecting or asking becomes
UnavailableError or RefusedError.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from processpilot.errors import RefusedError, UnavailableError, UsageError

CONNECT_TIMEOUT_S = 5

# A server that is frozen, or on a disk that is, accepts connections and never answers.
ANSWER_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens and as whom to log in; the password stays out of every text."""

    conninfo: str
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, dsn: str, password: str | None = None) -> ServerAddress:
        """Return the address in `dsn` (URI or keywords), its password, if any, split off."""
        try:
            parts = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError as error:
            raise UsageError(
                "the connection string is malformed",
                hint="Write it as postgresql://user@host:port/database.",
            ) from error
        if "sslpassword" in parts:
            raise UsageError(
                "the connection string holds sslpassword, which others could read",
                hint="Use a client key without a passphrase that only the account can read.",
            )
        inside = parts.pop("password", None)
        return cls(make_conninfo("", **parts), password if inside is None else str(inside))

    def with_options(self, **options: str | int) -> ServerAddress:
        """Return the same address with connection parameters replaced."""
        return ServerAddress(make_conninfo(self.conninfo, **options), self.password)

    @property
    def shown(self) -> str:
        """The address as people read it, without a secret."""
        parts = conninfo_to_dict(self.conninfo)
        host = parts.get("host") or parts.get("hostaddr") or "local socket"
        return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or ''}"

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection:
        """Return a new connection; UnavailableError when the server cannot be reached."""
        options = {"connect_timeout": str(CONNECT_TIMEOUT_S)} | {
            key: str(value) for key, value in conninfo_to_dict(self.conninfo).items()
        }
        if self.password is not None:
            options["password"] = self.password
        try:
            return psycopg.connect(make_conninfo("", **options), autocommit=autocommit)
        except psycopg.OperationalError as error:
            raise _connect_error(self, error) from error

    @contextmanager
    def session(self, *, limit_s: float | None = ANSWER_LIMIT_S) -> Iterator[psycopg.Connection]:
        """Yield a connection in autocommit, closed afterwards; errors of the server translated.

        After `limit_s` it is cut, so that a frozen server holds nobody: UnavailableError.
        """
        with (
            self.connect() as connection,
            translated(self.shown),
            cut_after(connection, limit_s, self.shown),
        ):
            yield connection

    def environment(self, secrets_dir: Path) -> Mapping[str, str]:
        """Return the environment for a client program; a password goes by a 0600 file, not here."""
        environment = {key: value for key, value in os.environ.items() if key != "PGPASSWORD"}
        environment["PGCONNECT_TIMEOUT"] = str(CONNECT_TIMEOUT_S)
        if self.password is not None:
            escaped = self.password.replace("\\", "\\\\").replace(":", "\\:")
            secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = secrets_dir / "pgpass"
            temporary = secrets_dir / f".pgpass.{os.getpid()}"
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"*:*:*:*:{escaped}\n")
            temporary.replace(path)
            environment["PGPASSFILE"] = str(path)
        return environment


def _connect_error(address: ServerAddress, error: psycopg.OperationalError) -> Exception:
    text = " ".join(str(error).partition("\n\t")[0].split())
    if address.password:
        text = text.replace(address.password, "***")
    if "password authentication failed" in text or "no password supplied" in text:
        return RefusedError(
            f"{address.shown} refuses the login",
            hint="Check database.dsn and the file that database.password names.",
        )
    return UnavailableError(
        f"cannot connect to {address.shown}: {text}",
        hint="Check that the server runs and that the address is right.",
        transient=True,
    )


@contextmanager
def cut_after(connection: psycopg.Connection, limit_s: float | None, shown: str) -> Iterator[None]:
    """Cut `connection` when the block takes longer than `limit_s`, and raise UnavailableError.

    None sets no limit.
    """
    if limit_s is None:
        yield
        return
    link = socket.socket(fileno=os.dup(connection.fileno()))
    fired = threading.Event()

    def cut() -> None:
        fired.set()
        with suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(limit_s, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except psycopg.OperationalError as error:
        if not fired.is_set():
            raise
        raise UnavailableError(
            f"{shown} accepted the connection and did not answer within {limit_s:g} s",
            hint="The server or its disk may be frozen; look on that machine.",
            transient=True,
        ) from error
    finally:
        timer.cancel()
        link.close()


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """Translate what psycopg raises inside the block; `shown` names the server."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise RefusedError(
            f"{shown} denies it: {_primary(error)}",
            hint="Use a superuser, or a role with REPLICATION that is a member of pg_monitor "
            "and may execute pg_backup_start and pg_backup_stop.",
        ) from error
    except psycopg.OperationalError as error:
        raise UnavailableError(
            f"the connection to {shown} failed: {_primary(error)}", transient=True
        ) from error
    except psycopg.Error as error:
        raise UnavailableError(f"{shown} answered: {_primary(error)}") from error


def _primary(error: psycopg.Error) -> str:
    return error.diag.message_primary or " ".join(str(error).split()) or type(error).__name__


def database_of(address: ServerAddress) -> str:
    """Return the name of the database an address leads to."""
    parts = conninfo_to_dict(address.conninfo)
    return str(parts.get("dbname") or parts.get("user") or "postgres")


def listener_of(address: ServerAddress) -> str | None:
    """Return the host and port, or socket, that still accepts connections; None when refused.

    UnavailableError when that cannot be found out: no answer is not a refusal.
    """
    parts = conninfo_to_dict(address.conninfo)
    port = int(parts.get("port") or 5432)
    for host in str(parts.get("hostaddr") or parts.get("host") or "/tmp").split(","):  # noqa: S108
        try:
            if host.startswith("/"):
                shown = f"{host}/.s.PGSQL.{port}"
                with socket.socket(socket.AF_UNIX) as link:
                    link.settimeout(CONNECT_TIMEOUT_S)
                    link.connect(shown)
            else:
                shown = f"{host}:{port}"
                socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
        except (ConnectionRefusedError, FileNotFoundError):
            continue
        except OSError as error:
            raise UnavailableError(
                f"{shown} neither accepts nor refuses: {error}",
                hint="Unreachable is not dead; find out on that machine, then retry.",
            ) from error
        return shown
    return None

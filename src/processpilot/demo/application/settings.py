"""How the application is told where its database is; it opens no connection."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from processpilot.demo.application.errors import SettingsError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 5000
UNRELEASED = "unreleased"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the environment decides; the address may hold a password and is not printed."""

    database_url: str = field(repr=False)
    port: int = DEFAULT_PORT
    release: str = UNRELEASED


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings found in DATABASE_URL or DATABASE_URL_FILE, PORT and RELEASE.

    Raises SettingsError if none or both of the first two are set, or if the file can be read by
    other accounts.
    """
    direct = environment.get("DATABASE_URL")
    file_name = environment.get("DATABASE_URL_FILE")
    if bool(direct) == bool(file_name):
        raise SettingsError("exactly one of DATABASE_URL and DATABASE_URL_FILE must be set")
    address = direct or read_secret_file(Path(file_name or ""))
    parse_address(address)
    port = _port(environment.get("PORT", str(DEFAULT_PORT)))
    return Settings(address, port, environment.get("RELEASE", UNRELEASED))


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in."""

    host: str
    port: int


def read_mail_server(environment: Mapping[str, str]) -> MailServer:
    """Return what SMTP_URL names, as smtp://host:port; SettingsError for anything else."""
    text = environment.get("SMTP_URL", "")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        port = None
    if port is None or parts.scheme != "smtp" or not parts.hostname or parts.username:
        raise SettingsError("SMTP_URL must be set to smtp://host:port")
    return MailServer(parts.hostname, port)


def read_secret_file(path: Path) -> str:
    """Return the stripped text of a file that only its owner can read (mode 0600 or stricter)."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise SettingsError(f"{path} has mode {mode:04o}; it must be 0600")
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from error


def parse_address(text: str) -> URL:
    """Return the database address as a value; the message of a refusal does not repeat it."""
    try:
        address = make_url(text)
    except ArgumentError as error:
        raise SettingsError("the database address is not a URL") from error
    if address.get_backend_name() not in ("postgresql", "postgres"):
        raise SettingsError(f"unsupported database {address.get_backend_name()!r}, not postgresql")
    return address


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise SettingsError(f"PORT is {text!r}, not a number from 1 to 65535")
    return int(text)

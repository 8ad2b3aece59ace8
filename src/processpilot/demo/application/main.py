"""The command line: `--migrate` brings the tables up to date, otherwise the application serves."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from processpilot.demo.application.api.app import create_app
from processpilot.demo.application.database import Database
from processpilot.demo.application.errors import ApplicationError
from processpilot.demo.application.migrate import migrate
from processpilot.demo.application.settings import DEFAULT_HOST, read_settings

SHUTDOWN_GRACE_S: Final = 3


def main(
    arguments: Sequence[str] | None = None, extend: Callable[[ASGIApp], ASGIApp] | None = None
) -> int:
    """Return the exit status: 0, or 1 after a message on standard error.

    A release may wrap the web application with what it adds.
    """
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings(os.environ)
        database = Database(settings.database_url)
        if options.migrate:
            migrate(database)
            return 0
    except ApplicationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    app: ASGIApp = create_app(database, settings.release)
    uvicorn.run(
        app if extend is None else extend(app),
        host=options.host,
        port=settings.port if options.port is None else options.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m processpilot.demo.application",
        description="A workflow and approval engine. The database's address is read from "
        "DATABASE_URL, or from the 0600 file that DATABASE_URL_FILE names.",
    )
    parser.add_argument("--migrate", action="store_true", help="create or update the tables, end")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; otherwise PORT, or 5000")
    return parser

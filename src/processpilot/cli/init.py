"""`processpilot init`: inspect the server, make the repository, its keys and the plan."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from processpilot.agent.setup import SetupRequest, set_up
from processpilot.cli.frame import (
    DEFAULT_PLAN,
    JsonOption,
    PlanOption,
    errors_told,
    out,
    print_json,
)
from processpilot.errors import UsageError


def init(
    dsn: Annotated[str, typer.Option(help="postgresql://user@host:port/database")],
    repo: Annotated[str, typer.Option(help="A folder, or s3://bucket/prefix.")],
    plan: PlanOption = DEFAULT_PLAN,
    as_json: JsonOption = False,
    name: Annotated[str | None, typer.Option(help="The application's name.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The data directory, if it can be read here.")
    ] = None,
    synchronous: Annotated[
        bool, typer.Option("--synchronous", help="Commits wait until the log is received.")
    ] = False,
    heartbeat: Annotated[
        bool | None,
        typer.Option(
            "--heartbeat/--no-heartbeat",
            help="Allow a schema 'processpilot' with one row, renewed every second.",
        ),
    ] = None,
    endpoint: Annotated[str | None, typer.Option(help="S3: the endpoint's address.")] = None,
    region: Annotated[str | None, typer.Option(help="S3: the region.")] = None,
    access_key: Annotated[str | None, typer.Option(help="S3: file:PATH or env:NAME.")] = None,
    secret_key: Annotated[str | None, typer.Option(help="S3: file:PATH or env:NAME.")] = None,
    allow_http: Annotated[bool, typer.Option(help="S3: plain http is allowed.")] = False,
) -> None:
    """Inspect a server, create the repository and its keys, and write the plan."""
    with errors_told(as_json=as_json):
        allowed = _ask_heartbeat() if heartbeat is None else heartbeat
        options = {
            "endpoint": endpoint,
            "region": region,
            "access_key": access_key,
            "secret_key": secret_key,
            "allow_http": allow_http or None,
        }
        storage = {key: value for key, value in options.items() if value is not None}
        request = SetupRequest(
            plan.absolute(), dsn, repo, name, data_dir, synchronous, allowed, storage
        )
        done = set_up(request)
    if as_json:
        print_json(done)
        return
    for line in done.found:
        out(f"  {line}")
    out()
    out(f"wrote {done.plan}")
    out(f"made the repository {done.repository}")
    out(f"the operator key is {done.operator_key}")
    out(f"THE ESCROW KEY IS {done.escrow_key}: move it to a safe place off this machine.")
    for line in done.unknown:
        out(f"could not know: {line}")
    out()
    out("Next: processpilot backup create; processpilot key check --key ESCROW-FILE;")
    out("      processpilot check; processpilot up")


def _ask_heartbeat() -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "nobody is there to say whether a heartbeat row may be written to the database",
            hint="Give --heartbeat (data loss is then measured) or --no-heartbeat (then bounded).",
        )
    return typer.confirm(
        "May ProcessPilot keep one row in a schema of its own in the database, to measure data "
        "loss?",
        default=True,
        err=True,
    )

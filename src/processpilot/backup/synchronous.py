"""Synchronous protection: commits wait for the receiver, as long as there is one.

`synchronous_standby_names` names the receiver only while it streams. When it is away for longer
than the grace period the wait is lifted, and somebody writes down that protection was less.
"""

from __future__ import annotations

import psycopg

from processpilot.backup.receiver import APPLICATION_NAME
from processpilot.errors import RefusedError
from processpilot.postgres.connection import ServerAddress

_SETTING = "synchronous_standby_names"


def check_synchronous(connection: psycopg.Connection) -> None:
    """Raise RefusedError when the server's settings do not allow synchronous protection."""
    row = connection.execute(
        "select current_setting('synchronous_commit'), current_setting(%s),"
        " (select rolsuper from pg_roles where rolname = current_user)",
        [_SETTING],
    ).fetchone()
    assert row is not None
    if row[0] == "remote_apply":
        raise RefusedError(
            "synchronous_commit is remote_apply, which a receiver can never confirm",
            hint="Run ALTER SYSTEM SET synchronous_commit = on; or choose asynchronous.",
        )
    if row[1] not in ("", APPLICATION_NAME):
        raise RefusedError(
            f'{_SETTING} is "{row[1]}", which is not ours to change',
            hint="Choose protection.mode asynchronous, or remove the setting.",
        )
    if not row[2]:
        raise RefusedError(
            "synchronous protection needs a superuser login, to lift it when the receiver is away",
            hint="Choose protection.mode asynchronous, or another login in database.dsn.",
        )


def require_receiver(address: ServerAddress, *, on: bool) -> None:
    """Make commits wait for the receiver, or stop that; in force on return for new commits.

    Commits that wait already are let go at once when `on` is False.
    """
    value = APPLICATION_NAME if on else ""
    with address.session() as connection:
        row = connection.execute("select current_setting(%s)", [_SETTING]).fetchone()
        if row is not None and row[0] == value:
            return
        connection.execute(f"alter system set {_SETTING} = '{value}'".encode())
        connection.execute("select pg_reload_conf()")


def requires_receiver(connection: psycopg.Connection) -> bool:
    """Return whether commits wait for the receiver now."""
    row = connection.execute("select current_setting(%s)", [_SETTING]).fetchone()
    return row is not None and row[0] == APPLICATION_NAME

"""Fills the application's database to a wished size with plausible requests, fast.

`python -m processpilot.demo.application.seed --size-mb 300 --password-file FILE`. Users are
named after their function. Bodies are random bytes, so that neither PostgreSQL nor a backup
compresses them away.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from processpilot.demo.application.errors import ApplicationError
from processpilot.demo.application.passwords import hash_password
from processpilot.demo.application.settings import (
    parse_address,
    read_secret_file,
    read_settings,
)

Progress = Callable[[int, int], None]

USERS: Final = ("employee", "manager", "finance", "admin")
REQUESTER: Final = "employee"
SPREAD_DAYS: Final = 400
BATCH_BYTES: Final = 16 * 1024 * 1024
SMALLEST_BATCH_BYTES: Final = 512 * 1024
# What a request takes besides its body: its row, steps, history and their index entries. A
# guess that only sizes batches; when to end is measured.
OVERHEAD_BYTES: Final = 900
BODY_BYTES: Final = (1500, 4500, 9000, 18000)
MEAN_BODY_BYTES: Final = 4 * sum(BODY_BYTES) // len(BODY_BYTES) // 3

TITLES: Final = {
    "leave": ("Annual leave", "Parental leave", "Unpaid leave", "Training days", "Moving day"),
    "expenses": ("Train to a customer", "Hotel for a fair", "Team lunch", "Conference ticket"),
    "equipment": ("Laptop", "Second screen", "Desk lamp", "Headset", "Standing desk"),
}
NOTES: Final = (
    "As agreed in the last planning meeting.",
    "Please decide before the end of the month.",
    "The receipt is attached.",
    "Replaces the one that broke.",
    "My deputy knows and has agreed.",
)
STATES: Final = ("approved", "rejected", "pending")
STATE_WEIGHTS: Final = (75, 15, 10)

COPY_REQUESTS: Final = """
    COPY requests
        (id, request_type_id, requester_id, title, amount, state, body, created_at, updated_at)
    FROM STDIN
"""

STEPS_OF_REQUESTS: Final = """
    INSERT INTO approval_steps (request_id, position, role_id, state, decided_by, decided_at)
    SELECT r.id, p.position, p.role_id, s.state,
           CASE WHEN s.decided THEN decider.id END,
           CASE WHEN s.decided THEN r.created_at + p.position * interval '1 hour' END
    FROM requests r
    JOIN approval_paths p ON p.request_type_id = r.request_type_id
    JOIN roles ON roles.id = p.role_id
    JOIN users decider ON decider.name = roles.name
    CROSS JOIN LATERAL (SELECT
        CASE WHEN r.state = 'pending' THEN 'waiting'
             WHEN r.state = 'approved' THEN 'approved'
             WHEN p.position = 1 THEN 'rejected'
             ELSE 'cancelled' END AS state,
        r.state = 'approved' OR (r.state = 'rejected' AND p.position = 1) AS decided
    ) s
    WHERE r.id = ANY(%(ids)s)
    ORDER BY r.id, p.position
"""

HISTORY_OF_REQUESTS: Final = """
    INSERT INTO history (request_id, actor_id, event, position, created_at)
    SELECT * FROM (
        SELECT id, requester_id, 'created', NULL::smallint, created_at
        FROM requests WHERE id = ANY(%(ids)s)
        UNION ALL
        SELECT request_id, decided_by, 'step_' || state, position, decided_at
        FROM approval_steps WHERE request_id = ANY(%(ids)s) AND decided_by IS NOT NULL
        UNION ALL
        SELECT last.request_id, last.decided_by, last.state, NULL, last.decided_at
        FROM (
            SELECT DISTINCT ON (request_id) request_id, decided_by, state, decided_at
            FROM approval_steps WHERE request_id = ANY(%(ids)s) AND decided_by IS NOT NULL
            ORDER BY request_id, position DESC
        ) last
    ) entries
    ORDER BY 1, 5, 4 NULLS LAST
"""


@dataclass(frozen=True, slots=True)
class Reference:
    """What seeded rows point to, and the server's time that they end at."""

    type_ids: dict[str, int]
    requester_id: int
    now: datetime


def seed(
    database_url: str,
    size_bytes: int,
    progress: Progress,
    *,
    password: str,
    source: random.Random,
) -> int:
    """Fill the migrated database until it is about `size_bytes` large; return the size reached.

    Creates the users, or gives existing ones the password. `progress` is called after every
    committed batch with the bytes reached and wished. A database that is already larger gets
    the users only.
    """
    address = parse_address(database_url).set(drivername="postgresql")
    with psycopg.connect(address.render_as_string(hide_password=False)) as connection:
        create_users(connection, password)
        reference = _reference(connection)
        connection.commit()
        reached = database_bytes(connection)
        while reached < size_bytes:
            wished = min(BATCH_BYTES, max(SMALLEST_BATCH_BYTES, size_bytes - reached))
            _add_batch(connection, reference, source, wished)
            connection.commit()
            reached = database_bytes(connection)
            progress(reached, size_bytes)
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE requests, approval_steps, history")
    return reached


def create_users(connection: psycopg.Connection[Any], password: str) -> None:
    """Create one user per function, all with this password; the transaction is the caller's."""
    for name in USERS:
        connection.execute(
            "INSERT INTO users (name, password_hash) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET password_hash = excluded.password_hash",
            (name, hash_password(password)),
        )
    connection.execute(
        "INSERT INTO user_roles (user_id, role_id)"
        " SELECT u.id, r.id FROM users u JOIN roles r ON r.name = u.name WHERE u.name = ANY(%s)"
        " ON CONFLICT DO NOTHING",
        (list(USERS),),
    )


def database_bytes(connection: psycopg.Connection[Any]) -> int:
    """Return the size of the connected database on disk."""
    row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def _reference(connection: psycopg.Connection[Any]) -> Reference:
    types = connection.execute("SELECT name, id FROM request_types").fetchall()
    row = connection.execute("SELECT id, now() FROM users WHERE name = %s", (REQUESTER,)).fetchone()
    assert row is not None
    return Reference(dict(types), row[0], row[1])


def _add_batch(
    connection: psycopg.Connection[Any],
    reference: Reference,
    source: random.Random,
    wished_bytes: int,
) -> None:
    count = max(1, wished_bytes // (MEAN_BODY_BYTES + OVERHEAD_BYTES))
    rows = connection.execute(
        "SELECT nextval(pg_get_serial_sequence('requests', 'id')) FROM generate_series(1, %s)",
        (count,),
    )
    ids = [row[0] for row in rows]
    with connection.cursor() as cursor, cursor.copy(COPY_REQUESTS) as copy:
        for request_id in ids:
            copy.write_row((request_id, *_request_row(reference, source)))
    connection.execute(STEPS_OF_REQUESTS, {"ids": ids})
    connection.execute(HISTORY_OF_REQUESTS, {"ids": ids})


def _request_row(reference: Reference, source: random.Random) -> tuple[object, ...]:
    kind = source.choice(tuple(TITLES))
    created_at = reference.now - timedelta(seconds=source.uniform(86400, SPREAD_DAYS * 86400))
    return (
        reference.type_ids[kind],
        reference.requester_id,
        source.choice(TITLES[kind]),
        None if kind == "leave" else f"{source.uniform(5, 3000):.2f}",
        source.choices(STATES, STATE_WEIGHTS)[0],
        _body(source),
        created_at,
        created_at,
    )


def _body(source: random.Random) -> str:
    content = base64.b64encode(source.randbytes(source.choice(BODY_BYTES))).decode("ascii")
    attachments = [{"name": "receipt.jpg", "content": content}]
    return json.dumps({"notes": source.choice(NOTES), "attachments": attachments})


def main(arguments: Sequence[str] | None = None) -> int:
    """Seed the database of the environment's settings; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m processpilot.demo.application.seed")
    parser.add_argument("--size-mb", type=int, required=True, help="database size, in 10^6 bytes")
    parser.add_argument("--password-file", type=Path, required=True, help="the users' password")
    parser.add_argument("--random-seed", type=int, default=1, help="same seed, same requests")
    options = parser.parse_args(arguments)
    try:
        seed(
            read_settings(os.environ).database_url,
            options.size_mb * 1_000_000,
            lambda reached, wished: None,
            password=read_secret_file(options.password_file),
            source=random.Random(options.random_seed),  # noqa: S311 - not a secret
        )
    except (ApplicationError, psycopg.Error) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

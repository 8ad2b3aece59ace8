"""Which blocks changed since the last backup, as the server's own WAL summaries tell.

PostgreSQL 17 and newer, with `summarize_wal` on, keeps for every stretch of log the blocks that it
changed, and from which block on a relation was truncated or made anew (manual, "WAL Summarization
Information Functions"; src/backend/postmaster/walsummarizer.c, PostgreSQL 17 and 18). A relation
number of 0 stands for a whole database that was made by copying files. Summaries say nothing of
free space maps and of files that are no relations. Whenever anything is doubtful the answer is
None, and everything is read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

import numpy as np
import psycopg

from processpilot.backup.changes import Changes, Fork
from processpilot.clock import Clock
from processpilot.postgres.lsn import Lsn

FIRST_MAJOR = 17

_WAIT_S = 20.0
_POLL_S = 0.1


def read_changes(
    connection: psycopg.Connection, timeline: int, since: Lsn, until: Lsn, clock: Clock
) -> Changes | None:
    """Return what changed from `since` to `until` on one timeline, or None when it is not known.

    The summarizer may be a moment behind; it is waited for.
    """
    if connection.info.server_version // 10_000 < FIRST_MAJOR:
        return None
    try:
        if _setting(connection) != "on" or not _caught_up(connection, until, clock):
            return None
        rows = connection.execute(
            "select tli, start_lsn::text, end_lsn::text from pg_available_wal_summaries()"
        ).fetchall()
        wanted = covering(
            [(int(r[0]), Lsn.parse(r[1]), Lsn.parse(r[2])) for r in rows], timeline, since, until
        )
        return None if wanted is None else _contents(connection, timeline, wanted)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFile):
        return None


def _setting(connection: psycopg.Connection) -> str:
    row = connection.execute("select current_setting('summarize_wal', true)").fetchone()
    return "" if row is None else str(row[0])


def _caught_up(connection: psycopg.Connection, until: Lsn, clock: Clock) -> bool:
    deadline = clock.monotonic() + _WAIT_S
    while True:
        row = connection.execute(
            "select summarized_lsn::text from pg_get_wal_summarizer_state()"
        ).fetchone()
        if row is not None and row[0] is not None and Lsn.parse(str(row[0])) >= until:
            return True
        if clock.monotonic() > deadline:
            return False
        clock.sleep(_POLL_S)


def covering(
    summaries: Iterable[tuple[int, Lsn, Lsn]], timeline: int, since: Lsn, until: Lsn
) -> list[tuple[Lsn, Lsn]] | None:
    """Return the summaries (begin, end) that cover `since` to `until` without a hole, or None."""
    chosen = []
    reached = since
    for begin, end in sorted((b, e) for t, b, e in summaries if t == timeline):
        if end <= since or begin >= until:
            continue
        if begin > reached:
            return None
        chosen.append((begin, end))
        reached = max(reached, end)
    return chosen if reached >= until else None


def _contents(
    connection: psycopg.Connection, timeline: int, summaries: Collection[tuple[Lsn, Lsn]]
) -> Changes:
    blocks: dict[Fork, list[int]] = defaultdict(list)
    limits: dict[Fork, int] = {}
    for begin, end in summaries:
        rows = connection.execute(
            "select reltablespace::bigint, reldatabase::bigint, relfilenode::bigint,"
            " relforknumber, relblocknumber, is_limit_block"
            " from pg_wal_summary_contents(%s, %s::pg_lsn, %s::pg_lsn)",
            [timeline, str(begin), str(end)],
        )
        for space, database, relation, number, block, is_limit in rows:
            fork = Fork(int(space), int(database), int(relation), int(number))
            if is_limit:
                limits[fork] = min(limits.get(fork, int(block)), int(block))
            else:
                blocks[fork].append(int(block))
    arrays = {fork: np.unique(np.array(found, np.int64)) for fork, found in blocks.items()}
    return Changes(arrays, limits)

"""Figures over requests, kept up to date by adding what history gained; `analytics` runs it.

Invariant: the rollups say what history written by transactions below the watermark says. A
transaction below the oldest one still running has ended, so nothing can appear below it any more;
identities would not do, because they are given out before COMMIT and not in its order.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

_MARK: Final = text("SELECT watermark FROM rollup_progress FOR UPDATE")
_SAFE: Final = text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_ANY: Final = text(
    "SELECT EXISTS (SELECT FROM history WHERE written_by >= :mark AND written_by < :safe)"
)
_COUNT: Final = text(
    """
    WITH fresh AS (
        SELECT (r.created_at AT TIME ZONE 'UTC')::date AS day, r.request_type_id, h.event
        FROM history h JOIN requests r ON r.id = h.request_id
        WHERE h.written_by >= :mark AND h.written_by < :safe
          AND h.event IN ('created', 'approved', 'rejected')
    ), changes AS (
        SELECT day, request_type_id, 'pending' AS state,
               CASE event WHEN 'created' THEN 1 ELSE -1 END AS n
        FROM fresh
        UNION ALL
        SELECT day, request_type_id, event, 1 FROM fresh WHERE event <> 'created'
    )
    INSERT INTO request_rollups (day, request_type_id, state, requests)
    SELECT day, request_type_id, state, sum(n) FROM changes GROUP BY 1, 2, 3
    ON CONFLICT (day, request_type_id, state)
    DO UPDATE SET requests = request_rollups.requests + excluded.requests
    """
)
_NO_ZEROS: Final = text("DELETE FROM request_rollups WHERE requests = 0")
_MEASURE: Final = text(
    """
    INSERT INTO decision_rollups AS known
        (day, request_type_id, state, decisions, latency_s, slowest_s)
    SELECT (h.created_at AT TIME ZONE 'UTC')::date, r.request_type_id, h.event, count(*),
           sum(extract(epoch FROM h.created_at - r.created_at)),
           max(extract(epoch FROM h.created_at - r.created_at))
    FROM history h JOIN requests r ON r.id = h.request_id
    WHERE h.written_by >= :mark AND h.written_by < :safe AND h.event IN ('approved', 'rejected')
    GROUP BY 1, 2, 3
    ON CONFLICT (day, request_type_id, state) DO UPDATE SET
        decisions = known.decisions + excluded.decisions,
        latency_s = known.latency_s + excluded.latency_s,
        slowest_s = greatest(known.slowest_s, excluded.slowest_s)
    """
)
_SET_MARK: Final = text("UPDATE rollup_progress SET watermark = :safe")
_DIFFERENT_REQUESTS: Final = text(
    """
    WITH asked AS (
        SELECT (created_at AT TIME ZONE 'UTC')::date AS day, request_type_id, state, count(*) AS n
        FROM requests GROUP BY 1, 2, 3
    ), kept AS (SELECT day, request_type_id, state, requests AS n FROM request_rollups)
    SELECT count(*) FROM (
        (TABLE asked EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE asked)
    ) different
    """
)
_DIFFERENT_DECISIONS: Final = text(
    """
    WITH asked AS (
        SELECT (s.decided_at AT TIME ZONE 'UTC')::date AS day, r.request_type_id, r.state,
               count(*) AS n, sum(extract(epoch FROM s.decided_at - r.created_at)) AS total_s,
               max(extract(epoch FROM s.decided_at - r.created_at)) AS most_s
        FROM requests r
        JOIN LATERAL (SELECT max(decided_at) AS decided_at FROM approval_steps
                      WHERE request_id = r.id) s ON r.state <> 'pending'
        GROUP BY 1, 2, 3
    ), kept AS (
        SELECT day, request_type_id, state, decisions, latency_s, slowest_s FROM decision_rollups
    )
    SELECT count(*) FROM (
        (TABLE asked EXCEPT TABLE kept) UNION ALL (TABLE kept EXCEPT TABLE asked)
    ) different
    """
)


def advance(session: Session) -> int:
    """Add what history gained since the watermark; return the new watermark.

    A watermark beyond the server's own transactions came from another server, as rows loaded from
    a dump do; then everything is counted anew.
    """
    _without_limit(session)
    mark = int(session.scalar(_MARK) or 0)
    safe = int(session.scalar(_SAFE) or 0)
    if mark > safe:
        _empty(session)
        mark = 0
    between = {"mark": mark, "safe": safe}
    if session.scalar(_ANY, between):
        session.execute(_COUNT, between)
        session.execute(_NO_ZEROS)
        session.execute(_MEASURE, between)
    session.execute(_SET_MARK, {"safe": safe})
    return safe


def rebuild(session: Session) -> int:
    """Count everything anew, whatever the rollups say; return the watermark."""
    _without_limit(session)
    session.execute(_MARK)
    _empty(session)
    return advance(session)


def differences(session: Session) -> int:
    """Return how many figures differ from what requests and their steps say now.

    While changes go on, or are newer than the watermark, there are differences that mean nothing.
    """
    _without_limit(session)
    requests = session.scalar(_DIFFERENT_REQUESTS) or 0
    return int(requests + (session.scalar(_DIFFERENT_DECISIONS) or 0))


def _empty(session: Session) -> None:
    session.execute(text("DELETE FROM request_rollups"))
    session.execute(text("DELETE FROM decision_rollups"))
    session.execute(text("UPDATE rollup_progress SET watermark = 0"))


def _without_limit(session: Session) -> None:
    session.execute(text("SET LOCAL statement_timeout = 0"))

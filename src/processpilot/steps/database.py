"""How the running database is, and whether its data is whole: as steps, and for a person who asks.

Health is looked at while things may be broken, so what it finds fails no step: it is the result.
Data that is not whole, or was not read to its end, fails the step that verifies it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
from psycopg.conninfo import conninfo_to_dict

from processpilot.checks.database import DatabaseChecks
from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError
from processpilot.postgres.connection import ServerAddress
from processpilot.runbook.action import NotHappened, ProbeAnswer, Result, StepContext
from processpilot.steps.checklist import checks_json, require_passed
from processpilot.steps.ground import StepGround

VERIFY_LIMIT_S = 600.0
CONNECTIONS_ALLOWED = 0.9
TRANSACTION_AGE_ALLOWED_S = 3600.0
HEARTBEAT_AGE_ALLOWED_S = 30.0
SLOT_LAG_ALLOWED_BYTES = 1 << 30
_LIMIT_S = 30.0

_CONNECTIONS = """
select count(*), current_setting('max_connections')::int from pg_stat_activity
where backend_type = 'client backend'
"""
_OLDEST = """
select extract(epoch from clock_timestamp() - min(xact_start))::float8 from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid()
"""
_SLOTS = """
select slot_name, active, coalesce(wal_status, 'unknown'),
  pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn()
                       else pg_current_wal_lsn() end, restart_lsn)::bigint
from pg_replication_slots order by slot_name
"""
_STANDBYS = """
select coalesce(application_name, 'standby'), state,
  pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint
from pg_stat_replication where not pg_is_in_recovery() order by 1
"""
_SIZES = """
select datname, pg_database_size(oid) from pg_database
where datallowconn and has_database_privilege(oid, 'connect') order by datname
"""
_CHECKSUMS = """
select current_setting('data_checksums') = 'on', coalesce(sum(checksum_failures), 0)::bigint
from pg_stat_database
"""
_HEARTBEAT = """
select extract(epoch from clock_timestamp() - max(beat_at))::float8 from processpilot.heartbeat
"""

Finding = Callable[[psycopg.Connection], Iterator[CheckResult]]


def database_health(address: ServerAddress) -> list[CheckResult]:
    """Return how the server is; one that does not answer fails the first check, alone."""
    found: list[CheckResult] = []
    try:
        with read_only(address).session(limit_s=_LIMIT_S) as connection:
            version = connection.info.parameter_status("server_version") or "unknown"
            found.append(
                passed_if("database connection", True, "an answer", f"PostgreSQL {version}")
            )
            for name, look in _FINDINGS:
                found += _looked(name, look, connection)
    except ProcessPilotError as error:
        failed = passed_if("database connection", False, "an answer", error.message)
        return [*found, failed] if found else [failed]
    return found


def verify_data(address: ServerAddress, clock: Clock, limit_s: float) -> list[CheckResult]:
    """Return whether the running server's data is whole; what `limit_s` cut off is unknown."""
    return DatabaseChecks(read_only(address), clock, limit_s).run()


def read_only(address: ServerAddress) -> ServerAddress:
    """Return the address with sessions in which nothing can be written."""
    given = str(conninfo_to_dict(address.conninfo).get("options") or "")
    return address.with_options(options=f"{given} -c default_transaction_read_only=on".strip())


class DatabaseHealth:
    """Asks the database how it is."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Asking again changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return every finding, and whether all of them are well."""
        checks = database_health(self._ground.address)
        bad = [c for c in checks if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
        return {"healthy": not bad, "checks": checks_json(checks)}


class VerifyData:
    """Reads every table and index of the running database, within the step's time box."""

    def __init__(self, ground: StepGround) -> None:
        self._ground = ground

    def probe(self, context: StepContext) -> ProbeAnswer:
        """Reading again changes nothing."""
        return NotHappened()

    def execute(self, context: StepContext) -> Result:
        """Return every check; StepFailedError when one failed or was not finished in time."""
        limit_s = context.spec.timebox_s or VERIFY_LIMIT_S
        checks = verify_data(self._ground.address, self._ground.clock, limit_s)
        require_passed("the data", checks)
        return {"checks": checks_json(checks)}


def _looked(name: str, look: Finding, connection: psycopg.Connection) -> list[CheckResult]:
    """Return what a look found; one that the server refuses is unknown."""
    try:
        return list(look(connection))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        why = error.diag.message_primary or type(error).__name__
        return [CheckResult(name, Outcome.UNKNOWN, "an answer", "refused", why)]


def _recovery(connection: psycopg.Connection) -> Iterator[CheckResult]:
    recovering = _row(connection, "select pg_is_in_recovery()")[0]
    actual = "in recovery, read-only" if recovering else "no"
    yield passed_if("in recovery", not recovering, "no", actual)


def _connections(connection: psycopg.Connection) -> Iterator[CheckResult]:
    used, most = _row(connection, _CONNECTIONS)
    assert isinstance(used, int)
    assert isinstance(most, int)
    allowed = int(most * CONNECTIONS_ALLOWED)
    expected = f"at most {allowed} of {most}"
    yield passed_if("connections", used <= allowed, expected, f"{used} of {most}")


def _transactions(connection: psycopg.Connection) -> Iterator[CheckResult]:
    age_s = _row(connection, _OLDEST)[0]
    seconds = age_s if isinstance(age_s, float) else 0.0
    yield passed_if(
        "oldest transaction",
        seconds <= TRANSACTION_AGE_ALLOWED_S,
        f"at most {TRANSACTION_AGE_ALLOWED_S:g} s old",
        "none" if age_s is None else f"{seconds:.0f} s old",
    )


def _slots(connection: psycopg.Connection) -> Iterator[CheckResult]:
    for name, active, status, behind in connection.execute(_SLOTS).fetchall():
        kept = status in ("reserved", "extended") and (behind or 0) <= SLOT_LAG_ALLOWED_BYTES
        state = "active" if active else "inactive"
        actual = f"{state}, {status}, {behind or 0} bytes behind"
        expected = f"its log kept, at most {SLOT_LAG_ALLOWED_BYTES} bytes behind"
        yield passed_if(f"replication slot {name}", kept, expected, actual)


def _standbys(connection: psycopg.Connection) -> Iterator[CheckResult]:
    for name, state, behind in connection.execute(_STANDBYS).fetchall():
        actual = f"{state}, {'unknown' if behind is None else behind} bytes behind"
        # A receiver of log replays nothing; that it streams is all there is to say.
        yield passed_if(f"replication to {name}", state == "streaming", "streaming", actual)


def _sizes(connection: psycopg.Connection) -> Iterator[CheckResult]:
    for name, size_bytes in connection.execute(_SIZES).fetchall():
        yield passed_if(f"size of {name}", True, "a size", f"{size_bytes} bytes")


def _checksums(connection: psycopg.Connection) -> Iterator[CheckResult]:
    enabled, failures = _row(connection, _CHECKSUMS)
    if not enabled:
        yield CheckResult(
            "page checksums", Outcome.SKIPPED, "no failures", "not looked at", "they are disabled"
        )
        return
    yield passed_if("page checksums", failures == 0, "no failures", f"{failures} failures")


def _heartbeat(connection: psycopg.Connection) -> Iterator[CheckResult]:
    if _row(connection, "select to_regclass('processpilot.heartbeat')::text")[0] is None:
        return
    age_s = _row(connection, _HEARTBEAT)[0]
    fresh = isinstance(age_s, float) and age_s <= HEARTBEAT_AGE_ALLOWED_S
    actual = f"{age_s:.1f} s old" if isinstance(age_s, float) else "none"
    yield passed_if("heartbeat", fresh, f"at most {HEARTBEAT_AGE_ALLOWED_S:g} s old", actual)


_FINDINGS: tuple[tuple[str, Finding], ...] = (
    ("in recovery", _recovery),
    ("connections", _connections),
    ("oldest transaction", _transactions),
    ("replication slots", _slots),
    ("replication", _standbys),
    ("sizes", _sizes),
    ("page checksums", _checksums),
    ("heartbeat", _heartbeat),
)


def _row(connection: psycopg.Connection, query: str) -> tuple[object, ...]:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return tuple(row)

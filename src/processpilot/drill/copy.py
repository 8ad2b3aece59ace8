"""The recovered copy: its files examined, its server started, its data proven."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from processpilot.checks.ask import ask_sql
from processpilot.checks.database import DatabaseChecks
from processpilot.checks.pages import check_pages
from processpilot.checks.result import CheckResult, passed_if
from processpilot.clock import Clock
from processpilot.drill.steps import sql_questions
from processpilot.errors import ProcessPilotError
from processpilot.journal.event import JsonValue
from processpilot.plan.model import Plan
from processpilot.postgres.cluster import Postmaster
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.control import read_control
from processpilot.progress import Progress
from processpilot.restore.finish import Recovered
from processpilot.restore.isolation import IsolatedPlan
from processpilot.restore.plan import RestorePlan
from processpilot.restore.scratch import scratch_address, start_scratch

_PROVE_LIMIT_S = 3600.0
_READ_ONLY = "-c default_transaction_read_only=on"
_DATABASES = "select datname from pg_database where datallowconn and datname <> 'template0'"
_SUBSCRIPTIONS = """
select subname from pg_subscription s join pg_database d on d.oid = s.subdbid
where subenabled and datname = current_database() order by 1
"""
_ENABLED = "select count(*) from pg_subscription where subenabled"
# What a copy must not do, whatever its files say; the command line of the server says so.
_QUIET = {
    "archive_mode": "off",
    "synchronous_standby_names": "",
    "primary_conninfo": "",
    "max_logical_replication_workers": "0",
}


@dataclass(frozen=True, slots=True)
class Copy:
    """The copy's server while it runs."""

    server: Postmaster
    address: ServerAddress
    superuser: str
    clock: Clock

    @classmethod
    @contextmanager
    def started(cls, plan: RestorePlan, superuser: str, clock: Clock) -> Iterator[Copy]:
        """Start the server, and stop it afterwards; inside namespaces it listens on a loopback."""
        extra = {"listen_addresses": "127.0.0.1"} if isinstance(plan, IsolatedPlan) else {}
        server = start_scratch(plan, extra, superuser)
        try:
            yield cls(server, scratch_address(server, superuser), superuser, clock)
        finally:
            server.stop()

    def disarm(self) -> list[CheckResult]:
        """Disable what would act by itself if it could, and return the checks that it cannot."""
        with self.address.session(limit_s=None) as connection:
            names = [str(row[0]) for row in connection.execute(_DATABASES)]
        for name in names:
            with self.address.with_options(dbname=name).session(limit_s=None) as connection:
                for row in connection.execute(_SUBSCRIPTIONS).fetchall():
                    subscription = sql.Identifier(str(row[0]))
                    connection.execute(
                        sql.SQL("alter subscription {} disable").format(subscription)
                    )
        enabled, found = self._looked_at()
        wrong = [
            f"{name} = {found[name]}" for name, value in _QUIET.items() if found[name] != value
        ]
        return [
            passed_if("subscriptions disabled", enabled == 0, "none enabled", f"{enabled} enabled"),
            passed_if(
                "the copy acts on nothing by itself",
                not wrong,
                ", ".join(f"{name} = {value or 'empty'}" for name, value in _QUIET.items()),
                ", ".join(wrong) or "as expected",
            ),
        ]

    def _looked_at(self) -> tuple[int, dict[str, str]]:
        """Return how many subscriptions are enabled, and the settings that keep a copy quiet."""
        with self.address.session(limit_s=None) as connection:
            row = connection.execute(_ENABLED).fetchone()
            found = {}
            for setting in _QUIET:
                shown = sql.SQL("show {}").format(sql.Identifier(setting))
                value = connection.execute(shown).fetchone()
                found[setting] = "" if value is None else str(value[0])
        return 0 if row is None else int(row[0]), found


@dataclass(frozen=True, slots=True)
class Proven:
    """What the data showed. The window is from the newest heartbeat found to the moment asked.

    The bound is from the last commit replayed, or the backup's stop, to that moment.
    """

    checks: tuple[CheckResult, ...]
    asked_at: datetime
    heartbeat_at: datetime | None
    data_loss_window_s: float | None
    data_loss_bound_s: float

    def to_json(self) -> dict[str, JsonValue]:
        """Return the figures in the form kept in the journal."""
        beat = self.heartbeat_at
        return {
            "asked_at": self.asked_at.isoformat(),
            "heartbeat_found_at": None if beat is None else beat.isoformat(),
            "data_loss_window_s": self.data_loss_window_s,
            "data_loss_bound_s": self.data_loss_bound_s,
        }


def examine_files(plan: RestorePlan, done: Recovered, progress: Progress) -> list[CheckResult]:
    """Return what the files of the copy show: whose they are, how far they came, their pages."""
    control = read_control(plan.folder)
    expected = plan.manifest.cluster.system_identifier
    return [
        passed_if(
            "system identifier",
            control.system_identifier == expected,
            str(expected),
            str(control.system_identifier),
        ),
        passed_if(
            "reached what was planned",
            done.reached >= plan.planned_lsn,
            f"at least {plan.planned_lsn}",
            str(done.reached),
        ),
        check_pages(plan.folder, enabled=control.data_checksums, progress=progress),
    ]


def proven_data(
    copy: Copy, plan: Plan, database: str, asked_at: datetime, whole_until: datetime
) -> Proven:
    """Return what the copy's data shows: every table read, keys, indexes, the plan's queries.

    `whole_until` is the last commit replayed, or the backup's stop where there was none.
    """
    reader = copy.address.with_options(options=_READ_ONLY)
    checks = DatabaseChecks(reader, copy.clock, _PROVE_LIMIT_S).run()
    asked = reader.with_options(dbname=database)
    for check, question in zip(
        (c for c in plan.validation if c.kind == "sql" and c.dsn is None),
        sql_questions(plan),
        strict=True,
    ):
        why = ask_sql(question, asked, question.timeout_s)
        checks.append(passed_if(check.name, why is None, check.expect or "an answer", why or "ok"))
    checks.append(
        passed_if(
            "nothing after the moment asked",
            whole_until <= asked_at,
            f"the last commit at or before {asked_at.isoformat()}",
            whole_until.isoformat(),
        )
    )
    beat = _newest_beat(asked)
    return Proven(
        tuple(checks),
        asked_at,
        beat,
        None if beat is None else _seconds(asked_at, beat),
        _seconds(asked_at, whole_until),
    )


def _newest_beat(address: ServerAddress) -> datetime | None:
    """Return the heartbeat the copy holds, or None."""
    try:
        with address.session(limit_s=None) as connection:
            there = connection.execute(
                "select to_regclass('processpilot.heartbeat') is not null"
            ).fetchone()
            if there is None or not there[0]:
                return None
            row = connection.execute("select max(beat_at) from processpilot.heartbeat").fetchone()
    except ProcessPilotError:
        return None
    beat: datetime | None = None if row is None else row[0]
    return beat


def _seconds(end: datetime, begin: datetime) -> float:
    return round(max(0.0, (end - begin).total_seconds()), 3)

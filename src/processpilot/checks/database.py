"""Whether a recovered server's data is whole, asked in SQL of every database.

Reads every row of every table, looks for foreign keys that point nowhere, lets amcheck examine
indexes where it is installed, and compares collation versions with what indexes were built with.
What could not be finished in time is unknown, never passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from processpilot.checks.result import CheckResult, Outcome, passed_if
from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError
from processpilot.postgres.connection import ServerAddress

_DATABASES = "select datname from pg_database where datallowconn and datname <> 'template0'"
_TABLES = """
select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and c.relpersistence = 'p' and n.nspname not like 'pg\\_%'
  and n.nspname <> 'information_schema' and (c.relkind = 'r' or c.relispopulated)
order by 1, 2
"""
_FOREIGN_KEYS = """
select con.conname, cn.nspname, c.relname, pn.nspname, p.relname,
  array(select a.attname from unnest(con.conkey) with ordinality k(n, o)
        join pg_attribute a on a.attrelid = c.oid and a.attnum = k.n order by k.o),
  array(select a.attname from unnest(con.confkey) with ordinality k(n, o)
        join pg_attribute a on a.attrelid = p.oid and a.attnum = k.n order by k.o)
from pg_constraint con
join pg_class c on c.oid = con.conrelid join pg_namespace cn on cn.oid = c.relnamespace
join pg_class p on p.oid = con.confrelid join pg_namespace pn on pn.oid = p.relnamespace
where con.contype = 'f' and con.convalidated and con.conparentid = 0
order by 2, 3, 1
"""
_INDEXES = """
select c.oid::regclass::text, c.oid from pg_class c join pg_am a on a.oid = c.relam
join pg_index i on i.indexrelid = c.oid
where c.relkind = 'i' and a.amname = 'btree' and i.indisvalid and c.relpersistence = 'p'
order by 1
"""
_COLLATIONS = """
select 'database ' || datname, datcollversion, pg_database_collation_actual_version(oid)
from pg_database where datname = current_database()
union all
select 'collation ' || collname, collversion, pg_collation_actual_version(oid)
from pg_collation where collversion is not null
"""


@dataclass(slots=True)
class _Tally:
    """What one check found over all databases."""

    looked: int = 0
    total: int = 0
    rows: int = 0
    bad: list[str] = field(default_factory=list)
    out_of_time: bool = False

    @property
    def detail(self) -> str:
        return "; ".join(self.bad[:5]) + ("; not finished in time" if self.out_of_time else "")


class DatabaseChecks:
    """The checks of one server, sharing one time limit."""

    def __init__(self, address: ServerAddress, clock: Clock, limit_s: float) -> None:
        self._address = address
        self._clock = clock
        self._deadline = clock.monotonic() + limit_s

    def run(self) -> list[CheckResult]:
        """Return every check's result; a server that does not answer fails the first one."""
        try:
            with self._address.session(limit_s=None) as connection:
                names = [str(row[0]) for row in connection.execute(_DATABASES)]
            tables, keys, indexes, collations = _Tally(), _Tally(), _Tally(), _Tally()
            amcheck = False
            for name in names:
                with self._address.with_options(dbname=name).session(limit_s=None) as connection:
                    self._read_tables(connection, tables)
                    self._follow_keys(connection, keys)
                    amcheck |= self._examine_indexes(connection, indexes)
                    _compare_collations(connection, name, collations)
        except ProcessPilotError as error:
            return [passed_if("database connections", False, "an answer", error.message)]
        return [
            passed_if("database connections", True, "an answer", f"{len(names)} databases answer"),
            _result("every table can be read", tables, "tables", f"{tables.rows} rows"),
            _result("foreign keys", keys, "keys"),
            _result("indexes (amcheck)", indexes, "indexes")
            if amcheck
            else _not_installed(indexes),
            _result("collation versions", collations, "collations"),
        ]

    def _time_left(self, tally: _Tally) -> bool:
        if self._clock.monotonic() > self._deadline:
            tally.out_of_time = True
        return not tally.out_of_time

    def _limited(self, connection: psycopg.Connection, statement: sql.Composed) -> list[object]:
        left_ms = max(1, int((self._deadline - self._clock.monotonic()) * 1000))
        connection.execute(f"set statement_timeout = {left_ms}".encode())
        row = connection.execute(statement).fetchone()
        return [] if row is None else list(row)

    def _guard(
        self, connection: psycopg.Connection, tally: _Tally, name: str, statement: sql.Composed
    ) -> object:
        """Run one statement; what the server complains of becomes a finding."""
        tally.total += 1
        if not self._time_left(tally):
            return None
        try:
            found = self._limited(connection, statement)
        except psycopg.errors.QueryCanceled:
            tally.out_of_time = True
            return None
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            tally.looked += 1
            tally.bad.append(f"{name}: {error.diag.message_primary or error}")
            return None
        tally.looked += 1
        return found[0] if found else None

    def _read_tables(self, connection: psycopg.Connection, tally: _Tally) -> None:
        tables = connection.execute(_TABLES).fetchall()
        for schema, table in tables:
            # A whole-row reference makes the server fetch every column's row, not only count.
            statement = sql.SQL("select count(*), count(t.*) from {} t").format(
                sql.Identifier(schema, table)
            )
            rows = self._guard(connection, tally, f"{schema}.{table}", statement)
            tally.rows += rows if isinstance(rows, int) else 0

    def _follow_keys(self, connection: psycopg.Connection, tally: _Tally) -> None:
        for row in connection.execute(_FOREIGN_KEYS).fetchall():
            name, schema, table, other_schema, other, columns, targets = row
            statement = _orphans((schema, table), (other_schema, other), columns, targets)
            if self._guard(connection, tally, name, statement) is True:
                tally.bad.append(f"{schema}.{table} breaks {name}")

    def _examine_indexes(self, connection: psycopg.Connection, tally: _Tally) -> bool:
        row = connection.execute(
            "select n.nspname from pg_extension e join pg_namespace n on n.oid = e.extnamespace"
            " where extname = 'amcheck'"
        ).fetchone()
        if row is None:
            return False
        function = sql.Identifier(str(row[0]), "bt_index_check")
        for name, oid in connection.execute(_INDEXES).fetchall():
            statement = sql.SQL("select {}({}::oid::regclass)").format(function, sql.Literal(oid))
            self._guard(connection, tally, str(name), statement)
        return True


def _orphans(
    child: tuple[str, str],
    parent: tuple[str, str],
    columns: Sequence[str],
    targets: Sequence[str],
) -> sql.Composed:
    """Return a query that is true when a row of `child` points to no row of `parent`."""
    pairs = zip(columns, targets, strict=True)
    joined = sql.SQL(" and ").join(
        sql.SQL("c.{} = p.{}").format(sql.Identifier(column), sql.Identifier(target))
        for column, target in pairs
    )
    filled = sql.SQL(" and ").join(
        sql.SQL("c.{} is not null").format(sql.Identifier(column)) for column in columns
    )
    return sql.SQL(
        "select exists (select from {} c where {} and not exists (select from {} p where {}))"
    ).format(sql.Identifier(*child), filled, sql.Identifier(*parent), joined)


def _compare_collations(connection: psycopg.Connection, database: str, tally: _Tally) -> None:
    for name, recorded, actual in connection.execute(_COLLATIONS).fetchall():
        tally.total += 1
        tally.looked += 1
        if recorded is not None and recorded != actual:
            tally.bad.append(f"{database}: {name} was built with {recorded}, here is {actual}")


def _result(name: str, tally: _Tally, noun: str, more: str = "") -> CheckResult:
    expected = f"{tally.total} {noun} without fault"
    actual = ", ".join(_found(tally, noun, more))
    if tally.out_of_time and not tally.bad:
        return CheckResult(name, Outcome.UNKNOWN, expected, actual, tally.detail)
    return passed_if(name, not tally.bad, expected, actual, tally.detail)


def _found(tally: _Tally, noun: str, more: str) -> Iterator[str]:
    yield f"{tally.looked - len(tally.bad)} {noun} without fault"
    if tally.bad:
        yield f"{len(tally.bad)} with"
    if more:
        yield more


def _not_installed(tally: _Tally) -> CheckResult:
    return CheckResult(
        "indexes (amcheck)",
        Outcome.SKIPPED,
        "indexes without fault",
        "not looked at",
        "no database has the extension amcheck" if not tally.total else "",
    )

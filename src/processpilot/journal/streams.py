"""Questions about many streams at once, each answered from an index in a few milliseconds.

They cost by the number of streams, never by that of events.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

import sqlalchemy as sa

from processpilot.journal.chain import Row
from processpilot.journal.database import EVENTS

# Above every character a name may have.
_LAST = "\U0010ffff"
_FIRST_EVENT = EVENTS.c.sequence == sa.literal_column("1")


def begins_with(prefix: str) -> sa.ColumnElement[bool]:
    """Return the condition that a stream's name begins so: a range, which an index answers."""
    if not prefix:
        return sa.true()
    return sa.and_(EVENTS.c.stream >= prefix, EVENTS.c.stream < prefix + _LAST)


def newest(
    connection: sa.Connection, prefix: str, limit: int | None = None, before: int | None = None
) -> tuple[str, ...]:
    """Return the streams that begin so, last written first."""
    query = sa.select(EVENTS.c.stream, _last_position(EVENTS.c.stream).label("last"))
    each = query.where(_FIRST_EVENT, begins_with(prefix)).subquery()
    chosen = sa.select(each.c.stream).order_by(each.c.last.desc())
    if before is not None:
        chosen = chosen.where(each.c.last < before)
    if limit is not None:
        chosen = chosen.limit(max(limit, 0))
    return tuple(connection.scalars(chosen))


def unended(connection: sa.Connection, begun_kind: str, ended_kind: str) -> tuple[str, ...]:
    """Return the streams with an event of the first kind and none of the second."""
    begun, ended = (
        sa.select(EVENTS.c.stream).where(EVENTS.c.kind == kind) for kind in (begun_kind, ended_kind)
    )
    each = sa.except_(begun, ended).subquery()
    query = sa.select(each.c.stream).order_by(_last_position(each.c.stream).desc())
    return tuple(connection.scalars(query))


def first_rows(connection: sa.Connection, names: Collection[str]) -> Iterable[Row]:
    """Return the rows of those streams' first events."""
    wanted = _table_of(names)
    query = sa.select(EVENTS).join(wanted, EVENTS.c.stream == wanted.c.value)
    return connection.execute(query.where(_FIRST_EVENT))


def last_rows(connection: sa.Connection, names: Collection[str]) -> Iterable[Row]:
    """Return the rows of those streams' last events."""
    wanted = _table_of(names)
    on = EVENTS.c.position == _last_position(wanted.c.value)
    return connection.execute(sa.select(EVENTS).join(wanted, on))


def _last_position(stream: sa.ColumnElement[str]) -> sa.ScalarSelect[int]:
    event = EVENTS.alias()
    query = sa.select(event.c.position).where(event.c.stream == stream)
    return query.order_by(event.c.sequence.desc()).limit(1).scalar_subquery()


def _table_of(names: Collection[str]) -> sa.TableValuedAlias:
    """Return the names as a table; a list of parameters would be limited."""
    text = json.dumps(list(dict.fromkeys(names)))
    return sa.func.json_each(text).table_valued("value").alias("wanted")

"""One cluster, its contenders, and the sheet they are written on."""

from __future__ import annotations

from collections.abc import Callable

from bench.cluster import Cluster
from bench.contenders import OURS, PGBACKREST, Ours, PgBackRest, Plain
from bench.measure import Sheet


class Contest:
    """One cluster, its contenders, and the sheet they are written on."""

    def __init__(self, cluster: Cluster, sheet: Sheet, rest: PgBackRest | None) -> None:
        self.cluster = cluster
        self.sheet = sheet
        self.ours = Ours(cluster)
        self.plain = Plain(cluster)
        self.rest = rest

    def with_rest(
        self, ours: Callable[[], int], rest: Callable[[], int] | None
    ) -> dict[str, Callable[[], int]]:
        """Return the contenders of a row: ours first, pgBackRest when it is there."""
        return {OURS: ours} | ({} if rest is None else {PGBACKREST: rest})

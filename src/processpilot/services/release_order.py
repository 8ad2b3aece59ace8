"""The order of releases: by their commits where those tell, by their names where they do not.

People count releases in their names, and a hotfix of an older line is older than the newest line
although it was made later. Yet v2.0.0-rc1 came before v2.0.0, and only the commits know it. So a
release follows all that its commit contains, and among those that do not contain each other the
lower name comes first.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NaturalKey = tuple[tuple[tuple[int, int, str], ...], str]


@dataclass(frozen=True, slots=True)
class Release:
    """A release: what people call it, and where it lies (a commit, or a folder's name)."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in place, and the releases before and after it, each oldest first.

    `is_release` is false when something is in place that no release names.
    """

    in_place: Release
    earlier: tuple[Release, ...]
    later: tuple[Release, ...]
    is_release: bool = True

    @property
    def newest(self) -> Release | None:
        """The newest release there is."""
        if self.later:
            return self.later[-1]
        if self.is_release:
            return self.in_place
        return self.earlier[-1] if self.earlier else None


def natural_key(name: str) -> NaturalKey:
    """Return a key by which v9 comes before v10, digits before letters; equal only if names are."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in parts), name


def in_order(names: Mapping[str, str], parents: Mapping[str, Sequence[str]]) -> tuple[Release, ...]:
    """Return the named commits as releases, oldest first.

    `parents` describes a history without cycles; commits without a name only connect others.
    """
    children: dict[str, list[str]] = {}
    missing_count: dict[str, int] = {}
    for commit in {*names, *parents}:
        known = [parent for parent in parents.get(commit, ()) if parent in parents]
        missing_count[commit] = len(known)
        for parent in known:
            children.setdefault(parent, []).append(commit)

    def rank(commit: str) -> tuple[bool, NaturalKey]:
        name = names.get(commit)
        return name is not None, natural_key(commit if name is None else name)

    ready = [(rank(commit), commit) for commit, count in missing_count.items() if count == 0]
    heapq.heapify(ready)
    releases = []
    while ready:
        _, commit = heapq.heappop(ready)
        if commit in names:
            releases.append(Release(names[commit], commit))
        for child in children.get(commit, ()):
            missing_count[child] -= 1
            if missing_count[child] == 0:
                heapq.heappush(ready, (rank(child), child))
    return tuple(releases)

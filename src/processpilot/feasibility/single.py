"""Single points of failure: one disk for data and backups, one way for messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from processpilot.feasibility.finding import Remark
from processpilot.feasibility.study import Study


def remarks(study: Study) -> Iterator[Remark]:
    """Yield what goes down together although it should not."""
    yield from _disks(study)
    yield from _channels(study)


def _disks(study: Study) -> Iterator[Remark]:
    plan, loaded = study.plan, study.loaded
    if plan.database.data_dir is None:
        return
    data = loaded.resolve(plan.database.data_dir)
    repository = _folder(study)
    spool = plan.protection.spool_dir
    places = [
        (
            "repository",
            "repository.url",
            repository,
            "Put backups on another disk or into a bucket.",
        ),
        (
            "spool",
            "protection.spool_dir",
            loaded.state_dir / "spool" if spool is None else loaded.resolve(spool),
            "Set protection.spool_dir to a folder on another disk.",
        ),
        ("state", "state_dir", loaded.state_dir, "Set state_dir to a folder on another disk."),
    ]
    device = study.world.device(data)
    for name, place, path, way_out in places:
        if path is not None and device is not None and study.world.device(path) == device:
            yield Remark(
                f"{name}-on-database-disk",
                place,
                f"{_WHAT[name]} on the disk of the database",
                f"{path} and {data} are on one file system (device {device})",
                way_out,
            )
    if repository is not None and (
        repository.parent == data.parent or data in repository.parents or repository in data.parents
    ):
        yield Remark(
            "repository-beside-data",
            "repository.url",
            "backups lie in the folder that holds the data",
            f"{repository} and {data}: who removes {data.parent} removes both",
            "Put the repository somewhere else.",
        )


_WHAT = {
    "repository": "backups are",
    "spool": "received log is",
    "state": "the journal is",
}


def _folder(study: Study) -> Path | None:
    """Return the repository's folder; None when it is in a bucket."""
    url = study.plan.repository.url
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
        return None
    return study.loaded.resolve(url)


def _channels(study: Study) -> Iterator[Remark]:
    channels = study.plan.channels
    if not channels:
        yield Remark(
            "no-channel",
            "",
            "messages go nowhere",
            "0 channels",
            "Add one to channels, better two that do not depend on each other.",
        )
    elif len(channels) == 1:
        yield Remark(
            "one-channel",
            "channels",
            f"{channels[0].id} is the only way out for messages",
            "1 channel: when it is down, nobody hears anything",
            "Add a second one that does not depend on the first.",
        )

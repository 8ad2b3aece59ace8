"""Data loss: how backups and log arrive, against each component's objective."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from croniter import croniter

from processpilot.feasibility.figures import hours
from processpilot.feasibility.finding import Remark, Severity
from processpilot.feasibility.shell import commands_of
from processpilot.feasibility.study import Placed, Study
from processpilot.feasibility.texts import texts_of
from processpilot.plan.act import ActionName
from processpilot.plan.model import ProtectionMode
from processpilot.plan.step import CommandStep

_DUMP = re.compile(r"\bpg_dump(?:all)?\b|\bpg_restore\b|\.dump\b|\bbackup\.sh\b|\brestore\.sh\b")
_RESTORE = re.compile(r"\bpg_restore\b|\brestore\.sh\b(?!.*--list)|^psql\b.*\.(?:sql|dump)\b")
_CADENCES = (("hourly", 3600.0), ("daily", 86400.0), ("weekly", 604800.0), ("monthly", 2678400.0))
_CADENCE = re.compile(r"(?i)(?<![a-z])(hourly|daily|weekly|monthly)(?![a-z])")
_REPLAY = re.compile(r"\brecovery_target_\w+|\brecovery\.signal\b|\bapply wal\b", re.IGNORECASE)
_OCCURRENCES = 1500
_HORIZON = timedelta(days=366 * 4 + 40)


def remarks(study: Study) -> Iterator[Remark]:
    """Yield where more can be lost than was agreed."""
    yield from _stream(study)
    yield from _cadence(study)
    yield from _dumps(study)
    yield from _log_after_dump(study)


def longest_interval_s(schedule: str, begin: datetime) -> float:
    """Return the longest time between two runs of a cron expression, looking ahead from `begin`."""
    times = croniter(schedule, begin)
    last: datetime = times.get_next(datetime)
    longest = timedelta()
    for _ in range(_OCCURRENCES):
        try:
            following: datetime = times.get_next(datetime)
        except ValueError:  # croniter finds no further date, as for the 30th of February
            break
        longest = max(longest, following - last)
        last = following
        if last - begin > _HORIZON:
            break
    return longest.total_seconds()


def _stream(study: Study) -> Iterator[Remark]:
    protection = study.plan.protection
    if protection.mode is ProtectionMode.SYNCHRONOUS:
        return
    bound_s = protection.tail_interval_s
    for n, component in enumerate(study.plan.components):
        if component.rpo_s < bound_s:
            yield Remark(
                "loss-bound",
                f"components[{n}].rpo",
                f"{component.id} may lose {hours(component.rpo_s)}, the asynchronous stream "
                f"{hours(bound_s)}",
                f"log is stored every {hours(bound_s)} (protection.tail_interval): a lost disk "
                f"takes up to {hours(bound_s)} along; {hours(bound_s)} - "
                f"{hours(component.rpo_s)} = {hours(bound_s - component.rpo_s)} too much",
                f"Set protection.mode to synchronous (commits then wait for the receiver), or "
                f"agree on {hours(bound_s)} or more.",
            )


def _cadence(study: Study) -> Iterator[Remark]:
    schedule = study.plan.backup.schedule
    interval_s = longest_interval_s(schedule, study.world.now)
    missed = [c for c in study.plan.components if c.rpo_s < interval_s]
    if not missed:
        return
    each = "; ".join(f"{c.id} {hours(c.rpo_s)}" for c in missed)
    yield Remark(
        "rests-on-log",
        "backup.schedule",
        f"up to {hours(interval_s)} lie between backups: only the log stream keeps objectives",
        f'longest interval of "{schedule}": {hours(interval_s)}; objectives below it: {each}',
        "Watch the stream (`processpilot check`), and let a page follow when it breaks.",
    )


def _dumps(study: Study) -> Iterator[Remark]:
    """Yield the first dump of each cadence that what is written relies on.

    Where no words tell how often a dump is made, it is as often as backups are.
    """
    seen: set[str] = set()
    for placed in study.steps:
        text = "\n".join(texts_of(placed.step))
        cadence = _CADENCE.search(text)
        if cadence is None or not _DUMP.search(f"{text}\n{_whole(study, placed)}"):
            continue
        name = cadence[1].lower()
        if name in seen or ("dump" not in text and "backup" not in text.lower()):
            continue
        seen.add(name)
        yield from _dump_cadence(study, placed, name, dict(_CADENCES)[name])
    restored = (p for p in study.steps if p.scenario and _restores_dump(p))
    if not seen and (first := next(restored, None)) is not None:
        interval_s = longest_interval_s(study.plan.backup.schedule, study.world.now)
        names = {seconds: name for name, seconds in _CADENCES}
        name = names.get(interval_s, f"every {hours(interval_s)},")
        yield from _dump_cadence(study, first, name, interval_s)


def _restores_dump(placed: Placed) -> bool:
    return isinstance(placed.step, CommandStep) and any(
        _RESTORE.search(" ".join(command.words)) for command in commands_of(placed.step.argv)
    )


def _whole(study: Study, placed: Placed) -> str:
    """Return all texts of the scenario or procedure that a step belongs to."""
    return "\n".join(
        text
        for other in study.steps
        if other.owner == placed.owner and other.scenario is placed.scenario
        for text in texts_of(other.step)
    )


def _dump_cadence(study: Study, placed: Placed, name: str, interval_s: float) -> Iterator[Remark]:
    missed = [c for c in study.plan.components if c.rpo_s < interval_s]
    if not missed:
        return
    database = next((c for c in missed if not c.depends_on), missed[0])
    each = "; ".join(
        f"{c.id} {hours(interval_s)} - {hours(c.rpo_s)} = {hours(interval_s - c.rpo_s)} too much"
        for c in missed
    )
    streams = placed.scenario is None or any(
        other.step.action == ActionName.RESTORE for other in study.acts_of(placed.scenario)
    )
    yield Remark(
        "dump-cadence",
        placed.place,
        f"{name} dumps against an objective of {hours(database.rpo_s)} for {database.id}",
        f"up to {hours(interval_s)} between two dumps; {each}",
        "Restore the streamed backup instead (`action: restore`, then `action: replay`).",
        Severity.WARNING if streams else None,
    )


def _log_after_dump(study: Study) -> Iterator[Remark]:
    for placed in study.steps:
        text = "\n".join(texts_of(placed.step))
        if _REPLAY.search(text) and _DUMP.search(_whole(study, placed)):
            yield Remark(
                "log-after-dump",
                placed.place,
                f"{placed.owner} replays log on top of a dump, which PostgreSQL cannot do",
                "a dump is written by SQL and has no position in the log; only a base backup has",
                "Restore a base backup and replay to a time: `processpilot restore --to-time`.",
                None if placed.runs else Severity.WARNING,
            )

"""Retention after a return to an earlier moment: the way to today's cluster is never cut."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from made_repository import (
    BEGIN,
    SEGMENT_BYTES,
    Folder,
    backup_on,
    new_repository,
    take,
    written_tree,
)

from processpilot.errors import GapError
from processpilot.postgres.history import Switch, TimelineHistory
from processpilot.postgres.lsn import Lsn
from processpilot.postgres.wal import Segment
from processpilot.progress import silent
from processpilot.repository.chain import resolve_chain
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.repository import Repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.repository.wal import WalArchive

LAST = RetentionPolicy(last=1, daily=0, weekly=0, monthly=0)
LATER = BEGIN + timedelta(days=40)
SWITCH = Lsn(2 * SEGMENT_BYTES + 4000)
HISTORY = TimelineHistory(2, (Switch(1, SWITCH, "before 2026"),))


@pytest.fixture
def returned(tmp_path: Path) -> Repository:
    """Five backups on timeline 1, and a timeline 2 that left it behind the second of them."""
    repository = new_repository()
    folder = Folder(tmp_path / "data")
    for day in range(5):
        folder.write("base/5/1001", 20_000)
        take(repository, folder, day)
    archive = WalArchive(repository, SEGMENT_BYTES)
    archive.put_history(HISTORY)
    for number in (2, 3):
        archive.put_segment(Segment(2, number, SEGMENT_BYTES), b"\x06" * SEGMENT_BYTES)
    archive.put_tail(Segment(2, 4, SEGMENT_BYTES), 0, b"\x07" * 5000)
    return repository


def test_the_newest_backup_that_leads_to_today_stays_with_its_log(returned: Repository) -> None:
    """Newer backups of the timeline that was left do not stand for it."""
    plan = plan_expiry(returned, LAST, LATER)
    assert plan.backups == (backup_on(0), backup_on(2), backup_on(3))
    reasons = {kept.backup: kept.reasons for kept in plan.decision.kept}
    assert reasons[backup_on(1)] == ("the newest that leads to timeline 2",)
    execute_expiry(returned, plan, LATER)
    inventory = WalArchive(returned, SEGMENT_BYTES).inventory()
    start = returned.manifest(backup_on(1)).start_lsn
    assert resolve_chain(inventory, HISTORY, start).end == 4 * SEGMENT_BYTES + 5000
    assert Segment(1, 1, SEGMENT_BYTES) not in set(inventory.whole_segments())
    assert verify_repository(returned, None, deep=True, progress=silent).findings == ()


def test_the_first_backup_on_a_new_timeline_takes_over(
    returned: Repository, tmp_path: Path
) -> None:
    """Once there is one, the way before it is retention's business as ever."""
    folder = Folder(tmp_path / "other", seed=3)
    manifest = written_tree(returned, folder.root, backup_on(6), None)
    start = Lsn(3 * SEGMENT_BYTES)
    moved = {"timeline": 2, "start_lsn": start, "stop_lsn": Lsn(start + 9)}
    returned.commit(manifest.model_copy(update=moved))
    plan = plan_expiry(returned, LAST, LATER)
    assert [kept.backup for kept in plan.decision.kept] == [manifest.backup_id]
    assert plan.floor == 3


def test_log_of_a_timeline_without_a_backup_stays(returned: Repository) -> None:
    """The first backup on it may be running; its log begins where the timeline does."""
    for day in (0, 1):
        returned.store.delete(f"backups/{backup_on(day)}")
    plan = plan_expiry(returned, LAST, LATER)
    assert all(segment.number < 2 for segment in plan.segments)
    assert plan.tails == ()


def test_without_the_newest_history_nothing_is_let_go(returned: Repository) -> None:
    """Nobody then knows what leads there."""
    returned.store.delete("histories/00000002")
    with pytest.raises(GapError, match="history"):
        plan_expiry(returned, LAST, LATER)

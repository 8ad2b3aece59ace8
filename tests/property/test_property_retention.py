"""What retention must never do, whatever the backups and the policy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processpilot.repository.blob import BackupId
from processpilot.repository.retention import RetentionPolicy, decide_retention

COUNTS = st.integers(0, 5)
POLICIES = st.builds(
    RetentionPolicy,
    last=st.integers(0, 5),
    hourly=COUNTS,
    daily=COUNTS,
    weekly=COUNTS,
    monthly=COUNTS,
    yearly=COUNTS,
)
MOMENTS = st.builds(
    lambda second: datetime.fromtimestamp(second, UTC),
    st.integers(1_703_500_000, 1_799_200_000),
)
BACKUPS = st.lists(st.builds(BackupId.new, MOMENTS, st.integers(0, 2**32 - 1)), unique=True)
PERIODS: dict[str, Callable[[datetime], object]] = {
    "hourly": lambda at: (at.date(), at.hour),
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


@given(BACKUPS, POLICIES)
def test_everything_is_kept_with_a_reason_or_expired(
    backups: list[BackupId], policy: RetentionPolicy
) -> None:
    """No backup is forgotten, none is both; the newest stays; order of the input is nothing."""
    decision = decide_retention(backups, policy)
    kept = [entry.backup for entry in decision.kept]
    assert sorted([*kept, *decision.expired]) == sorted(backups)
    assert all(entry.reasons for entry in decision.kept)
    assert decide_retention(backups[::-1], policy) == decision
    if backups:
        assert max(backups) in kept
        assert decision.window_begins == sorted(backups)[-max(policy.last, 1) :][0]


@pytest.mark.parametrize("name", PERIODS)
@given(backups=BACKUPS, policy=POLICIES)
def test_the_newest_periods_each_keep_their_newest_backup(
    name: str, backups: list[BackupId], policy: RetentionPolicy
) -> None:
    """The oracle groups by calendar, the product by text."""
    newest: dict[object, BackupId] = {}
    for backup in sorted(backups):
        newest[PERIODS[name](backup.began_at)] = backup
    count = getattr(policy, name)
    wanted = sorted(newest.values())[-count:] if count else []
    kept = {entry.backup: entry.reasons for entry in decide_retention(backups, policy).kept}
    named = [b for b, why in kept.items() if any(text.startswith(f"{name} ") for text in why)]
    assert sorted(named) == wanted


@given(BACKUPS, POLICIES, st.data())
def test_what_is_held_stays_and_changes_nothing_else(
    backups: list[BackupId], policy: RetentionPolicy, data: st.DataObject
) -> None:
    """Held backups are kept besides; the rest is decided as without them."""
    held = data.draw(st.sets(st.sampled_from(backups)) if backups else st.just(set()))
    without = decide_retention(backups, policy)
    decision = decide_retention(backups, policy, {backup: ["pinned"] for backup in held})
    kept = {entry.backup for entry in decision.kept}
    assert kept == {entry.backup for entry in without.kept} | held
    assert decision.window_begins == without.window_begins


@given(BACKUPS, POLICIES)
def test_deciding_again_lets_nothing_more_go(
    backups: list[BackupId], policy: RetentionPolicy
) -> None:
    """An expiry that was carried out leaves nothing for the next one."""
    kept = [entry.backup for entry in decide_retention(backups, policy).kept]
    assert decide_retention(kept, policy).expired == ()


@given(BACKUPS, POLICIES, st.timedeltas(timedelta(hours=1), timedelta(days=400)))
def test_a_newer_backup_never_revives_an_expired_one(
    backups: list[BackupId], policy: RetentionPolicy, later: timedelta
) -> None:
    """What went may be gone for good: no later decision asks for it."""
    if not backups:
        return
    expired = set(decide_retention(backups, policy).expired)
    newer = BackupId.new(max(backups).began_at + later, 1)
    kept = {entry.backup for entry in decide_retention([*backups, newer], policy).kept}
    assert not kept & expired

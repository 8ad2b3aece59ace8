"""Recovery targets: what people may write, and what the scratch server is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from processpilot.errors import UsageError
from processpilot.postgres.lsn import Lsn
from processpilot.restore.target import (
    RecoveryTarget,
    TargetKind,
    lsn_target,
    name_target,
    time_target,
    xid_target,
)

WRONG: list[tuple[Callable[[str], RecoveryTarget], str]] = [
    (time_target, "yesterday"),
    (time_target, "2026-11-23T03:15:00"),
    (lsn_target, "3000060"),
    (lsn_target, "0/123456789"),
    (xid_target, "2"),
    (xid_target, "-5"),
    (xid_target, "1e3"),
    (xid_target, "٣٣"),  # noqa: RUF001 - digits to Python, not to PostgreSQL
    (xid_target, str(1 << 64)),
    (name_target, ""),
    (name_target, "ä" * 32),
]


@pytest.mark.parametrize(("make", "text"), WRONG)
def test_what_is_no_target_is_refused(make: Callable[[str], RecoveryTarget], text: str) -> None:
    """Unknown input refuses; a moment without a zone is a guess."""
    with pytest.raises(UsageError):
        make(text)


def test_moments_of_any_zone_are_the_same_moment() -> None:
    """Z, an offset, and the moment that PostgreSQL is given."""
    one, other = time_target("2026-11-23T03:15:00Z"), time_target("2026-11-23T04:15:00+01:00")
    assert one.time == other.time
    assert one.lsn is None
    assert other.settings()["recovery_target_time"] == "2026-11-23T04:15:00+01:00"


def test_every_kind_says_where_to_stop_and_only_there() -> None:
    """Only one of recovery_target_* may be set; the server pauses, it never promotes."""
    assert RecoveryTarget(TargetKind.LATEST).settings() == {}
    immediate = RecoveryTarget(TargetKind.IMMEDIATE)
    assert immediate.settings() == {
        "recovery_target": "immediate",
        "recovery_target_action": "pause",
    }
    targets = (
        lsn_target("0/3000060"),
        xid_target("700"),
        name_target("before"),
        time_target("2026-11-23T03:15:00Z"),
    )
    for target in targets:
        settings = target.settings()
        assert len(settings) == 3
        assert settings["recovery_target_action"] == "pause"
        assert settings["recovery_target_inclusive"] == "on"
        assert str(target) == f"{target.kind} {target.value}"
    before = RecoveryTarget(TargetKind.LSN, "0/3000060", inclusive=False)
    assert before.settings()["recovery_target_inclusive"] == "off"
    assert before.lsn == Lsn(0x3000060)
    assert str(immediate) == "immediate"

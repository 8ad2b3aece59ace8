"""S3 behind a proxy that makes trouble: no wrong byte, no lost object, no false alarm."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from made_repository import BEGIN, OPERATOR, Folder, new_repository, take
from s3_proxy import Trouble, Troublemaker, answering, often, once

from processpilot.errors import UnavailableError
from processpilot.progress import silent
from processpilot.repository.blob import BackupId
from processpilot.repository.expire import execute_expiry, plan_expiry
from processpilot.repository.prune import execute_prune, plan_prune
from processpilot.repository.repository import open_repository
from processpilot.repository.retention import RetentionPolicy
from processpilot.repository.verify import verify_repository
from processpilot.restore.files import FileWriter
from processpilot.storage.s3 import S3Store, StoreOptions
from processpilot.storage.store import ExistsError

BODY = bytes(range(256)) * 40
# The opening's requests come first: a listing and two writes of the probe object.
LATEST_REQUEST = 14


def opened(endpoint: str, prefix: str, *, retry_s: float = 30.0) -> S3Store:
    """Return a store that waits a second for an answer."""
    options = StoreOptions(endpoint, "us-east-1", "access", "secret", True, timeout_s=1.0)
    return S3Store("conformance", prefix, options, retry_s=retry_s)


def exercise(store: S3Store) -> None:
    """Do everything a store is for; every answer is compared."""
    store.put("packs/one", BODY)
    store.put("packs/one", BODY)
    with pytest.raises(ExistsError):
        store.put("packs/one", BODY[::-1])
    store.put("packs/two", b"")
    assert store.get("packs/one") == BODY
    assert store.get_ranges("packs/one", [(0, 10), (5000, 3000)]) == [BODY[:10], BODY[5000:8000]]
    assert [info.name for info in store.list("packs/")] == ["packs/one", "packs/two"]
    store.delete("packs/two")
    assert [info.name for info in store.list("packs/")] == ["packs/one"]


@pytest.mark.parametrize("trouble", list(Trouble), ids=lambda trouble: trouble.value)
def test_one_troubled_request_changes_nothing(s3_endpoint: str, trouble: Trouble) -> None:
    """Whichever request meets it, the driver gets over it and every answer is right."""
    troubled = 0
    step = 4 if trouble is Trouble.STALLED else 1
    for at in range(1, LATEST_REQUEST + 1, step):
        maker = Troublemaker(s3_endpoint, once(trouble, at))
        with answering(maker) as proxy:
            exercise(opened(proxy, f"trouble/{uuid4().hex}"))
        troubled += len(maker.made)
    assert troubled > 3


@pytest.mark.parametrize(
    "trouble", [Trouble.BUSY, Trouble.CUT, Trouble.LOST], ids=lambda trouble: trouble.value
)
def test_trouble_without_end_is_told(s3_endpoint: str, trouble: Trouble) -> None:
    """A store that never answers ends in an error that says trying again may help."""
    broken = False

    def choose(_method: str) -> Trouble | None:
        return trouble if broken else None

    with answering(Troublemaker(s3_endpoint, choose)) as proxy:
        store = opened(proxy, f"trouble/{uuid4().hex}", retry_s=2.0)
        store.put("packs/one", BODY)
        broken = True
        acts: tuple[Callable[[], object], ...] = (
            lambda: store.get("packs/one"),
            lambda: store.put("packs/two", BODY),
            lambda: list(store.list("")),
        )
        for act in acts:
            with pytest.raises(UnavailableError) as caught:
                act()
            assert caught.value.transient
        broken = False
        assert store.get("packs/one") == BODY
        store.put("packs/two", BODY)


def test_a_repository_lives_through_trouble(s3_endpoint: str, tmp_path: Path) -> None:
    """Backups, expiry, prune, verification and restores with every fifth request troubled."""
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")
    prefix = f"trouble/{uuid4().hex}"
    maker = Troublemaker(s3_endpoint, often(seed, 0.2))
    with answering(maker) as proxy:
        folder = Folder(tmp_path / "data")
        repository = new_repository(opened(proxy, prefix))
        for day in range(4):
            for number in range(day * 3, 12):
                folder.write(f"base/5/{2000 + number}", 12_000)
            take(repository, folder, day)
        now = BEGIN + timedelta(days=20)
        policy = RetentionPolicy(last=2, daily=0, weekly=0, monthly=0)
        execute_expiry(repository, plan_expiry(repository, policy, now), now)
        execute_prune(repository, plan_prune(repository, now), BackupId.new(now, 1), silent)
        newest = repository.manifests()[-1]
        FileWriter(repository, newest, tmp_path / "out", {}, silent).write()
    assert len(maker.made) > 20
    for path in folder.root.rglob("*"):
        if path.is_file():
            assert (tmp_path / "out" / path.relative_to(folder.root)).read_bytes() == (
                path.read_bytes()
            )
    calm = open_repository(opened(s3_endpoint, prefix), OPERATOR)
    assert verify_repository(calm, None, deep=True, progress=silent).findings == ()

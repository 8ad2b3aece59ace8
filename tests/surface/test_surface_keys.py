"""The `key` commands on a real repository: losing, adding, removing and rotating keys."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from protected_site import Site

from processpilot.errors import RefusedError
from processpilot.repository.keys import Identity, new_identity
from processpilot.repository.repository import open_repository
from processpilot.storage.local import LocalStore


@pytest.fixture
def backed_up(site: Site) -> Site:
    """A protected server with one backup."""
    site.back_up()
    return site


def key(site: Site, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run `processpilot key`."""
    return subprocess.run(
        [sys.executable, "-m", "processpilot", "key", *words, "--plan", str(site.plan)],
        cwd=site.folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def labels(site: Site) -> list[str]:
    """Return the labels that `key list` gives."""
    done = key(site, "list", "--json")
    assert done.returncode == 0, done.stderr
    return [entry["label"] for entry in json.loads(done.stdout)["keys"]]


def packs(site: Site) -> dict[str, int]:
    """Return every pack and when it was last written."""
    root = site.folder / "repository" / "packs"
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}


def test_keys_come_and_go_without_touching_packs(backed_up: Site, tmp_path: Path) -> None:
    """A new key opens the newest backup, a removed one nothing; no pack is written again."""
    site = backed_up
    before = packs(site)
    made = tmp_path / "second.key"
    assert key(site, "add", "second", "--new", str(made)).returncode == 0
    assert made.stat().st_mode & 0o777 == 0o600
    assert key(site, "check", "--key", str(made)).returncode == 0
    spoken = "five words chosen by dice"
    assert key(site, "add", "spoken", "--passphrase", stdin=f"{spoken}\n").returncode == 0
    assert key(site, "check", stdin=f"{spoken}\n").returncode == 0
    somebody = new_identity()
    assert key(site, "add", "abroad", "--recipient", str(somebody.public)).returncode == 0
    assert labels(site) == ["abroad", "escrow", "operator", "second", "spoken"]
    assert key(site, "remove", "second", "--yes").returncode == 0
    refused = key(site, "check", "--key", str(made))
    assert refused.returncode != 0
    assert str(Identity(made.read_text()).public) in refused.stderr
    assert "operator (age1" in refused.stderr
    assert packs(site) == before


def test_losing_one_key_loses_nothing(backed_up: Site, tmp_path: Path) -> None:
    """With the operator's key gone, or its wrapped key destroyed, the escrow key restores."""
    site = backed_up
    (site.folder / "repository" / "keys" / "operator").write_bytes(b"gone")
    (site.plan.parent / ".processpilot" / "secrets" / "operator.key").unlink()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "processpilot", "restore", "latest"),
            *("--repo", str(site.folder / "repository"), "--target", str(tmp_path / "out")),
            *("--key", str(site.plan.parent / "processpilot-escrow.key")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "global" / "pg_control").exists()


def test_rotation_tries_the_new_key_before_the_old_one_goes(
    backed_up: Site, tmp_path: Path
) -> None:
    """Both of the two keys that init made are replaced; the old ones open nothing."""
    site = backed_up
    secrets = site.plan.parent / ".processpilot" / "secrets" / "operator.key"
    old = {
        "operator": secrets.read_text(),
        "escrow": (site.plan.parent / "processpilot-escrow.key").read_text(),
    }
    assert key(site, "rotate", "operator").returncode == 0
    made = tmp_path / "escrow.key"
    assert key(site, "rotate", "escrow", "--new", str(made)).returncode == 0
    assert labels(site) == ["escrow-2", "operator-2"]
    assert key(site, "check", "--key", str(made)).returncode == 0
    store = LocalStore(site.folder / "repository")
    for secret in old.values():
        with pytest.raises(RefusedError, match="opens none"):
            open_repository(store, Identity(secret))
    assert site.back_up().backup_id


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_interrupted_rotation_goes_on(backed_up: Site, wrapped: bool) -> None:
    """A new key that an interrupted rotation left is taken up, wrapped already or not."""
    site = backed_up
    secrets = site.plan.parent / ".processpilot" / "secrets" / "operator.key"
    fresh = new_identity()
    left = secrets.with_name("operator.key.new")
    left.write_text(f"{fresh.secret}\n")
    left.chmod(0o600)
    if wrapped:
        assert key(site, "add", "operator-2", "--recipient", str(fresh.public)).returncode == 0
    assert key(site, "rotate", "operator").returncode == 0
    assert secrets.read_text().strip() == fresh.secret
    assert not left.exists()
    assert labels(site) == ["escrow", "operator-2"]


def test_what_would_lock_everybody_out_is_refused(backed_up: Site, tmp_path: Path) -> None:
    """This machine's own key, the last key, a taken label, a weak passphrase, no choice."""
    site = backed_up
    made = tmp_path / "new.key"
    refused = (
        (("remove", "operator", "--yes"), "", "opens the repository with"),
        (("remove", "nobody", "--yes"), "", "no key is labelled"),
        (("remove", "escrow"), "", "nobody is there to answer"),
        (("add", "escrow", "--new", str(made)), "", "exists already"),
        (("add", "Bad Label", "--new", str(made)), "", "is not a key label"),
        (("add", "weak", "--passphrase"), "short\n", "fewer than"),
        (("add", "odd", "--recipient", "age1nonsense"), "", "malformed"),
        (("add", "none"), "", "say what the key is"),
        (("rotate", "operator", "--new", str(made)), "", "own key"),
        (("rotate", "nobody", "--new", str(made)), "", "no key is labelled"),
    )
    for words, stdin, message in refused:
        done = key(site, *words, stdin=stdin)
        assert done.returncode != 0, words
        assert message in done.stderr, done.stderr
        assert "hint: " in done.stderr
        assert "Traceback" not in done.stderr
        assert not made.exists(), words
    assert labels(site) == ["escrow", "operator"]

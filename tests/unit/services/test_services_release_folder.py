"""ReleaseFolders on real folders: the link, and what is refused."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from release_site import FolderSite

from processpilot.errors import RefusedError, UnavailableError
from processpilot.services.folder_release import ReleaseFolders
from processpilot.services.release import Change
from processpilot.services.release_order import Release


@pytest.fixture
def site(tmp_path: Path) -> FolderSite:
    """Three releases, the newest in place."""
    return FolderSite(tmp_path / "site", "r9", "r10", "r11")


def test_numbers_in_names_count_as_numbers(site: FolderSite) -> None:
    """r10 comes after r9; hidden folders, files and links are no releases."""
    (site.folder / ".r99").mkdir()
    (site.folder / "r50").write_text("a file")
    (site.folder / "r60").symlink_to("r9")
    releases = site.releases()
    assert (releases.previous(), releases.newest()) == ("r10", "r11")
    assert releases.roll_back() == Change("r11", "r10")
    assert releases.roll_back() == Change("r10", "r9")


def test_a_relative_link_stays_relative_and_an_absolute_one_absolute(site: FolderSite) -> None:
    """Who moved the whole folder, or mounted it elsewhere, relies on it."""
    site.releases().roll_back()
    assert str(site.link.readlink()) == "r10"
    site.link.unlink()
    site.link.symlink_to(site.folder / "r10")
    site.releases().roll_back()
    assert site.link.readlink() == site.folder / "r9"


def test_the_link_may_lie_beside_the_folder(site: FolderSite) -> None:
    """`current` outside of the releases works, relative to them."""
    site.link.unlink()
    site.link = site.beside / "live"
    site.link.symlink_to("app/r11")
    assert site.releases(current="../live").roll_back() == Change("r11", "r10")
    assert str(site.link.readlink()) == "app/r10"


def test_whoever_follows_the_link_always_finds_a_release(site: FolderSite) -> None:
    """Back and forth while another thread reads through the link: it never meets nothing."""
    missed: list[OSError] = []
    done = threading.Event()

    def follow() -> None:
        while not done.is_set():
            try:
                (site.link / "VERSION").read_text()
            except OSError as error:
                missed.append(error)

    reader = threading.Thread(target=follow)
    reader.start()
    shelf = ReleaseFolders(site.folder, Path("current"))
    for _ in range(1000):
        for name in ("r10", "r11"):
            shelf.place(Release(name, name))
    done.set()
    reader.join()
    assert missed == []


@pytest.mark.parametrize("kind", ["missing", "folder", "outside", "below", "link"])
def test_what_the_link_must_not_be(site: FolderSite, tmp_path: Path, kind: str) -> None:
    """Missing, no link, leading outside, too deep, or to another link: refused, untouched."""
    site.link.unlink()
    (site.folder / "r11" / "deep").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (site.folder / "stable").symlink_to("r11")
    targets = {"outside": str(tmp_path / "elsewhere"), "below": "r11/deep", "link": "stable"}
    if kind == "folder":
        site.link.mkdir()
    elif kind in targets:
        site.link.symlink_to(targets[kind])
    for call in (site.releases().roll_back, site.releases().roll_forward, site.releases().current):
        with pytest.raises(RefusedError, match=str(site.link)) as caught:
            call()
        assert caught.value.hint is not None
    assert site.ran() == []
    if kind in targets:
        assert str(site.link.readlink()) == targets[kind]


def test_a_release_in_place_that_was_deleted_can_be_left(site: FolderSite) -> None:
    """The link's name still says where back is."""
    shutil.rmtree(site.folder / "r11")
    releases = site.releases()
    assert releases.current() == "r11"
    assert releases.roll_back() == Change("r11", "r10")
    assert site.version() == "r10"


def test_until_a_release_is_ready_the_link_is_not_touched(site: FolderSite) -> None:
    """The steps see the old release in place; a failing one never moved the link."""
    look = f"readlink {site.link} > {site.beside}/seen"
    site.releases(install=["sh", "-c", look]).roll_back()
    assert (site.beside / "seen").read_text().strip() == "r11"
    before = site.link.lstat().st_ino
    with pytest.raises(UnavailableError):
        site.releases(build=["false"]).roll_back()
    assert site.link.lstat().st_ino == before

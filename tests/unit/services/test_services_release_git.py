"""GitTree on real repositories: order, refusals, and files that nobody else has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from release_site import GitSite

from processpilot.errors import NotFoundError, RefusedError, UnavailableError
from processpilot.plan.component import GitRelease
from processpilot.services.release import Change, releases_of


@pytest.fixture
def site(tmp_path: Path) -> GitSite:
    """Three releases, the newest in place."""
    return GitSite(tmp_path / "site", "v1", "v2", "v3")


def test_local_changes_are_refused_and_stay(site: GitSite) -> None:
    """A changed tracked file, staged or not, stops the rollback with its name."""
    for stage in (False, True):
        (site.folder / "VERSION").write_text("by hand")
        if stage:
            site.git("add", "VERSION")
        with pytest.raises(RefusedError, match="has local changes: VERSION") as caught:
            site.releases().roll_back()
        assert "stash" in (caught.value.hint or "")
        assert (site.version(), site.ran()) == ("by hand", [])


def test_untracked_and_ignored_files_are_kept(site: GitSite) -> None:
    """Uploads and secrets lie there before and after, and are no local changes."""
    (site.folder / "upload").write_text("mine")
    (site.folder / "secrets").write_text("mine too")
    site.releases().roll_back()
    assert (site.folder / "upload").read_text() == "mine"
    assert (site.folder / "secrets").read_text() == "mine too"


@pytest.mark.parametrize("name", ["upload", "secrets"])
def test_a_file_that_a_release_would_overwrite_stops_it(tmp_path: Path, name: str) -> None:
    """Untracked or ignored, it wins: nothing is changed and the file is named."""
    site = GitSite(tmp_path / "site")
    site.commit("v1", **{name: "of the release"})
    site.git("tag", "v1")
    site.git("rm", "--quiet", name)
    site.commit("v2")
    site.git("tag", "v2")
    (site.folder / name).write_text("mine")
    with pytest.raises(UnavailableError, match=f"(?s){name}.*v2 is in place"):
        site.releases().roll_back()
    assert (site.folder / name).read_text() == "mine"
    assert (site.version(), site.ran(), site.releases().unfinished()) == ("v2", [], None)


@pytest.mark.parametrize("hook", ["post-checkout", "post-index-change", "reference-transaction"])
def test_no_hook_of_the_repository_runs(site: GitSite, hook: str) -> None:
    """One that fails would stop the way back after the checkout, one that hangs would delay it."""
    path = site.folder / ".git" / "hooks" / hook
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho ran >> '{site.folder}/.git/hook-ran'\nexit 1\n")
    path.chmod(0o755)
    site.git("config", "core.fsmonitor", str(path))
    (site.folder / ".git" / "hook-ran").unlink(missing_ok=True)
    assert site.releases().roll_back() == Change("v3", "v2")
    assert not (site.folder / ".git" / "hook-ran").exists()


def test_what_install_rewrites_does_not_block_the_way_forward(site: GitSite) -> None:
    """A tracked file changed by our own step is known again; a person's change on top is not."""
    rewrite = ["sh", "-c", "echo rewritten > VERSION"]
    releases = site.releases(install=rewrite)
    releases.roll_back()
    assert site.version() == "rewritten"
    assert releases.roll_forward() == Change("v2", "v3")

    (site.folder / "VERSION").write_text("rewritten and edited")
    with pytest.raises(RefusedError, match="local changes"):
        releases.roll_back()


def test_changes_of_a_failed_step_are_set_aside_not_lost(site: GitSite) -> None:
    """After a failed build the former release is clean, and git stash holds what was changed."""
    releases = site.releases(build=["sh", "-c", "echo half > VERSION; exit 3"])
    with pytest.raises(UnavailableError, match="exit code 3"):
        releases.roll_back()
    assert site.git("log", "-1", "--format=%D").startswith("HEAD, tag: v3")
    assert "before v3 was put in place" in site.git("stash", "list")


def test_a_checkout_that_broke_off_half_way_is_made_good(tmp_path: Path) -> None:
    """Files already taken from the other release are put back; nothing is built."""
    site = GitSite(tmp_path / "site")
    site.commit("v1", **{".gitattributes": "zoo filter=trap\n", "zoo": "animals"})
    site.git("tag", "v1")
    site.git("rm", "--quiet", "zoo")
    site.commit("v2")
    site.git("tag", "v2")
    site.git("config", "filter.trap.smudge", "false")
    site.git("config", "filter.trap.required", "true")
    with pytest.raises(UnavailableError, match="(?s)smudge filter trap failed.*v2 is in place"):
        site.releases().roll_back()
    assert site.git("status", "--porcelain", "--untracked-files=no") == ""
    assert (site.version(), site.ran(), site.releases().unfinished()) == ("v2", [], None)


def test_order_follows_commits_then_names(tmp_path: Path) -> None:
    """v10 is after v9; a release candidate before its release; a late hotfix in its own line."""
    site = GitSite(tmp_path / "site", "v1.9.0", "v1.10.0", "v2.0.0-rc1", "v2.0.0")
    site.git("checkout", "--quiet", "-b", "line-1", "v1.10.0")
    site.commit("v1.10.1")
    site.git("tag", "--annotate", "--message", "hotfix", "v1.10.1")
    site.git("checkout", "--quiet", "main")
    releases = site.releases(install=[])
    seen = [releases.current()]
    while releases.previous() is not None:
        releases.roll_back()
        seen.append(releases.current())
    assert seen == ["v2.0.0", "v2.0.0-rc1", "v1.10.1", "v1.10.0", "v1.9.0"]
    assert releases.newest() == "v2.0.0"


def test_only_matching_tags_are_releases_and_two_on_a_commit_are_one(tmp_path: Path) -> None:
    """Other tags, and tags of other objects, do not count."""
    site = GitSite(tmp_path / "site", "web-1", "api-1", "web-2", "web-3")
    site.git("tag", "web-2b", "web-2")
    site.git("tag", "web-tree", "HEAD^{tree}")
    releases = site.releases(tags="web-*")
    assert (releases.current(), releases.previous()) == ("web-3", "web-2b")
    releases.roll_back()
    assert releases.previous() == "web-1"
    assert site.releases(tags="none-*").newest() is None
    with pytest.raises(NotFoundError, match="has no release"):
        site.releases(tags="none-*").roll_forward()


def test_a_commit_after_the_last_tag_goes_back_to_that_tag(site: GitSite) -> None:
    """What no tag names is called as git describes it; forward from there is nowhere."""
    site.commit("unreleased")
    releases = site.releases()
    current = releases.current()
    assert current is not None
    assert current.startswith("v3-1-g")
    assert (releases.previous(), releases.newest()) == ("v3", "v3")
    assert releases.roll_forward() == Change(current, current)
    assert releases.roll_back() == Change(current, "v3")
    assert site.git("rev-parse", "main") != site.git("rev-parse", "HEAD")


def test_a_failure_from_an_untagged_commit_puts_that_commit_back(site: GitSite) -> None:
    """The former state is a commit, whether a tag names it or not."""
    site.commit("unreleased")
    before = site.git("rev-parse", "HEAD")
    site.break_step("build", "v3")
    with pytest.raises(UnavailableError, match="v3-1-g.* is in place"):
        site.releases().roll_back()
    assert site.git("rev-parse", "HEAD") == before
    assert site.version() == "unreleased"


def test_a_folder_below_the_top_is_a_work_tree_too(tmp_path: Path) -> None:
    """Steps run in the folder that the plan names, the whole tree is checked out."""
    site = GitSite(tmp_path / "site", "v1", "v2")
    inner = site.folder / "backend"
    inner.mkdir()
    (inner / "VERSION").write_text("inner")
    spec = GitRelease.model_validate(
        {"kind": "git", "folder": "app/backend", "build": ["sh", "-c", f"pwd > {tmp_path}/where"]}
    )
    assert releases_of(spec, site.beside).roll_back() == Change("v2", "v1")
    assert (tmp_path / "where").read_text().strip() == str(inner)
    assert site.version() == "v1"


def test_what_is_no_work_tree_is_named(tmp_path: Path) -> None:
    """A plain folder, and a repository without a commit, are told apart with a hint."""
    plain = GitSite(tmp_path / "site")
    with pytest.raises(RefusedError, match="no commit"):
        plain.releases().current()
    (plain.folder / ".git").rename(tmp_path / "away")
    with pytest.raises(NotFoundError, match="not in a git work tree"):
        plain.releases().current()


def test_without_git_the_hint_says_so(site: GitSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing git is UnavailableError with what to install."""
    monkeypatch.setenv("PATH", str(site.beside))
    with pytest.raises(UnavailableError, match="git cannot be run") as caught:
        site.releases().current()
    assert "Install git" in (caught.value.hint or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a folder away")
def test_a_work_tree_of_another_account_is_refused(
    site: GitSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git's own refusal becomes ours, with both ways out."""
    monkeypatch.setenv("HOME", str(site.beside))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for path in (site.folder, site.folder / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(RefusedError, match="belongs to another account") as caught:
        site.releases().roll_back()
    assert "safe.directory" in (caught.value.hint or "")

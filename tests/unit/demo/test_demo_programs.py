"""What a demo starts: with and without nginx, from the package or from releases."""

from __future__ import annotations

from pathlib import Path

import pytest
from protected_site import MAJORS, one_of

from processpilot.demo.command import main
from processpilot.demo.places import Places
from processpilot.demo.programs import Cast, Program, programs_of

RATE = 20.0


def programs(folder: Path, nginx: Path | None, *, has_releases: bool) -> dict[str, Program]:
    """Return the programs of a demo in this folder, by name."""
    cast = Cast(one_of(MAJORS[-1]), RATE, nginx, has_releases)
    places = Places(folder, 1, 2, 3, 4)
    return {program.name: program for program in programs_of(places, cast)}


def test_without_nginx_the_demo_has_no_frontend_of_its_own(tmp_path: Path) -> None:
    """The database's disaster needs no nginx: the application serves its page then."""
    without = programs(tmp_path, None, has_releases=False)
    with_it = programs(tmp_path, Path("/usr/sbin/nginx"), has_releases=False)
    assert "frontend" not in without
    assert list(with_it)[0] == "postgres"
    assert set(with_it) - set(without) == {"frontend"}


def test_with_releases_the_application_comes_from_the_work_tree(tmp_path: Path) -> None:
    """It is started in the tree, and people and the load come through nginx."""
    made = programs(tmp_path, Path("/usr/sbin/nginx"), has_releases=True)
    assert (made["api"].folder, made["api"].argv[1]) == (tmp_path / "release", "serve.py")
    assert "http://127.0.0.1:3" in made["load"].argv
    plain = programs(tmp_path, None, has_releases=False)
    assert plain["api"].folder is None
    assert "http://127.0.0.1:2" in plain["load"].argv


@pytest.mark.parametrize(
    "words", [["--scenario", "earthquake"], ["--fault", "dies"], ["--fault", "none"]]
)
def test_what_the_demo_would_ignore_it_refuses(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown disaster, or a fault that has nothing to do with it, starts nothing."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err

"""Releases as steps: back by one however often it is carried out, forward again, restarted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan_text import plan_with
from steps_ground import context_of, ground_at

from processpilot.errors import RefusedError
from processpilot.plan.component import Component
from processpilot.plan.load import parse_plan
from processpilot.runbook.action import CannotTell, NotHappened, StepFailedError
from processpilot.services.command import CommandDriver
from processpilot.services.driver import ServiceDriver
from processpilot.steps.release import ChangeRelease

RELEASE = "{kind: folders, folder: releases, migrate: [touch, ../../migrated]}"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a folder with the releases v1, v2 and v3, the last of which is in place."""
    for name in ("v1", "v2", "v3"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "releases/current").symlink_to("v3")
    return tmp_path


def current(folder: Path) -> str:
    """Return which release is in place."""
    return (folder / "releases/current").readlink().name


def put(folder: Path, name: str) -> None:
    """Put a release in place behind the step's back."""
    link = folder / "releases/current"
    link.unlink()
    link.symlink_to(name)


def action(folder: Path, *, broken: bool = False) -> ChangeRelease:
    """Return what changes releases; a restart notes the release in place, or fails."""
    text = plan_with(
        "    depends_on: [database]\n", f"    depends_on: [database]\n    release: {RELEASE}\n"
    )
    note = f"readlink {folder}/releases/current >> {folder}/starts"

    def driver_of(component: Component) -> ServiceDriver | None:
        start = "exit 1" if broken else note
        return CommandDriver(["sh", "-c", start], ["true"], None, timeout_s=20)

    plan = parse_plan(text, folder / "processpilot.yaml")
    return ChangeRelease(ground_at(folder, plan=plan, driver_of=driver_of))


def step(do: str, **more: Any) -> Any:
    """Return a step that changes the release of `api`."""
    return context_of({"action": "release", "component": "api", "do": do}, **more)


def starts(folder: Path) -> list[str]:
    """Return the release that was in place at each start."""
    return [Path(line).name for line in (folder / "starts").read_text().split()]


def test_the_previous_release_is_put_in_place_and_started(shop: Path) -> None:
    """The result says from where to where."""
    result = action(shop).execute(step("rollback"))
    assert (result["before"], result["after"]) == ("v3", "v2")
    assert current(shop) == "v2"
    assert starts(shop) == ["v2"]


def test_repeated_in_one_run_it_goes_back_by_one_release(shop: Path) -> None:
    """After a failed restart, and after a crash nobody saw the end of."""
    with pytest.raises(Exception, match="exit code 1"):
        action(shop, broken=True).execute(step("rollback"))
    assert current(shop) == "v2"
    assert action(shop).probe(step("rollback")) == NotHappened()
    result = action(shop).execute(step("rollback", attempt=2))
    assert (result["before"], result["after"]) == ("v3", "v2")
    assert (current(shop), starts(shop)) == ("v2", ["v2"])


def test_a_release_that_somebody_else_put_in_place_is_a_question_for_people(shop: Path) -> None:
    """Nothing is changed, and nothing restarted."""
    action(shop).execute(step("rollback"))
    put(shop, "v1")
    assert action(shop).probe(step("rollback")) == CannotTell()
    with pytest.raises(StepFailedError) as caught:
        action(shop).execute(step("rollback", attempt=2))
    assert caught.value.message == ("release v1 is in place; the step began at v3 and wanted v2")
    assert (current(shop), starts(shop)) == ("v1", ["v2"])


def test_the_newest_release_comes_back(shop: Path) -> None:
    """Also as the undo of a rollback, which leaves the rollback's note alone."""
    action(shop).execute(step("rollback"))
    result = action(shop).execute(step("forward"))
    assert (result["before"], result["after"], current(shop)) == ("v2", "v3", "v3")
    assert action(shop).execute(step("forward"))["after"] == "v3"
    assert action(shop).probe(step("forward")) == NotHappened()


def test_migrations_run_in_the_release_that_is_in_place(shop: Path) -> None:
    """Nothing is restarted for them."""
    result = action(shop).execute(step("migrate"))
    assert result["release"] == "v3"
    assert (shop / "migrated").exists()
    assert not (shop / "starts").exists()


def test_a_component_without_releases_is_refused(shop: Path) -> None:
    """With what to add to the plan."""
    with pytest.raises(RefusedError):
        ChangeRelease(ground_at(shop)).execute(step("rollback"))

"""Speed before and after: what is measured, remembered and called slow."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_server import SettableClock

from processpilot.checks.probe import Prober
from processpilot.checks.result import Outcome, ProbeResult
from processpilot.checks.speed import compare_speed, measure_speed, read_baseline, write_baseline
from processpilot.plan.component import Component, Priority
from processpilot.plan.probe import CommandProbe, HttpProbe, ProbeSpec, SqlProbe
from processpilot.postgres.connection import ServerAddress

HTTP = HttpProbe(id="http", kind="http", url="http://127.0.0.1:1/")
SQL = SqlProbe(id="sql", kind="sql", query="select 1")
COMMAND = CommandProbe(id="command", kind="command", argv=("true",))
COMPONENT = Component(
    id="api", title="API", priority=Priority.LOW, rto_s=0, rpo_s=0, probes=(HTTP, SQL, COMMAND)
)


class Scripted(Prober):
    """A prober that takes durations and outcomes from a script, kind by kind."""

    script: dict[str, list[tuple[Outcome, float]]]

    def run(self, component: str, spec: ProbeSpec) -> ProbeResult:
        outcome, duration = self.script[spec.id].pop(0)
        return ProbeResult(f"{component}.{spec.id}", outcome, self.clock.now(), duration, "")


def measured(**script: list[tuple[Outcome, float]]) -> dict[str, float]:
    """Return what is measured when probes go as scripted."""
    prober = Scripted(ServerAddress.parse(""), Path("/"), SettableClock())
    object.__setattr__(prober, "script", script)
    return dict(measure_speed(prober, [COMPONENT]))


def test_the_median_of_seven_is_measured_of_http_and_sql() -> None:
    """One slow answer does not set the measure, and programs are not measured."""
    passes = [(Outcome.PASSED, s) for s in (0.3, 0.1, 9.0, 0.2, 0.1, 0.4, 0.5)]
    found = measured(http=list(passes), sql=[(Outcome.PASSED, 0.5)] * 7)
    assert found == {"api.http": 0.3, "api.sql": 0.5}


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_a_probe_that_once_did_not_pass_has_no_measure(outcome: Outcome) -> None:
    """A quick refusal is not speed."""
    found = measured(
        http=[(Outcome.PASSED, 0.1)] * 6 + [(outcome, 0.1)], sql=[(Outcome.PASSED, 0.2)] * 7
    )
    assert found == {"api.sql": 0.2}


@pytest.mark.parametrize(
    ("was", "now", "outcome"),
    [
        (0.1, 0.1, Outcome.PASSED),
        (0.1, 0.3, Outcome.PASSED),
        (0.1, 0.31, Outcome.FAILED),
        (0.001, 0.05, Outcome.PASSED),
        (0.001, 0.051, Outcome.FAILED),
        (0.0, 0.01, Outcome.PASSED),
        (0.0, 1.0, Outcome.FAILED),
    ],
)
def test_slow_is_more_than_the_factor_and_more_than_the_floor(
    was: float, now: float, outcome: Outcome
) -> None:
    """Three times as long passes; below 50 ms nothing is slow."""
    result = compare_speed({"api.http": was}, {"api.http": now}, 3.0)
    assert result.outcome is outcome
    assert ("api.http takes" in result.detail) == (outcome is Outcome.FAILED)


def test_a_probe_that_answers_no_more_is_slow() -> None:
    """What was measured before and does not answer now fails; what is new does not count."""
    result = compare_speed({"a.b": 0.1, "a.c": 0.1}, {"a.c": 0.1, "a.new": 99.0}, 3.0)
    assert (result.outcome, result.detail) == (Outcome.FAILED, "a.b does not answer")
    assert compare_speed({"a.b": 0.1}, {}, 3.0).outcome is Outcome.FAILED


def test_without_a_measure_of_before_nothing_is_compared() -> None:
    """Skipped, which is not green."""
    assert compare_speed({}, {"a.b": 0.1}, 3.0).outcome is Outcome.SKIPPED


def test_the_measure_is_remembered(tmp_path: Path) -> None:
    """A later one replaces it, and no temporary file stays."""
    path = tmp_path / "baseline.json"
    write_baseline(path, {"a.b": 1.0})
    write_baseline(path, {"a.b": 0.25, "c.d": 0.125})
    assert read_baseline(path) == {"a.b": 0.25, "c.d": 0.125}
    assert [entry.name for entry in tmp_path.iterdir()] == ["baseline.json"]


@pytest.mark.parametrize("content", [None, "", "{", "[1]", '{"a": "x"}', "7"])
def test_a_measure_that_cannot_be_read_is_none(tmp_path: Path, content: str | None) -> None:
    """A missing or damaged file is as if nobody had measured."""
    path = tmp_path / "baseline.json"
    if content is not None:
        path.write_text(content)
    assert read_baseline(path) == {}


@pytest.mark.parametrize("content", ['{"a": null}', '{"a": [1]}'])
def test_a_measure_that_is_no_number_is_none(tmp_path: Path, content: str) -> None:
    """Values that are no numbers are damage like any other."""
    (tmp_path / "baseline.json").write_text(content)
    assert read_baseline(tmp_path / "baseline.json") == {}

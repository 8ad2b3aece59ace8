"""Running a probe once: each kind asks its own question, and what cannot be asked is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_server import SettableClock, closed_port, endpoint

from processpilot.checks.probe import Prober
from processpilot.checks.result import Outcome
from processpilot.plan.probe import CommandProbe, HttpProbe, ProbeSpec, SqlProbe, TcpProbe
from processpilot.postgres.connection import ServerAddress

NOWHERE = ServerAddress.parse("host=127.0.0.1 port=1 user=a dbname=b")


@pytest.fixture
def prober(tmp_path: Path) -> Prober:
    """Return a prober whose database is nowhere."""
    return Prober(NOWHERE, tmp_path, SettableClock())


def test_a_program_is_asked_in_the_plan_s_folder(prober: Prober, tmp_path: Path) -> None:
    """The outcome follows the program's status, the detail says what it said."""
    spec = CommandProbe(id="file", kind="command", argv=("sh", "-c", "test -f there || ! echo no"))
    failed = prober.run("api", spec)
    assert (failed.probe, failed.outcome) == ("api.file", Outcome.FAILED)
    assert failed.detail == "sh ended with 1: no"
    (tmp_path / "there").write_text("")
    assert prober.run("api", spec).outcome is Outcome.PASSED


def test_a_port_is_asked(prober: Prober) -> None:
    """Accepting passes, refusing fails."""
    with endpoint(lambda connection: None) as port:
        spec = TcpProbe(id="port", kind="tcp", host="127.0.0.1", port=port)
        assert prober.run("api", spec).outcome is Outcome.PASSED
    closed = TcpProbe(id="port", kind="tcp", host="127.0.0.1", port=closed_port())
    assert prober.run("api", closed).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    "spec",
    [
        HttpProbe(id="x", kind="http", url=f"http://127.0.0.1:{closed_port()}/"),
        SqlProbe(id="x", kind="sql", query="select 1"),
    ],
    ids=["http", "sql"],
)
def test_nobody_there_is_a_failure(prober: Prober, spec: ProbeSpec) -> None:
    """A refused connection is an answer about the service, not an inability to ask."""
    result = prober.run("api", spec)
    assert result.outcome is Outcome.FAILED and "refused" in result.detail.lower()


def test_a_question_that_cannot_be_asked_is_unknown(prober: Prober) -> None:
    """Our own missing secret must not start a recovery of a healthy service."""
    spec = HttpProbe(id="x", kind="http", url="http://127.0.0.1:1/", json_body={"p": "file:gone"})
    result = prober.run("api", spec)
    assert result.outcome is Outcome.UNKNOWN
    assert "cannot read the secret" in result.detail


def test_the_duration_is_the_clock_s(prober: Prober, tmp_path: Path) -> None:
    """What is reported as taken is the time from the question to the answer."""

    class Ticking(SettableClock):
        def monotonic(self) -> float:
            self.seconds += 2.5
            return self.seconds

    spec = CommandProbe(id="true", kind="command", argv=("true",))
    assert Prober(NOWHERE, tmp_path, Ticking()).run("api", spec).duration_s == 2.5

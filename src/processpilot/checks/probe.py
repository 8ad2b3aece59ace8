"""Running a probe of the plan once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from processpilot.checks.ask import ask_command, ask_http, ask_sql, ask_tcp, hide, query_scalar
from processpilot.checks.result import Outcome, ProbeResult
from processpilot.clock import Clock
from processpilot.errors import ProcessPilotError, UnavailableError
from processpilot.plan.probe import (
    CommandProbe,
    HeartbeatProbe,
    HttpProbe,
    ProbeSpec,
    SqlProbe,
    TcpProbe,
)
from processpilot.postgres.connection import ServerAddress

HEARTBEAT_TABLE = "processpilot.heartbeat"
_AGE = f"select extract(epoch from clock_timestamp() - max(beat_at)) from {HEARTBEAT_TABLE}"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Prober:
    """Runs probes: knows the plan's database, the plan's folder and the time."""

    address: ServerAddress
    base: Path
    clock: Clock

    def run(self, component: str, spec: ProbeSpec) -> ProbeResult:
        """Return one result, at the latest shortly after the probe's time-out."""
        begun = self.clock.monotonic()
        outcome = Outcome.PASSED
        try:
            detail = self._ask(spec)
            if detail is not None:
                outcome = Outcome.FAILED
        except ProcessPilotError as error:
            outcome, detail = Outcome.UNKNOWN, error.message
        duration = self.clock.monotonic() - begun
        name = f"{component}.{spec.id}"
        return ProbeResult(name, outcome, self.clock.now(), duration, detail or "")

    def _ask(self, spec: ProbeSpec) -> str | None:
        match spec:
            case HttpProbe():
                return ask_http(spec, spec.timeout_s, self.base)
            case SqlProbe():
                return ask_sql(spec, self.address, spec.timeout_s)
            case TcpProbe():
                return ask_tcp(spec.host, spec.port, spec.timeout_s)
            case CommandProbe():
                return ask_command(spec.argv, spec.timeout_s, self.base)
            case HeartbeatProbe():
                return self._heartbeat(spec)

    def _heartbeat(self, spec: HeartbeatProbe) -> str | None:
        try:
            age = query_scalar(self.address, _AGE, spec.timeout_s)
        except UnavailableError:
            return f"no answer within {spec.timeout_s:g} s"
        except psycopg.Error as error:
            return hide(" ".join(str(error).split()), self.address.password)
        if age is None:
            return "there is no heartbeat"
        if float(age) > spec.max_age_s:
            return f"the newest heartbeat is {float(age):.1f} s old, allowed {spec.max_age_s:g}"
        return None

"""What every action works with, gathered once by the wiring."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from processpilot.backup.protection import ProtectionStatus
from processpilot.checks.probe import Prober
from processpilot.checks.result import CheckResult, Outcome
from processpilot.clock import Clock
from processpilot.errors import RefusedError
from processpilot.journal.event import JsonValue
from processpilot.plan.component import Component
from processpilot.plan.load import LoadedPlan
from processpilot.postgres.connection import ServerAddress
from processpilot.postgres.lsn import Lsn
from processpilot.repository.repository import Repository
from processpilot.runbook.action import StepContext, StepFailedError
from processpilot.services.driver import ServiceDriver


class Stream(Protocol):
    """The log stream as a recovery needs it; `backup.protection` keeps this."""

    @property
    def status(self) -> ProtectionStatus:
        """How well the log is protected now."""
        ...

    def pause(self) -> Lsn | None:
        """Stop receiving and store everything received; return up to where."""
        ...

    def renew(self, timeout_s: float) -> Path | None:
        """Stream from the recovered server; return where the old spool was put aside."""
        ...


@dataclass(frozen=True, slots=True)
class Ground:
    """The plan, what it names opened, and what is injected."""

    loaded: LoadedPlan
    address: ServerAddress
    repository: Repository
    stream: Stream
    prober: Prober
    driver_of: Callable[[Component], ServiceDriver | None]
    clock: Clock
    tag: Callable[[], int]

    @property
    def superuser(self) -> str:
        """Whom a scratch server is asked as."""
        return self.loaded.plan.database.superuser

    @property
    def data_dir(self) -> Path:
        """Where the protected cluster lives; RefusedError when the plan does not say."""
        text = self.loaded.plan.database.data_dir
        if text is None:
            raise RefusedError(
                "the plan does not say where the data directory is",
                hint="Set database.data_dir, or use `processpilot restore --target DIR`.",
            )
        return self.loaded.resolve(text)

    @property
    def bin_dirs(self) -> tuple[Path, ...]:
        """Where PostgreSQL's programs are looked for first."""
        text = self.loaded.plan.database.bin_dir
        return () if text is None else (self.loaded.resolve(text),)

    def component_of(self, context: StepContext) -> Component:
        """Return the component that the step's scenario is about."""
        scenario = self.loaded.plan.scenario(context.run.scenario)
        name = context.spec.component or (None if scenario is None else scenario.component)
        assert name is not None
        return self.loaded.plan.component(name)


def checks_json(checks: Sequence[CheckResult]) -> list[JsonValue]:
    """Return check results in the form kept in the journal."""
    return [{**asdict(check), "outcome": str(check.outcome)} for check in checks]


def require_passed(what: str, checks: Sequence[CheckResult], **more: JsonValue) -> None:
    """Raise StepFailedError, with every result, when a check failed or could not be finished."""
    bad = [c for c in checks if c.outcome in (Outcome.FAILED, Outcome.UNKNOWN)]
    if bad:
        first = bad[0]
        raise StepFailedError(
            f"{what}: {len(bad)} of {len(checks)} checks did not pass; {first.name}: "
            f"expected {first.expected}, found {first.actual}"
            + (f" ({first.detail})" if first.detail else ""),
            result={"checks": checks_json(checks), **more},
            hint="Run `processpilot run show` for all of them, then retry, skip or abort.",
        )

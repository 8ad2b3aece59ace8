"""The contract between recovery and whatever runs a component.

A driver speaks for one component. Its calls block and may be made from one thread at a time.

`status()` reports what the supervisor knows now. `stopped` and `failed` both mean that no process
runs at this moment; `failed` adds that the supervisor did not want it so, and may be about to try
again. `unknown` covers everything between: starting, stopping, a supervisor that cannot tell. Only
after `hold()` does either word mean that nothing will run a moment later.

`start()` and `stop()` may be repeated: what is already so is left alone. They return when the
supervisor confirms the new state. When it does not within the driver's `timeout_s` they raise
UnavailableError with the supervisor's last words; the supervisor may still be trying, so a caller
that gives up calls `hold()`.

`hold()` stops the component and keeps anything from starting it until `release()`. It returns only
when the component is down and the hold is in force, and it may be repeated. `release()` ends the
hold and starts nothing. A driver whose supervisor cannot prevent a start declares `holds` false:
its `hold()` only stops, and the caller must make sure in another way, or refuse to go on. What a
true `holds` does not cover is written in that driver's module.

A supervisor that cannot be reached or refuses raises UnavailableError; one that does not know the
component raises NotFoundError. Neither is ever reported as a state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ServiceState(StrEnum):
    """What a supervisor says of a component."""

    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One answer of a supervisor; `detail` is in its own words, `pid` only while a process runs."""

    state: ServiceState
    detail: str
    pid: int | None


class ServiceDriver(Protocol):
    """One component, as its supervisor controls it."""

    @property
    def name(self) -> str:
        """What messages call the component: the supervisor's own name for it."""
        ...

    @property
    def holds(self) -> bool:
        """Whether `hold()` truly prevents a start, including a restart by the supervisor itself."""
        ...

    def status(self) -> ServiceStatus:
        """Return what the supervisor says now."""
        ...

    def start(self) -> None:
        """Return when the supervisor says the component is running."""
        ...

    def stop(self) -> None:
        """Return when no process of the component is running."""
        ...

    def hold(self) -> None:
        """Return when the component is down and stays down until `release()`."""
        ...

    def release(self) -> None:
        """Allow starting again, without starting."""
        ...

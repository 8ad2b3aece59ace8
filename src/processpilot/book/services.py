"""The commands by which people start and stop a component when nothing does it for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from processpilot.plan.component import (
    Component,
    Pm2Process,
    StartStopCommands,
    SupervisordProgram,
    SystemdUnit,
)
from processpilot.plan.wording import shell_words


def service_commands(component: Component) -> Iterator[str]:
    """Yield the commands that start it, stop it and show its status, as far as they are known."""
    match component.service:
        case StartStopCommands() as service:
            given = (service.start, service.stop, service.status)
            yield from (shell_words(argv) for argv in given if argv is not None)
        case SystemdUnit() as service:
            user = ("--user",) if service.user else ()
            yield from _verbs(("systemctl", *user), service.unit)
        case SupervisordProgram() as service:
            yield from _verbs(("supervisorctl", "-s", service.server), service.name)
        case Pm2Process() as service:
            home = () if service.home is None else ("env", f"PM2_HOME={service.home}")
            yield from _verbs((*home, service.program), service.name, status="describe")
        case None:
            pass


def _verbs(program: Sequence[str], name: str, *, status: str = "status") -> Iterator[str]:
    for verb in ("start", "stop"):
        yield shell_words((*program, verb, name))
    yield shell_words((*program, status, name))

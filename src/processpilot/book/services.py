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


def service_commands(component: Component) -> Iterator[tuple[str, str]]:
    """Yield pairs of what a command does (start, stop, status) and the command itself."""
    match component.service:
        case StartStopCommands() as service:
            given = {"start": service.start, "stop": service.stop, "status": service.status}
            for verb, argv in given.items():
                if argv is not None:
                    yield verb, shell_words(argv)
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


def _verbs(
    program: Sequence[str], name: str, *, status: str = "status"
) -> Iterator[tuple[str, str]]:
    for verb in ("start", "stop"):
        yield verb, shell_words((*program, verb, name))
    yield "status", shell_words((*program, status, name))

"""What a plan names: every command, address, unit and path in it, with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel

from processpilot.feasibility.shell import SimpleCommand, commands_of
from processpilot.feasibility.study import Placed, Study
from processpilot.plan.act import CommandAct
from processpilot.plan.component import StartStopCommands
from processpilot.plan.condition import CommandCondition
from processpilot.plan.probe import CommandProbe
from processpilot.plan.step import Group, SubRunbook


@dataclass(frozen=True, slots=True)
class NamedCommand:
    """A simple command, the argument list it is in, where, in whose folder, and for what.

    `runs` is False in what is kept for people only.
    """

    place: str
    user: str
    argv: tuple[str, ...]
    command: SimpleCommand
    folder: str
    runs: bool


def named_commands(study: Study) -> Iterator[NamedCommand]:
    """Yield every command of components, switches and steps, in the order of the file."""
    plan = study.plan
    for n, component in enumerate(plan.components):
        place = f"components[{n}]"
        if isinstance(component.service, StartStopCommands):
            for key in ("start", "stop", "status"):
                argv = getattr(component.service, key) or ()
                yield from _each(f"{place}.service.{key}", component.id, argv)
        if component.release is not None:
            for key in ("install", "build", "migrate"):
                argv = getattr(component.release, key)
                folder = component.release.folder
                yield from _each(f"{place}.release.{key}", component.id, argv, folder)
        for m, probe in enumerate(component.probes):
            if isinstance(probe, CommandProbe):
                user = f"{component.id}.{probe.id}"
                yield from _each(f"{place}.probes[{m}].argv", user, probe.argv)
    switches = [(f"toggles[{n}].switch", t.id, t.switch) for n, t in enumerate(plan.toggles)]
    for place, user, switch in (("maintenance", "maintenance", plan.maintenance), *switches):
        if switch is not None and switch.kind == "command":
            for key in ("on", "off", "status"):
                yield from _each(f"{place}.{key}", user, getattr(switch, key) or ())
    for placed in study.steps:
        yield from _of_step(placed)


def _of_step(placed: Placed) -> Iterator[NamedCommand]:
    step = placed.step
    if isinstance(step, Group | SubRunbook):
        return
    for key, act in (("", step), (".undo", step.undo)):
        if isinstance(act, CommandAct):
            place = f"{placed.place}{key}.argv"
            yield from _each(place, step.id, act.argv, act.folder or "", runs=placed.runs)
    conditions = [
        ("precondition", step.precondition),
        ("only_if", step.only_if),
        ("probe", step.probe),
        ("until", getattr(step, "until", None)),
        *((f"conditions[{n}]", c) for n, c in enumerate(getattr(step, "conditions", ()))),
    ]
    for key, condition in conditions:
        if isinstance(condition, CommandCondition):
            place = f"{placed.place}.{key}.argv"
            yield from _each(place, step.id, condition.argv, runs=placed.runs)


def _each(
    place: str, user: str, argv: Sequence[str], folder: str = "", *, runs: bool = True
) -> Iterator[NamedCommand]:
    if argv:
        for command in commands_of(argv):
            yield NamedCommand(place, user, tuple(argv), command, folder, runs)


_HOST = re.compile(
    r"(?<![\w+])(?!file:|unix:|s3:)[a-z][a-z0-9+]*://(?:[^@/\s\"']*@)?"
    r"(\[[^\]]+\]|[A-Za-z0-9._-]+)(?=[:/?#\s\"',]|$)"
)


def named_hosts(study: Study) -> Iterator[tuple[str, str]]:
    """Yield place and host of every address in the plan; folders and buckets have none."""
    for place, text in strings_of(study.plan, ""):
        key = place.rsplit(".", 1)[-1]
        if key == "host":
            yield place, text
        elif key == "dsn":
            hosts = str(conninfo_to_dict(text).get("host", ""))
            yield from (
                (place, host) for host in hosts.split(",") if host[:1] not in ("", "/", "@")
            )
        else:
            yield from ((place, match[1].strip("[]")) for match in _HOST.finditer(text))


def strings_of(value: object, place: str) -> Iterator[tuple[str, str]]:
    """Yield place and text of every string below a part of the plan, by the file's keys."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from strings_of(
                getattr(value, name), f"{place}.{field.alias or name}".lstrip(".")
            )
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings_of(inner, f"{place}.{key}")
    elif isinstance(value, tuple):
        for n, inner in enumerate(value):
            yield from strings_of(inner, f"{place}[{n}]")

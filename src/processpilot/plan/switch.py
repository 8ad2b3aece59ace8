"""Switches: maintenance mode and feature toggles, and the channels that messages go over."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from processpilot.plan.fields import Duration, Identifier, Record, SecretReference
from processpilot.plan.probe import HttpRequest


class SwitchCommands(Record):
    """Two programs that turn something on and off; `status` ends with 0 while it is on."""

    kind: Literal["command"]
    on: tuple[str, ...] = Field(min_length=1)
    off: tuple[str, ...] = Field(min_length=1)
    status: tuple[str, ...] | None = None
    timeout_s: Duration = Field(60.0, alias="timeout", gt=0)


class SwitchFile(Record):
    """A file that is there while it is on, for servers that look for one; `text` is its content."""

    kind: Literal["file"]
    path: str = Field(min_length=1)
    text: str = ""


class SwitchSql(Record):
    """Two statements that turn something on and off; `status` answers true while it is on."""

    kind: Literal["sql"]
    on: str = Field(min_length=1)
    off: str = Field(min_length=1)
    status: str | None = None


class SwitchHttp(Record):
    """Two requests that turn something on and off; `status` answers as expected while it is on."""

    kind: Literal["http"]
    on: HttpRequest
    off: HttpRequest
    status: HttpRequest | None = None


Switch = Annotated[
    SwitchCommands | SwitchFile | SwitchSql | SwitchHttp, Field(discriminator="kind")
]


class Toggle(Record):
    """A feature that can be turned off to bring the rest back sooner."""

    id: Identifier
    title: str
    switch: Switch


class Channel(Record):
    """Where messages go: an Apprise address, by reference because most hold a password."""

    id: Identifier
    title: str = ""
    url: SecretReference

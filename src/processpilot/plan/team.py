"""People: who fills which role, how they are reached, and who is woken when."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field

from processpilot.plan.fields import Duration, Identifier, Record, TimeZone


class Contact(Record):
    """How somebody is reached; whatever stands there is shown in the book as it is."""

    phone: str | None = None
    email: str | None = None
    chat: str | None = None


class Person(Contact):
    """Somebody, by the name that roles use; `accounts` are their logins on the control host.

    `channels` are tried in their order when this person is paged, until one delivers.
    """

    name: str = Field(min_length=1)
    accounts: tuple[str, ...] = ()
    channels: tuple[Identifier, ...] = ()


class WeeklyRotation(Record):
    """People who take turns of whole weeks, in this order, the first one from the week of `begin`.

    The turn changes on `weekday` (0 is Monday) at `at` (HH:MM) of the time zone.
    """

    kind: Literal["weekly"]
    id: Identifier
    title: str = ""
    people: tuple[str, ...] = Field(min_length=1)
    begin: date
    weekday: int = Field(0, ge=0, le=6)
    at: str = Field("09:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    timezone: TimeZone = "UTC"


class CalendarRotation(Record):
    """Who is on call by a calendar in iCal form: a file, or an address that is fetched and kept.

    The summary of each event is the name of a person of the team.
    """

    kind: Literal["calendar"]
    id: Identifier
    title: str = ""
    source: str = Field(min_length=1)
    timezone: TimeZone = "UTC"


Rotation = Annotated[WeeklyRotation | CalendarRotation, Field(discriminator="kind")]


class Role(Record):
    """A function in the emergency response team, and who fills it.

    With a `rotation`, whoever is on call is the primary, and the next one the secondary.
    """

    id: Identifier
    title: str
    primary: str | None = None
    secondary: str | None = None
    rotation: Identifier | None = None
    duties: tuple[str, ...] = ()
    contact: Contact | None = None


class EscalationLevel(Record):
    """Who is woken once an incident is that old and nobody has acknowledged it.

    `page` names "primary" or "secondary" (of every role), a role by its id, or a person.
    """

    title: str = ""
    after_s: Duration = Field(alias="after", ge=0)
    page: tuple[str, ...] = Field(min_length=1)


class Team(Record):
    """Who decides what, and who is woken when."""

    people: tuple[Person, ...] = ()
    rotations: tuple[Rotation, ...] = ()
    roles: tuple[Role, ...] = ()
    escalation: tuple[EscalationLevel, ...] = ()

"""People: who fills which role, how they are reached, and who is woken when."""

from __future__ import annotations

from pydantic import Field

from processpilot.plan.fields import Duration, Identifier, Record


class Contact(Record):
    """How somebody is reached; whatever stands there is shown in the book as it is."""

    phone: str | None = None
    email: str | None = None
    chat: str | None = None


class Person(Contact):
    """Somebody, by the name that roles use; `accounts` are their logins on the control host."""

    name: str = Field(min_length=1)
    accounts: tuple[str, ...] = ()


class Role(Record):
    """A function in the emergency response team, and who fills it."""

    id: Identifier
    title: str
    primary: str | None = None
    secondary: str | None = None
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
    roles: tuple[Role, ...] = ()
    escalation: tuple[EscalationLevel, ...] = ()

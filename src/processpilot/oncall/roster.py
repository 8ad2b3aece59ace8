"""The roster: who is on call for each role at a moment, and who comes next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from processpilot.errors import NotFoundError, UsageError
from processpilot.oncall.feed import KeptCalendar
from processpilot.oncall.shift import Shift, Shifts
from processpilot.oncall.weekly import weekly_shifts
from processpilot.plan.team import CalendarRotation, Person, Role, Rotation, Team

_AHEAD = timedelta(days=120)
_NOBODY: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class OnCall:
    """Who is on call for a role; `until` is when a rotation's turn changes, None without one.

    `source` is what says so: "plan", "rotation ID", or "handed over".
    """

    role: str
    primary: str | None
    secondary: str | None
    source: str
    until: datetime | None = None
    warning: str | None = None


@dataclass(frozen=True, slots=True)
class Roster:
    """The team's rotations, ready to be asked; `warnings` are those of each rotation."""

    team: Team
    shifts: Mapping[str, Shifts]
    warnings: Mapping[str, str] = field(default_factory=dict)

    def on_call(self, role_id: str, at: datetime, handed: Mapping[str, str] = _NOBODY) -> OnCall:
        """Return who is on call; a role that was handed over is with whom it was handed to.

        Whoever would be on call otherwise is then the secondary. Where a rotation has nobody at
        that time, the role's own primary and secondary step in, and the answer says so.
        """
        regular = self._regular(self.role(role_id), at)
        if role_id not in handed:
            return regular
        holder = self.known_as(handed[role_id])
        others = (name for name in (regular.primary, regular.secondary) if name != holder)
        return OnCall(role_id, holder, next(others, None), "handed over", None, regular.warning)

    def turns(self, role_id: str, begin: datetime, end: datetime) -> tuple[Shift, ...]:
        """Return who is on call between two moments, each turn whole; plain roles have one."""
        role = self.role(role_id)
        if role.rotation is not None:
            return tuple(
                Shift(self.known_as(s.person), s.begin_at, s.end_at)
                for s in self.shifts[role.rotation](begin, end)
            )
        return () if role.primary is None else (Shift(role.primary, begin, end),)

    def role(self, role_id: str) -> Role:
        """Return a role of the plan; NotFoundError names those there are."""
        found = next((role for role in self.team.roles if role.id == role_id), None)
        if found is None:
            known = ", ".join(role.id for role in self.team.roles) or "none"
            raise NotFoundError(f'the plan has no role "{role_id}"; it has: {known}')
        return found

    def known_as(self, name: str) -> str:
        """Return the name of the person who is meant by a name or an account."""
        found = find_person(self.team, name)
        return name if found is None else found.name

    def _regular(self, role: Role, at: datetime) -> OnCall:
        if role.rotation is None:
            return OnCall(role.id, role.primary, role.secondary, "plan")
        warning = self.warnings.get(role.rotation)
        found = self.shifts[role.rotation](at, at + _AHEAD)
        now = [shift for shift in found if shift.covers(at)]
        if not now:
            missing = f"rotation {role.rotation} has nobody at that time"
            warning = missing if warning is None else f"{missing}; {warning}"
            return OnCall(role.id, role.primary, role.secondary, "plan", None, warning)
        # The one that began last: calendars lay an exception over the rule.
        current = max(now, key=lambda shift: (shift.begin_at, shift.person))
        names = [self.known_as(s.person) for s in found if s.begin_at > current.begin_at]
        primary = self.known_as(current.person)
        following = next((name for name in names if name != primary), role.secondary)
        source = f"rotation {role.rotation}"
        return OnCall(role.id, primary, following, source, current.end_at, warning)


def roster_of(team: Team, calendars: Mapping[str, KeptCalendar]) -> Roster:
    """Return the team's roster; `calendars` are those of its rotations by calendar."""
    shifts: dict[str, Shifts] = {}
    warnings: dict[str, str] = {}
    for rotation in team.rotations:
        kept = calendars.get(rotation.id)
        if kept is not None and kept.warning is not None:
            warnings[rotation.id] = kept.warning
        try:
            shifts[rotation.id] = _shifts(rotation, calendars)
        except UsageError as error:
            # Paging goes on with the roles' own people.
            shifts[rotation.id] = _nobody
            warnings[rotation.id] = error.message
    return Roster(team, shifts, warnings)


def find_person(team: Team, name: str) -> Person | None:
    """Return the person of that name, however it is capitalised, or of that account."""
    wanted = name.strip().casefold()
    for person in team.people:
        if person.name.casefold() == wanted or name in person.accounts:
            return person
    return None


def _shifts(rotation: Rotation, calendars: Mapping[str, KeptCalendar]) -> Shifts:
    if not isinstance(rotation, CalendarRotation):
        return weekly_shifts(rotation)
    kept = calendars.get(rotation.id)
    if kept is None or kept.calendar is None:
        return _nobody
    return kept.calendar.shifts


def _nobody(begin: datetime, end: datetime) -> tuple[Shift, ...]:
    return ()

"""What is known of the plan while steps are read: components, roles, and what --base brings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from processpilot.plan.component import Pm2Process, SupervisordProgram, SystemdUnit
from processpilot.plan.load import LoadedPlan
from processpilot.prose.words import word_set

# What people call the parts of an application, by the id that our own plans give them.
_CALLED = {
    "database": {
        "database", "databases", "datenbank", "db", "postgres", "postgresql", "cluster",
    },
    "api": {"api", "backend", "app", "application", "anwendung", "server"},
    "frontend": {"frontend", "ui", "website", "webapp", "web", "portal"},
    "email": {"email", "mail", "mailer", "smtp"},
    "analytics": {"analytics", "reporting", "reports", "statistics"},
}  # fmt: skip
_STRONG = {
    "database": {"database", "datenbank", "db", "postgres", "postgresql"},
    "api": {"api", "backend"},
    "frontend": {"frontend"},
    "email": {"email", "mail"},
    "analytics": {"analytics"},
}
_COMMANDER = re.compile(
    r"incident (?:commander|manager|lead|coordinator)|commander|crisis manager|(?:duty|major "
    r"incident) manager|einsatzleit|krisenmanage|notfallmanage|notfallleit",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe of a component, by its full name."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Part:
    """A component as far as steps care: what it is called, what it needs, what it can do."""

    id: str
    title: str
    depends_on: tuple[str, ...] = ()
    probes: tuple[Probe, ...] = ()
    runs_as: str | None = None
    has_service: bool = False
    has_release: bool = False

    @property
    def words(self) -> frozenset[str]:
        """The words that mean it."""
        own = word_set(self.title) | word_set(self.id)
        called = [words for name, words in _CALLED.items() if own & _STRONG[name]]
        weak = {"service", "system", "team", "and", "the", "of", "main", "layer", "tier"}
        return (own - weak).union(*called)


@dataclass(frozen=True, slots=True)
class Duty:
    """A role, by its id and what it is called."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Known:
    """Everything that readers of steps may refer to."""

    file: str
    parts: tuple[Part, ...]
    roles: tuple[Duty, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()

    @property
    def commander(self) -> str | None:
        """The role that decides, or None where the document names none."""
        return next((role.id for role in self.roles if _COMMANDER.search(role.title)), None)

    @property
    def database(self) -> str | None:
        """The id of the component that is the database."""
        found = [p.id for p in self.parts if word_set(f"{p.title} {p.id}") & _STRONG["database"]]
        return found[0] if found else None

    def part(self, identifier: str) -> Part | None:
        """Return the component of that id, or None."""
        return next((part for part in self.parts if part.id == identifier), None)

    def named(self, text: str) -> Part | None:
        """Return the component that a text speaks of most, or None."""
        words = word_set(text)
        scored = [(len(words & part.words), -n, part) for n, part in enumerate(self.parts)]
        best = max(scored, default=None, key=lambda item: item[:2])
        return best[2] if best and best[0] else None

    def needing(self, identifier: str) -> tuple[str, ...]:
        """Return the ids of what depends on a component, directly or not, in the plan's order."""
        found = {identifier}
        for _ in self.parts:
            found |= {part.id for part in self.parts if found & set(part.depends_on)}
        return tuple(p.id for p in self.parts if p.id in found - {identifier})

    def role(self, text: str) -> str | None:
        """Return the id of the role that a text names, by title, by its words or its initials."""
        lowered = text.lower()
        for role in sorted(self.roles, key=lambda role: -len(role.title)):
            if role.title.lower() in lowered:
                return role.id
        words = word_set(text)
        for role in self.roles:
            initials = "".join(word[0] for word in role.title.split()).lower()
            if len(initials) > 1 and initials in words:
                return role.id
        if "dba" in words:
            return next((r.id for r in self.roles if "database" in r.title.lower()), None)
        weak = {"team", "lead", "the", "and", "of", "on", "call", "manager", "engineer"}
        scored = [(len(word_set(r.title) & words - weak), r.id) for r in self.roles]
        best = max(scored, default=(0, ""))
        return best[1] if best[0] and len(words) <= 6 else None

    def service(self, unit: str) -> Part | None:
        """Return the component that runs under that name, or that the name speaks of."""
        unit = unit.removesuffix(".service")
        able = [part for part in self.parts if part.has_service]
        for part in able:
            if part.runs_as == unit:
                return part
        words = word_set(unit)
        return next((p for p in able if words & (p.words - {"server", "app", "application"})), None)


def canonical(title: str) -> str | None:
    """Return the id our own plans give to such a component, or None."""
    words = word_set(title)
    return next((name for name, strong in _STRONG.items() if words & strong), None)


def base_parts(base: LoadedPlan) -> Mapping[str, Part]:
    """Return the components of a plan by their ids."""
    found = {}
    for c in base.plan.components:
        match c.service:
            case SystemdUnit(unit=name):
                runs_as: str | None = name.removesuffix(".service")
            case SupervisordProgram(name=name) | Pm2Process(name=name):
                runs_as = name
            case _:
                runs_as = None
        probes = tuple(Probe(f"{c.id}.{p.id}", p.kind) for p in c.probes)
        found[c.id] = Part(
            c.id, c.title, c.depends_on, probes, runs_as, c.service is not None,
            c.release is not None,
        )  # fmt: skip
    return found


def assumed_needs(identifiers: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Return what each component probably depends on: the database, and the API before a page."""
    needs: dict[str, tuple[str, ...]] = {}
    for name in identifiers:
        if name == "frontend" and "api" in identifiers:
            needs[name] = ("api",)
        elif name != "database" and "database" in identifiers:
            needs[name] = ("database",)
    return needs

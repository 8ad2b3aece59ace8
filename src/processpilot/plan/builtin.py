"""The plans we write ourselves: for any database (`init`), and for the application ProcessPilot.

Both carry the scenario "database-failure". The second has the five components, objectives, roles
and checklist of the disaster recovery runbook this product started from, "application-failure" and
"complete-failure".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_RESOURCES = Path(__file__).with_name("builtin")
SCHEMA_LINE = "# yaml-language-server: $schema=processpilot.schema.json\n"


@dataclass(frozen=True, slots=True)
class Basics:
    """What every plan says first: the server, the repository and how both are reached."""

    name: str
    dsn: str
    repository_url: str
    password: str | None = None
    data_dir: str | None = None
    bin_dir: str | None = None
    superuser: str = "postgres"
    identity: str = "file:.processpilot/secrets/operator.key"
    repository_id: str | None = None
    storage: Mapping[str, str | bool] = field(default_factory=dict)
    mode: str = "asynchronous"
    tail_interval: str = "2s"
    heartbeat: bool = True
    autonomy: str = "approve"


@dataclass(frozen=True, slots=True)
class FrontPlaces:
    """nginx in front of the application: its address, and the file that closes it."""

    url: str
    maintenance_file: str


@dataclass(frozen=True, slots=True)
class ReleasePlaces:
    """The git work tree of the application's releases, and what its build and migration need."""

    folder: str
    python: str
    database_url_file: str


@dataclass(frozen=True, slots=True)
class ApplicationPlaces:
    """Where the application ProcessPilot runs: its address, its supervisor, the load's ledger.

    Without `front` the application serves its page itself; only with it, releases are changed.
    `performance_factor` is how much slower than before answers may be after a recovery.
    """

    url: str
    supervisor: str
    password: str
    ledger: str | None = None
    probe_every: str = "2s"
    front: FrontPlaces | None = None
    releases: ReleasePlaces | None = None
    performance_factor: float = 3.0


def starter_plan(basics: Basics) -> str:
    """Return the text of a plan for one database about whose application nothing is known."""
    return "".join(
        (
            _resource("head.yaml"),
            _basics_text(basics),
            _resource("database-only.yaml"),
            _resource("team.yaml"),
            _resource("database-failure.yaml")
            .replace("\n      - {probe: api.health", "\n      # - {probe: api.health")
            .replace(
                "\n      - {probe: api.authentication", "\n      # - {probe: api.authentication"
            ),
            _resource("validation-starter.yaml"),
        )
    )


def application_plan(basics: Basics, places: ApplicationPlaces) -> str:
    """Return the text of the plan for the application ProcessPilot."""
    text = "".join(_resource(name) for name in _application_parts(places))
    limit = f"\nperformance_factor: {places.performance_factor:g}\n"
    head = _resource("head.yaml") + _basics_text(basics)
    return head + _fill(text, _values(places)) + limit


def _application_parts(places: ApplicationPlaces) -> Iterator[str]:
    """Yield the resources of the plan in their order; each continues the one before."""
    has_releases = places.front is not None and places.releases is not None
    yield "components.yaml"
    if has_releases:
        yield "release.yaml"
    yield "frontend.yaml" if places.front is None else "frontend-nginx.yaml"
    yield from ("workers.yaml", "switches.yaml")
    if places.front is not None:
        yield "maintenance.yaml"
    yield from ("team.yaml", "people.yaml", "database-failure.yaml", "application-failure.yaml")
    if places.front is not None:
        yield "application-frontend.yaml"
    yield "application-restart.yaml"
    if has_releases:
        yield "application-rollback.yaml"
    yield "application-end.yaml"
    if has_releases:
        yield "release-forward.yaml"
    yield "validation.yaml"
    if places.ledger is not None:
        yield "ledger.yaml"


def _values(places: ApplicationPlaces) -> Mapping[str, str]:
    front, releases = places.front, places.releases
    values = {
        "url": places.url,
        "front": places.url if front is None else front.url,
        "seen": "frontend.page" if front is None else "frontend.gateway",
        "supervisor": places.supervisor,
        "password": places.password,
        "every": places.probe_every,
    }
    if front is not None:
        values["maintenance"] = front.maintenance_file
    if releases is not None:
        values["folder"] = releases.folder
        values["python"] = releases.python
        values["database-url-file"] = releases.database_url_file
    if places.ledger is not None:
        values["ledger"] = places.ledger
    return values


def _fill(text: str, values: Mapping[str, str]) -> str:
    """Replace every <name> by its value, quoted as YAML; what a value contains is left alone."""

    def value_of(found: re.Match[str]) -> str:
        return '"' + _inner(values[found[1]])

    return re.sub(r'"<([a-z-]+)>', value_of, text)


def _inner(value: str) -> str:
    """Return a text as YAML writes it between quotes; JSON's pairs of surrogates are none there."""
    return "".join(
        f"\\U{ord(letter):08x}" if ord(letter) > 0xFFFF else json.dumps(letter)[1:-1]
        for letter in value
    )


def _basics_text(basics: Basics) -> str:
    lines = [
        f"name: {_quoted(basics.name)}",
        "# approve: a person agrees before the swap; act: nobody is asked",
        f"autonomy: {basics.autonomy}",
        "",
        "database:",
        f"  dsn: {_quoted(basics.dsn)}",
        *_optional("  password", basics.password),
        *_optional("  data_dir", basics.data_dir),
        *_optional("  bin_dir", basics.bin_dir),
        f"  superuser: {_quoted(basics.superuser)}",
        "",
        "repository:",
        f"  url: {_quoted(basics.repository_url)}",
        *_optional("  id", basics.repository_id),
        *_storage(basics.storage),
        f"  identity: {_quoted(basics.identity)}",
        "",
        "protection:",
        f"  mode: {basics.mode}  # synchronous: commits wait until the receiver has them",
        f"  tail_interval: {basics.tail_interval}",
        f"  heartbeat: {json.dumps(basics.heartbeat)}",
        "",
        "backup:",
        '  schedule: "0 3 * * *"',
        "  retention: {last: 7, daily: 14, weekly: 8, monthly: 12}",
        "",
    ]
    return "\n".join(lines)


def _optional(key: str, value: str | None) -> Sequence[str]:
    return () if value is None else (f"{key}: {_quoted(value)}",)


def _storage(options: Mapping[str, str | bool]) -> Sequence[str]:
    if not options:
        return ()
    return ("  options:", *(f"    {key}: {json.dumps(value)}" for key, value in options.items()))


def _quoted(value: str) -> str:
    return f'"{_inner(value)}"'


def _resource(name: str) -> str:
    return (_RESOURCES / name).read_text()

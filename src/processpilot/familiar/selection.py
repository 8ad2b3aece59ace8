"""Which probes and validation checks of a plan a familiar name is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from processpilot.plan.component import Component, Priority
from processpilot.plan.model import HttpCheck, Plan, SqlCheck
from processpilot.plan.probe import HttpProbe, ProbeSpec

# Words of their own, so that neither "author" nor "sauth" counts.
_SIGNING_IN = re.compile(r"(?<![a-z])(auth|authenticat\w*|login|log-in|signin|sign-in)(?![a-z])")


@dataclass(frozen=True, slots=True)
class Questions:
    """Probes with their components, and validation checks, in the plan's order of starting."""

    probes: Sequence[tuple[Component, ProbeSpec]]
    checks: Sequence[HttpCheck | SqlCheck]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to ask."""
        return not self.probes and not self.checks


def every_question(plan: Plan) -> Questions:
    """Return all of the plan's probes and validation checks."""
    probes = [(c, spec) for c in plan.start_order() for spec in c.probes]
    return Questions(probes, plan.validation)


def about_signing_in(plan: Plan) -> Questions:
    """Return those with auth, authentication, login or sign-in in their name or address."""
    every = every_question(plan)
    return Questions(
        [(c, spec) for c, spec in every.probes if _signs_in(spec.id, spec)],
        [check for check in every.checks if _signs_in(check.name, check)],
    )


def of_critical_components(plan: Plan) -> Questions:
    """Return the probes of critical components and the checks that reach them.

    An HTTP check reaches the component whose probe has the same host and port; a query on the
    plan's database always counts.
    """
    critical = [c for c in plan.start_order() if c.priority is Priority.CRITICAL]
    probes = [(c, spec) for c in critical for spec in c.probes]
    places = {_place(spec.url) for _, spec in probes if isinstance(spec, HttpProbe)}
    return Questions(
        probes,
        [
            check
            for check in plan.validation
            if (_place(check.url) in places if isinstance(check, HttpCheck) else check.dsn is None)
        ],
    )


def _signs_in(name: str, spec: object) -> bool:
    address = spec.url if isinstance(spec, HttpProbe | HttpCheck) else ""
    return any(_SIGNING_IN.search(text.lower()) for text in (name, address))


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port

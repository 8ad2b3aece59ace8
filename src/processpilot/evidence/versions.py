"""Which software a report was made with."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from processpilot import __version__


def versions(server: str | None) -> Mapping[str, str]:
    """Return the versions that a report names; `server` is PostgreSQL's, where known."""
    found = {
        "processpilot": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }
    return found if server is None else {**found, "postgresql": server}

"""Tries to reach things, from wherever it is run (python -m ...reach KIND:WHAT...).

Prints one JSON object: for each target what came of it, "reached" or why not. Inside a drill's
namespaces nothing must be reached; outside it shows that the same targets are there.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

REACHED = "reached"
_LIMIT_S = 2.0


def reach(target: str) -> str:
    """Return REACHED, or the name of what stood in the way."""
    kind, _, what = target.partition(":")
    try:
        if kind == "tcp":
            host, _, port = what.rpartition(":")
            socket.create_connection((host, int(port)), timeout=_LIMIT_S).close()
        elif kind == "unix":
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(_LIMIT_S)
                link.connect(what)
        elif kind == "sockets":
            return _first_reached(what.split(os.pathsep))
        elif kind == "process":
            os.kill(int(what), 0)
        elif kind == "write":
            with tempfile.TemporaryFile(dir=what):
                pass
        elif kind == "network":
            names = sorted(name for _, name in socket.if_nameindex() if name != "lo")
            return REACHED if names or _has_routes() else "only a loopback, no route"
        else:
            raise ValueError(f"{target} is no target")
    except TimeoutError:
        # Something may have left this machine: only a refusal by this machine is none.
        return "no answer"
    except socket.gaierror:
        return "no address"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return REACHED


def _first_reached(paths: Sequence[str]) -> str:
    answers = [reach(f"unix:{path}") for path in paths if path]
    wrong = [answer for answer in answers if answer not in ("ECONNREFUSED", "ENOENT")]
    return wrong[0] if wrong else "ECONNREFUSED"


def _has_routes() -> bool:
    return len(Path("/proc/net/route").read_text().splitlines()) > 1


def main(targets: Sequence[str]) -> int:
    """Print what came of each target."""
    print(json.dumps({target: reach(target) for target in targets}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

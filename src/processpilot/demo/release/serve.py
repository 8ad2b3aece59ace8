"""Starts this release of the application."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from processpilot.demo.application.main import main

HERE = Path(__file__).parent
RELEASE = (HERE / "VERSION").read_text().strip()
BUILT = HERE / "built" / "VERSION"


def serve() -> int:
    """Serve, if what was built is what is checked out; return the exit status."""
    built = BUILT.read_text().strip() if BUILT.exists() else "nothing"
    if built != RELEASE:
        sys.stderr.write(f"release {RELEASE} is checked out and {built} is built\n")
        return 1
    os.environ["RELEASE"] = RELEASE
    return main()


if __name__ == "__main__":
    sys.exit(serve())

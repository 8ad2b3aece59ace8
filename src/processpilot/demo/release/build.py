"""Builds this release: what was built is in the folder `built`, beside the sources."""

from __future__ import annotations

import compileall
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent


def build() -> int:
    """Compile the sources and write down which release they are; return the exit status."""
    built = HERE / "built"
    built.mkdir(exist_ok=True)
    whole = all(compileall.compile_file(path, quiet=1) for path in HERE.glob("*.py"))
    shutil.copy(HERE / "VERSION", built / "VERSION")
    sys.stdout.write(f"built {(built / 'VERSION').read_text()}")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(build())

"""`python -m processpilot.demo`: what `processpilot demo` runs."""

from __future__ import annotations

import sys

from processpilot.demo.command import main

if __name__ == "__main__":
    sys.exit(main())

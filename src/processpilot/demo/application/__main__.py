"""Lets `python -m processpilot.demo.application` start the application; `main` does the work."""

import sys

from processpilot.demo.application.main import main

sys.exit(main())

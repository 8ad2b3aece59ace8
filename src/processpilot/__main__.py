"""`python -m processpilot` is `processpilot`."""

from processpilot.cli.main import main

if __name__ == "__main__":
    main()

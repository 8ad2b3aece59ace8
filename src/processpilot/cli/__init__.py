"""The command line: one file per command. Each parses, calls and renders; none holds a rule."""

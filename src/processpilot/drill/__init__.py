"""Drills: recovery rehearsed on the real path, in isolation, measured against the objectives.

Owns what a drill is, walks, leaves and is worth. How files are written and log is replayed is
`restore`'s; the same code walks it in a real recovery.
"""

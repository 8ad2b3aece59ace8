"""Asking whether things work: probes now and then, and the checks after a recovery.

A failed probe or check is an outcome, never an exception. What follows from it is decided above.
"""

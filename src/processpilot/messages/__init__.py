"""Sending words to people over the channels that the plan names.

What did not arrive is told, and never raised: a failing channel fails no run.
"""

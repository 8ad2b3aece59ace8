"""Restoring: resolve a target, plan, write files, replay the log, prove the result, swap.

A restore never overwrites: it builds beside, and nothing is promoted before what was reached has
been compared with what was planned.
"""

"""Incidents: noticing that something is wrong, naming the scenario, and the run that answers it.

Minimal for now: an incident is declared, gets a run, and is resolved with the run's verdict.
"""

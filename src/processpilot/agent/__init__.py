"""The agent, which `processpilot up` runs: the log stream, schedules, probes, incidents, runs.

`recover` and `run resume` use the same agent without probes and schedules.
"""

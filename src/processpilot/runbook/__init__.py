"""Runs: one execution of a scenario's steps, as a pure state machine over journal events.

`state` folds events, `decide` says what comes next, `runner` does it and writes it down, `people`
adds what people decide. What a step does is an `action`, written above this floor.
"""

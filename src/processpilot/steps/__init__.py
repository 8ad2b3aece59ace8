"""What the general steps of a run do: programs, requests, statements, services, questions, words.

Each module is one action of the plan. How a run goes on afterwards is decided in `runbook`.
"""

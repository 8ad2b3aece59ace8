"""Evidence: what a run came to, from the journal alone, as report.json and report.html.

`report.json` is a contract: fields may be added, none changes its meaning (docs/report.md).
"""

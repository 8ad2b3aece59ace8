"""The demonstration's protected application: requests, approvals, and their history.

A small workflow engine on PostgreSQL that people log in to. It stands alone: it imports nothing
else of ProcessPilot and knows nothing of backups or recovery, as a customer's application would.
"""

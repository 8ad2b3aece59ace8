"""The append-only record of runs, decisions and evidence, kept on the control host.

It is one SQLite file beside the program, not in the database that is protected, so it outlives
the worst day. Every event carries the hash of the one before (`event`), an append is one durable
transaction (`journal`), and whoever drives a run holds a lease whose epoch refuses the appends of
a predecessor that does not know it was replaced (`lease`). Lists over many streams are read from
indexes (`streams`). A chain rewritten or cut short shows against a head that somebody kept
elsewhere (`head`). What the events mean is left to the rooms that write them.
"""

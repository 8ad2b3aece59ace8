"""Taking base backups and archiving the write-ahead log.

`create` is the procedure of a base backup; `protection` keeps the log streaming. What is stored
and how belongs to `repository`.
"""

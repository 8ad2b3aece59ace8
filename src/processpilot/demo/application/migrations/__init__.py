"""Alembic's folder: the revisions of the tables, oldest first."""

"""Runs the revisions on the connection that `migrate` hands over; Alembic executes this file."""

from alembic import context

from processpilot.demo.application.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()

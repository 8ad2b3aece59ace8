"""History that cannot be rewritten, and the indexes that work lists and reports need."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Refuse changes to history by trigger; index open steps, states and moments."""
    op.execute(
        """
        CREATE FUNCTION history_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'history is append-only' USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        "CREATE TRIGGER history_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history"
        " FOR EACH STATEMENT EXECUTE FUNCTION history_refuse_change()"
    )
    op.create_index(
        "approval_steps_waiting_idx",
        "approval_steps",
        ["role_id", "request_id"],
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("requests_state_id_idx", "requests", ["state", "id"])
    op.create_index("requests_created_at_idx", "requests", ["created_at"])


def downgrade() -> None:
    """Drop the trigger and the indexes; no data is touched."""
    op.drop_index("requests_created_at_idx", "requests")
    op.drop_index("requests_state_id_idx", "requests")
    op.drop_index("approval_steps_waiting_idx", "approval_steps")
    op.execute("DROP TRIGGER history_append_only ON history")
    op.execute("DROP FUNCTION history_refuse_change()")

"""Mail to be sent, figures over requests, signs of life of the workers, and switches."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

FEATURES = ("email-notifications",)


def upgrade() -> None:
    """Add the outbox, the rollups, the workers' rows and the features; mark who wrote history.

    History is rewritten once for its new column; its trigger does not see that.
    """
    _outbox()
    _rollups()
    op.create_table(
        "workers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "features",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.text("true")),
    )
    for name in FEATURES:
        op.get_bind().execute(sa.text("INSERT INTO features (name) VALUES (:name)"), {"name": name})


def downgrade() -> None:
    """Drop what this revision added, unsent mail included."""
    op.drop_index("history_written_by_idx", "history")
    op.drop_column("history", "written_by")
    for table in (
        "features",
        "workers",
        "rollup_progress",
        "decision_rollups",
        "request_rollups",
        "outbox",
    ):
        op.drop_table(table)


def _reference(name: str, target: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target), nullable=False)


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column(
            "key", sa.Uuid, nullable=False, unique=True, server_default=sa.func.gen_random_uuid()
        ),
        _reference("request_id", "requests.id"),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("position", sa.SmallInteger, nullable=False),
        _reference("recipient_id", "users.id"),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True)),
        sa.Column("refusal", sa.Text),
        sa.UniqueConstraint(
            "request_id", "event", "position", "recipient_id", name="outbox_event_recipient_key"
        ),
        sa.CheckConstraint("event IN ('asked', 'approved', 'rejected')", name="outbox_event_check"),
        sa.CheckConstraint("sent_at IS NULL OR refusal IS NULL", name="outbox_end_check"),
    )
    op.create_index(
        "outbox_unsent_idx",
        "outbox",
        ["id"],
        postgresql_where=sa.text("sent_at IS NULL AND refusal IS NULL"),
    )


def _rollups() -> None:
    op.create_table(
        "request_rollups",
        sa.Column("day", sa.Date, nullable=False),
        _reference("request_type_id", "request_types.id"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("day", "request_type_id", "state"),
    )
    op.create_table(
        "decision_rollups",
        sa.Column("day", sa.Date, nullable=False),
        _reference("request_type_id", "request_types.id"),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decisions", sa.BigInteger, nullable=False),
        sa.Column("latency_s", sa.Numeric, nullable=False),
        sa.Column("slowest_s", sa.Numeric, nullable=False),
        sa.PrimaryKeyConstraint("day", "request_type_id", "state"),
    )
    op.create_table(
        "rollup_progress",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("watermark", sa.BigInteger, nullable=False),
        sa.CheckConstraint("id = 1", name="rollup_progress_id_check"),
    )
    op.execute("INSERT INTO rollup_progress (id, watermark) VALUES (1, 0)")
    op.add_column(
        "history",
        sa.Column(
            "written_by",
            sa.BigInteger,
            nullable=False,
            server_default=sa.text("pg_current_xact_id()::text::bigint"),
        ),
    )
    op.create_index("history_written_by_idx", "history", ["written_by"])

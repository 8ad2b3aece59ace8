"""Users, roles, sessions, requests, approval steps and history, with the three approval paths."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

PATHS = {
    "leave": ("manager",),
    "expenses": ("manager", "finance"),
    "equipment": ("manager", "finance", "admin"),
}
ROLES = ("employee", "manager", "finance", "admin")


def upgrade() -> None:
    """Create the tables of the first release and the reference rows they need."""
    _people()
    _types()
    _requests()
    _steps()
    _history()
    _reference_rows()


def downgrade() -> None:
    """Drop everything the first release created, data included."""
    for table in (
        "history",
        "approval_steps",
        "requests",
        "approval_paths",
        "request_types",
        "sessions",
        "user_roles",
        "roles",
        "users",
    ):
        op.drop_table(table)


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True)


def _reference(name: str, target: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, sa.ForeignKey(target), nullable=nullable)


def _moment(name: str, *, nullable: bool = False, now: bool = True) -> sa.Column[object]:
    default = sa.func.now() if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def _people() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False, server_default=sa.text("true")),
        _moment("created_at"),
    )
    op.create_table("roles", _id(), sa.Column("name", sa.Text, nullable=False, unique=True))
    op.create_table(
        "user_roles",
        _reference("user_id", "users.id"),
        _reference("role_id", "roles.id"),
        sa.PrimaryKeyConstraint("user_id", "role_id"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        _reference("user_id", "users.id"),
        _moment("created_at"),
        _moment("expires_at", now=False),
        _moment("revoked_at", nullable=True, now=False),
        sa.CheckConstraint("octet_length(token_hash) = 32", name="sessions_token_hash_check"),
    )
    op.create_index("sessions_user_id_idx", "sessions", ["user_id"])


def _types() -> None:
    op.create_table("request_types", _id(), sa.Column("name", sa.Text, nullable=False, unique=True))
    op.create_table(
        "approval_paths",
        _reference("request_type_id", "request_types.id"),
        sa.Column("position", sa.SmallInteger, nullable=False),
        _reference("role_id", "roles.id"),
        sa.PrimaryKeyConstraint("request_type_id", "position"),
        sa.CheckConstraint("position > 0", name="approval_paths_position_check"),
    )


def _requests() -> None:
    op.create_table(
        "requests",
        _id(),
        sa.Column(
            "key", sa.Uuid, nullable=False, unique=True, server_default=sa.func.gen_random_uuid()
        ),
        _reference("request_type_id", "request_types.id"),
        _reference("requester_id", "users.id"),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("amount", sa.Numeric(12, 2)),
        sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'pending'")),
        sa.Column("body", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'")),
        _moment("created_at"),
        _moment("updated_at"),
        sa.CheckConstraint(
            "state IN ('pending', 'approved', 'rejected')", name="requests_state_check"
        ),
        sa.CheckConstraint("char_length(title) BETWEEN 1 AND 200", name="requests_title_check"),
        sa.CheckConstraint("amount >= 0", name="requests_amount_check"),
    )
    op.create_index("requests_requester_id_id_idx", "requests", ["requester_id", "id"])


def _steps() -> None:
    op.create_table(
        "approval_steps",
        _id(),
        _reference("request_id", "requests.id"),
        sa.Column("position", sa.SmallInteger, nullable=False),
        _reference("role_id", "roles.id"),
        sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'waiting'")),
        _reference("decided_by", "users.id", nullable=True),
        _moment("decided_at", nullable=True, now=False),
        sa.UniqueConstraint(
            "request_id", "position", name="approval_steps_request_id_position_key"
        ),
        sa.CheckConstraint("position > 0", name="approval_steps_position_check"),
        sa.CheckConstraint(
            "state IN ('waiting', 'approved', 'rejected', 'cancelled')",
            name="approval_steps_state_check",
        ),
        sa.CheckConstraint(
            "(state IN ('approved', 'rejected')) = (decided_by IS NOT NULL)"
            " AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="approval_steps_decision_check",
        ),
    )


def _history() -> None:
    op.create_table(
        "history",
        _id(),
        _reference("request_id", "requests.id"),
        _reference("actor_id", "users.id"),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("position", sa.SmallInteger),
        sa.Column("note", sa.Text, nullable=False, server_default=sa.text("''")),
        _moment("created_at"),
        sa.CheckConstraint(
            "event IN ('created', 'step_approved', 'step_rejected', 'approved', 'rejected')",
            name="history_event_check",
        ),
        sa.CheckConstraint(
            "(event IN ('step_approved', 'step_rejected')) = (position IS NOT NULL)",
            name="history_position_check",
        ),
    )
    op.create_index("history_request_id_id_idx", "history", ["request_id", "id"])


def _reference_rows() -> None:
    connection = op.get_bind()
    for role in ROLES:
        connection.execute(sa.text("INSERT INTO roles (name) VALUES (:role)"), {"role": role})
    for name, roles in PATHS.items():
        connection.execute(
            sa.text("INSERT INTO request_types (name) VALUES (:name)"), {"name": name}
        )
        for position, role in enumerate(roles, start=1):
            connection.execute(
                sa.text(
                    "INSERT INTO approval_paths (request_type_id, position, role_id)"
                    " SELECT t.id, :position, r.id FROM request_types t, roles r"
                    " WHERE t.name = :name AND r.name = :role"
                ),
                {"position": position, "name": name, "role": role},
            )

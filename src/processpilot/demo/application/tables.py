"""The tables as the program sees them; `migrations` creates them and adds triggers."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import JSON, LargeBinary, Uuid

Body = dict[str, object]


class Base(DeclarativeBase):
    """The root of every table class, and the Python types they share."""

    type_annotation_map = {
        str: Text,
        int: BigInteger,
        bytes: LargeBinary,
        date: Date,
        datetime: DateTime(timezone=True),
        UUID: Uuid,
        Body: JSON().with_variant(JSONB(), "postgresql"),
    }


class User(Base):
    """Somebody who may log in."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Role(Base):
    """A function in the organisation; approval steps ask for one."""

    __tablename__ = "roles"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class UserRole(Base):
    """Which roles a user has."""

    __tablename__ = "user_roles"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"), primary_key=True)


class LoginSession(Base):
    """One login; the token itself is never stored, only its SHA-256."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("octet_length(token_hash) = 32", name="sessions_token_hash_check"),
        Index("sessions_user_id_idx", "user_id"),
    )

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class RequestType(Base):
    """What can be asked for: leave, expenses, equipment."""

    __tablename__ = "request_types"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class ApprovalPath(Base):
    """The roles a type of request passes, in order of `position`, from 1."""

    __tablename__ = "approval_paths"
    __table_args__ = (CheckConstraint("position > 0", name="approval_paths_position_check"),)

    request_type_id: Mapped[int] = mapped_column(ForeignKey("request_types.id"), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"))


class Request(Base):
    """Something a user asked for; `key` is chosen by the client and makes a retry harmless."""

    __tablename__ = "requests"
    __table_args__ = (
        CheckConstraint(
            "state IN ('pending', 'approved', 'rejected')", name="requests_state_check"
        ),
        CheckConstraint("char_length(title) BETWEEN 1 AND 200", name="requests_title_check"),
        CheckConstraint("amount >= 0", name="requests_amount_check"),
        Index("requests_requester_id_id_idx", "requester_id", "id"),
        Index("requests_state_id_idx", "state", "id"),
        Index("requests_created_at_idx", "created_at"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[UUID] = mapped_column(unique=True, server_default=func.gen_random_uuid())
    request_type_id: Mapped[int] = mapped_column(ForeignKey("request_types.id"))
    requester_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    title: Mapped[str]
    amount: Mapped[Decimal | None] = mapped_column(Numeric(12, 2))
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    body: Mapped[Body] = mapped_column(server_default=text("'{}'"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApprovalStep(Base):
    """One role's say about one request; somebody has decided exactly if the state says so."""

    __tablename__ = "approval_steps"
    __table_args__ = (
        UniqueConstraint("request_id", "position", name="approval_steps_request_id_position_key"),
        CheckConstraint("position > 0", name="approval_steps_position_check"),
        CheckConstraint(
            "state IN ('waiting', 'approved', 'rejected', 'cancelled')",
            name="approval_steps_state_check",
        ),
        CheckConstraint(
            "(state IN ('approved', 'rejected')) = (decided_by IS NOT NULL)"
            " AND (decided_by IS NULL) = (decided_at IS NULL)",
            name="approval_steps_decision_check",
        ),
        Index(
            "approval_steps_waiting_idx",
            "role_id",
            "request_id",
            postgresql_where=text("state = 'waiting'"),
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("requests.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    role_id: Mapped[int] = mapped_column(ForeignKey("roles.id"))
    state: Mapped[str] = mapped_column(server_default=text("'waiting'"))
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    decided_at: Mapped[datetime | None]


class HistoryEntry(Base):
    """One thing that happened to a request; a trigger refuses changes and deletions.

    `written_by` is the number of the transaction that wrote it.
    """

    __tablename__ = "history"
    __table_args__ = (
        CheckConstraint(
            "event IN ('created', 'step_approved', 'step_rejected', 'approved', 'rejected')",
            name="history_event_check",
        ),
        CheckConstraint(
            "(event IN ('step_approved', 'step_rejected')) = (position IS NOT NULL)",
            name="history_position_check",
        ),
        Index("history_request_id_id_idx", "request_id", "id"),
        Index("history_written_by_idx", "written_by"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("requests.id"))
    actor_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    event: Mapped[str]
    position: Mapped[int | None] = mapped_column(SmallInteger)
    note: Mapped[str] = mapped_column(server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    written_by: Mapped[int] = mapped_column(
        server_default=text("pg_current_xact_id()::text::bigint")
    )


class OutboxEntry(Base):
    """A mail to be sent once; `key` makes its Message-ID, `refusal` is why it never will be.

    `position` is the step somebody is asked about, or the one that settled the request.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint(
            "request_id", "event", "position", "recipient_id", name="outbox_event_recipient_key"
        ),
        CheckConstraint("event IN ('asked', 'approved', 'rejected')", name="outbox_event_check"),
        CheckConstraint("sent_at IS NULL OR refusal IS NULL", name="outbox_end_check"),
        Index(
            "outbox_unsent_idx", "id", postgresql_where=text("sent_at IS NULL AND refusal IS NULL")
        ),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[UUID] = mapped_column(unique=True, server_default=func.gen_random_uuid())
    request_id: Mapped[int] = mapped_column(ForeignKey("requests.id"))
    event: Mapped[str]
    position: Mapped[int] = mapped_column(SmallInteger)
    recipient_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    sent_at: Mapped[datetime | None]
    refusal: Mapped[str | None]


class RequestRollup(Base):
    """How many requests of a type, made on a day (UTC), are in a state."""

    __tablename__ = "request_rollups"

    day: Mapped[date] = mapped_column(primary_key=True)
    request_type_id: Mapped[int] = mapped_column(ForeignKey("request_types.id"), primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    requests: Mapped[int]


class DecisionRollup(Base):
    """How many requests of a type were settled on a day (UTC), and how long that took."""

    __tablename__ = "decision_rollups"

    day: Mapped[date] = mapped_column(primary_key=True)
    request_type_id: Mapped[int] = mapped_column(ForeignKey("request_types.id"), primary_key=True)
    state: Mapped[str] = mapped_column(primary_key=True)
    decisions: Mapped[int]
    latency_s: Mapped[Decimal] = mapped_column(Numeric)
    slowest_s: Mapped[Decimal] = mapped_column(Numeric)


class RollupProgress(Base):
    """One row: history written by transactions below `watermark` is in the rollups."""

    __tablename__ = "rollup_progress"
    __table_args__ = (CheckConstraint("id = 1", name="rollup_progress_id_check"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    watermark: Mapped[int]


class Worker(Base):
    """When a worker last came round."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    beat_at: Mapped[datetime]


class Feature(Base):
    """Something that can be switched off to bring the rest back sooner."""

    __tablename__ = "features"

    name: Mapped[str] = mapped_column(primary_key=True)
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))

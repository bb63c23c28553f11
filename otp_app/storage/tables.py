"""The tables: verifications, users, sessions, reports, limits, audit, idempotency keys, events."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Enum,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from otp_app.verification.audit import Outcome
from otp_app.verification.deliveries import DeliveryStatus
from otp_app.verification.limits import Action
from otp_app.verification.models import OPEN, Channel, Flow, Status, Verification

if TYPE_CHECKING:
    from sqlalchemy import ColumnCollection, ColumnElement

    from otp_app.verification.sessions import Token

# Alembic can change only constraints that have a name, and SQLite assigns none.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}

SEALED = 255
"""Column width for an encrypted number, with room to spare: Fernet needs 100 or 120 characters."""


class Utc(TypeDecorator[datetime]):
    """A column of aware times in UTC. SQLite by itself does not store the time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ANN401 - a function or None
        """Return the conversion to a parameter. SQLAlchemy's own takes five times as long."""
        return _to_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:  # noqa: ANN401
        """Return the conversion from a stored value."""
        if dialect.name == "sqlite":
            return _from_text
        return super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert *value* to UTC.

        Raises:
            ValueError: *value* has no time zone, so it could be taken for local time.
        """
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Convert to UTC: PostgreSQL uses the time zone of its session."""
        return value and value.astimezone(UTC)


def _to_text(value: datetime | None) -> str | None:
    """Return *value* as SQLAlchemy stores it in SQLite, in UTC and without a zone."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(" ", "microseconds")[:26]


def _from_text(stored: str | None) -> datetime | None:
    return None if stored is None else datetime.fromisoformat(stored).replace(tzinfo=UTC)


def _by_value(kind: type[StrEnum]) -> Enum:
    """Return a text type for *kind*. With a native enum, each new member would need a migration."""
    values = [str(member) for member in kind]
    return Enum(kind, native_enum=False, length=16, values_callable=lambda _: values)


class _Base(SQLModel):
    metadata = MetaData(naming_convention=_NAMES)  # not SQLModel's own, which Reflex shares


class VerificationRow(_Base, table=True):
    """A `Verification`, with the state that only the store needs."""

    __tablename__ = "verifications"

    id: str = Field(primary_key=True, sa_type=String(64))
    flow: str = Field(index=True, sa_type=String(64))
    """SHA-256 of the flow in hexadecimal, so that a copy of the database opens no verification."""

    phone: str = Field(sa_type=String(SEALED))
    """Number in E.164, encrypted if there is a key; see `numbers`."""

    phone_key: str | None = Field(index=True, sa_type=String(64))
    """Keyed hash of the number. None only between a migration and the start that fills it in."""

    provider: str = Field(sa_type=String(32))
    channel: Channel = Field(sa_type=_by_value(Channel))
    status: Status = Field(sa_type=_by_value(Status))
    attempts: int = Field(sa_column_kwargs={"server_default": "5"})
    """Guesses at the start. Flows that share a reference have this many together."""

    attempts_left: int
    guesses: int = Field(sa_column_kwargs={"server_default": "0"})
    """Guesses made at the current reference."""

    joined: bool = Field(sa_column_kwargs={"server_default": false()})
    """True if another flow had the reference first."""

    sends: int
    sent_at: datetime = Field(sa_type=Utc)
    resend_at: datetime = Field(sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc)
    reference: str | None = Field(index=True, sa_type=String(255))
    source: bytes | None = Field(sa_type=LargeBinary(16))
    """Key in `limits` of the client that requested the first message; see `conversions`."""

    counted_at: datetime | None = Field(sa_type=Utc)
    """Time at which the verification was counted as sent; None without an accepted message."""

    created_at: datetime = Field(sa_type=Utc)
    approved_at: datetime | None = Field(sa_type=Utc)
    exchanged: bool = Field(sa_column_kwargs={"server_default": false()})
    """True if the approval was exchanged for a session."""

    canceled: bool
    """True once the provider has nothing more to send or check under the reference."""

    cancels: int = Field(sa_column_kwargs={"server_default": "0"})
    """Number of times that the sweeper has tried to cancel at the provider."""

    cancel_at: datetime | None = Field(sa_type=Utc)
    """Earliest time of the next cancel; None before the first one."""


class UserRow(_Base, table=True):
    """A user with a proved number, in the columns of Twilio's guide to verified phone numbers."""

    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    phone_number: str = Field(sa_type=String(SEALED))
    phone_key: str | None = Field(unique=True, sa_type=String(64))
    """Keyed hash of the number. Its uniqueness ensures that a number has one user."""

    phone_verified_at: datetime | None = Field(sa_type=Utc)
    two_factor_enabled: bool = Field(sa_column_kwargs={"server_default": false()})
    created_at: datetime = Field(sa_type=Utc)


class SessionRow(_Base, table=True):
    """A session. The phone number is that of the verification."""

    __tablename__ = "sessions"

    token: str = Field(primary_key=True, sa_type=String(64))
    """SHA-256 of the token in hexadecimal, so that a copy of the database opens no session."""

    verification: str = Field(
        index=True, sa_type=String(64), foreign_key="verifications.id", ondelete="CASCADE"
    )
    seen_at: datetime = Field(sa_type=Utc)
    ends_at: datetime = Field(index=True, sa_type=Utc)


class DeliveryRow(_Base, table=True):
    """A `DeliveryReport` for one verification, deleted together with that verification."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("verification", "event"),)

    id: int | None = Field(default=None, primary_key=True)
    verification: str = Field(
        sa_type=String(64), foreign_key="verifications.id", ondelete="CASCADE"
    )
    event: str = Field(sa_type=String(128))
    reference: str = Field(sa_type=String(255))
    """Reference in the report. The verification may since have a new one; then the report is about
    an earlier message."""

    channel: Channel = Field(sa_type=_by_value(Channel))
    status: DeliveryStatus = Field(sa_type=_by_value(DeliveryStatus))
    at: datetime = Field(sa_type=Utc)
    """Time of the status, by the provider's clock, like `sent_at`."""

    sent_at: datetime | None = Field(sa_type=Utc)
    reason: str = Field(sa_type=String(32))


class LimitRow(_Base, table=True):
    """The uses of all limits by one subject, see `limit_rows`."""

    __tablename__ = "limits"
    __table_args__ = {"sqlite_with_rowid": False}

    key: bytes = Field(primary_key=True, sa_type=LargeBinary(16))
    """HMAC of the subject behind one byte for its kind."""

    until: int = Field(sa_type=BigInteger)
    """Time in microseconds since 1970 at which the last use leaves the window of its limit."""

    state: bytes = Field(sa_type=LargeBinary)


class Stage(StrEnum):
    """The stage of a provider call. Each stage has a separate row in the audit."""

    ASKED = "asked"
    ANSWERED = "answered"


class AuditRow(_Base, table=True):
    """A provider call: one row when the call begins, and a second row with the result."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    attempt: str = Field(sa_type=String(80))
    """Id of the call, the same in both rows."""

    stage: Stage = Field(sa_type=_by_value(Stage))
    at: datetime = Field(index=True, sa_type=Utc)
    event: Action = Field(sa_type=_by_value(Action))
    verification: str = Field(index=True, sa_type=String(64))
    provider: str = Field(sa_type=String(32))
    channel: Channel = Field(sa_type=_by_value(Channel))
    region: str = Field(sa_type=String(3))
    """ISO 3166-1 code, or 001 for numbers without a country."""

    number: str = Field(sa_type=String(64))
    """HMAC-SHA256 in hexadecimal, like that in `block` of the number without its last digits."""

    block: str = Field(sa_type=String(64))
    flow: str = Field(sa_type=String(64))
    source: str | None = Field(sa_type=String(64))
    """HMAC-SHA256 of the address or API key that requested a message. None for guesses, and in rows
    that are older than this column."""

    outcome: Outcome | None = Field(sa_type=_by_value(Outcome))
    detail: str | None = Field(sa_type=String(64))
    duration_ms: int | None


class IdempotencyRow(_Base, table=True):
    """An API request with an idempotency key, and its response once there is one."""

    __tablename__ = "idempotency"

    key: str = Field(primary_key=True, sa_type=String(64))
    """HMAC of the caller and the `Idempotency-Key`, in hexadecimal."""

    fingerprint: str = Field(sa_type=String(64))
    """HMAC of the request, in hexadecimal."""

    status: int | None
    body: str | None = Field(sa_type=Text)
    ends: datetime = Field(index=True, sa_type=Utc)


class _OutboxRow(_Base):
    """An event. The content is read from the verification, so no number is stored here."""

    verification: str = Field(
        primary_key=True, sa_type=String(64), foreign_key="verifications.id", ondelete="CASCADE"
    )
    """Id of the verification. A verification ends once, so it has one event at most."""

    at: datetime = Field(sa_type=Utc)
    """Time at which the verification ended."""

    attempts: int
    """Number of delivery attempts. An attempt is counted before it is made."""

    failure: str | None = Field(sa_type=String(64))
    """Reason for the last failed attempt."""


class EventRow(_OutboxRow, table=True):
    """An event that is still to be delivered, or was delivered."""

    __tablename__ = "events"

    due_at: datetime = Field(sa_type=Utc)
    """Time of the next attempt. During an attempt, the time at which its claim expires."""

    delivered_at: datetime | None = Field(sa_type=Utc)


class DeadEventRow(_OutboxRow, table=True):
    """A dead letter: an event that is no longer retried."""

    __tablename__ = "dead_events"

    died_at: datetime = Field(sa_type=Utc)


metadata = _Base.metadata
audit: Table = metadata.tables["audit"]
idempotency: Table = metadata.tables["idempotency"]
dead_events: Table = metadata.tables["dead_events"]
events: Table = metadata.tables["events"]
limits: Table = metadata.tables["limits"]
verifications: Table = metadata.tables["verifications"]
users: Table = metadata.tables["users"]
sessions: Table = metadata.tables["sessions"]
deliveries: Table = metadata.tables["deliveries"]

_IS_OPEN = text("status IN ({})".format(", ".join(f"'{status}'" for status in sorted(OPEN))))
Index(
    "uq_verifications_open_flow",
    verifications.c.flow,
    unique=True,
    sqlite_where=_IS_OPEN,
    postgresql_where=_IS_OPEN,
)
Index("uq_audit_attempt", audit.c.attempt, audit.c.stage, unique=True)
Index("ix_audit_number", audit.c.number, audit.c.at)
Index("ix_events_due", events.c.delivered_at, events.c.due_at)
# The time is the first column, because the query for rows to delete uses the index too.
Index("ix_verifications_ended", verifications.c.expires_at, verifications.c.canceled)


COLUMNS = [verifications.c[field.name] for field in fields(Verification)]
"""The columns that make up a `Verification`."""


def sha256_hex(secret: Flow | Token) -> str:
    """Return the SHA-256 of *secret* in hexadecimal, the only form in which it is stored.

    A stolen copy of the database therefore opens no verification or session.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def is_open(row: ColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Match open verifications. A flow has at most one of them, by a unique index."""
    status: ColumnElement[Status] = row["status"]
    return status.in_(sorted(OPEN))

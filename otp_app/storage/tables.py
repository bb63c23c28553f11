"""What the database keeps: verifications, proved numbers, uses of limits, the audit, events."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import (
    DateTime,
    Dialect,
    Enum,
    Index,
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
from otp_app.verification.models import OPEN, Channel, Status

# Alembic can change only what has a name, and SQLite gives none.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
}

SEALED = 255
"""Characters of a sealed number, with room to spare: Fernet makes 100 or 120."""


class Utc(TypeDecorator[datetime]):
    """An aware time, in UTC on the way in and out; SQLite alone would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Refuse what would be taken for local time."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """PostgreSQL answers in the zone of the session, SQLite in none."""
        if value is not None and value.tzinfo is None:
            return value.replace(tzinfo=UTC)
        return value and value.astimezone(UTC)


def _by_value(kind: type[StrEnum]) -> Enum:
    """Text, not a type of the database's own: a new member needs no migration."""
    values = [str(member) for member in kind]
    return Enum(kind, native_enum=False, length=16, values_callable=lambda _: values)


class _Base(SQLModel):
    metadata = MetaData(naming_convention=_NAMES)  # not SQLModel's own, which Reflex shares


class VerificationRow(_Base, table=True):
    """A `Verification`, and whether its provider is through with it."""

    __tablename__ = "verifications"

    id: str = Field(primary_key=True, sa_type=String(64))
    flow: str = Field(index=True, sa_type=String(64))
    """SHA-256 of the flow in hexadecimal: what is stored does not open anybody's verification."""

    phone: str = Field(sa_type=String(SEALED))
    """E.164, sealed if there is a key for it: see `numbers`."""

    phone_key: str | None = Field(index=True, sa_type=String(64))
    """What the number is compared by. None only between a migration and the start that fills it."""

    provider: str = Field(sa_type=String(32))
    channel: Channel = Field(sa_type=_by_value(Channel))
    status: Status = Field(sa_type=_by_value(Status))
    attempts: int = Field(sa_column_kwargs={"server_default": "5"})
    """Guesses it began with. Flows that share a reference have so many at it in all."""

    attempts_left: int
    guesses: int = Field(sa_column_kwargs={"server_default": "0"})
    """Guesses it has made at the reference that it has now."""

    joined: bool = Field(sa_column_kwargs={"server_default": false()})
    """Another flow had the reference first."""

    sends: int
    sent_at: datetime = Field(sa_type=Utc)
    resend_at: datetime = Field(sa_type=Utc)
    expires_at: datetime = Field(sa_type=Utc)
    reference: str | None = Field(index=True, sa_type=String(255))
    created_at: datetime = Field(sa_type=Utc)
    approved_at: datetime | None = Field(sa_type=Utc)
    exchanged: bool = Field(sa_column_kwargs={"server_default": false()})
    """Its approval has bought a session."""

    canceled: bool
    """The provider has nothing more to send or check for it."""

    cancels: int = Field(sa_column_kwargs={"server_default": "0"})
    """How often the sweeper has tried to cancel it."""

    cancel_at: datetime | None = Field(sa_type=Utc)
    """When the sweeper may try again; None before its first try."""


class UserRow(_Base, table=True):
    """A number that was proved, in the columns of Twilio's guide to verified phone numbers."""

    __tablename__ = "users"

    id: int | None = Field(default=None, primary_key=True)
    phone_number: str = Field(sa_type=String(SEALED))
    phone_key: str | None = Field(unique=True, sa_type=String(64))
    """As those of `VerificationRow`. That a number is one user's hangs on the key."""

    phone_verified_at: datetime | None = Field(sa_type=Utc)
    two_factor_enabled: bool = Field(sa_column_kwargs={"server_default": false()})
    created_at: datetime = Field(sa_type=Utc)


class SessionRow(_Base, table=True):
    """A session. Its number is its verification's."""

    __tablename__ = "sessions"

    token: str = Field(primary_key=True, sa_type=String(64))
    """SHA-256 in hexadecimal: a copy of the database opens no session."""

    verification: str = Field(
        index=True, sa_type=String(64), foreign_key="verifications.id", ondelete="CASCADE"
    )
    seen_at: datetime = Field(sa_type=Utc)
    ends_at: datetime = Field(index=True, sa_type=Utc)


class DeliveryRow(_Base, table=True):
    """A `Delivery`, for one verification; it is forgotten with it."""

    __tablename__ = "deliveries"
    __table_args__ = (UniqueConstraint("verification", "event"),)

    id: int | None = Field(default=None, primary_key=True)
    verification: str = Field(
        sa_type=String(64), foreign_key="verifications.id", ondelete="CASCADE"
    )
    event: str = Field(sa_type=String(128))
    reference: str = Field(sa_type=String(255))
    """A verification may come to have another one; then this is about an earlier message."""

    channel: Channel = Field(sa_type=_by_value(Channel))
    status: DeliveryStatus = Field(sa_type=_by_value(DeliveryStatus))
    at: datetime = Field(sa_type=Utc)
    """By the provider's clock, as is `sent_at`."""

    sent_at: datetime | None = Field(sa_type=Utc)
    reason: str = Field(sa_type=String(32))


class LimitHitRow(_Base, table=True):
    """One use of a limit."""

    __tablename__ = "limit_hits"

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(sa_type=String(128))
    at: float
    """Seconds since 1970, as is `ends`."""

    ends: float = Field(index=True)
    """When its window has passed."""

    batch: str = Field(index=True, sa_type=String(16))
    """Names the uses that were counted together."""


class Stage(StrEnum):
    """Which of its two rows a question has."""

    ASKED = "asked"
    ANSWERED = "answered"


class AuditRow(_Base, table=True):
    """A question to a provider when it is asked, and once more with its answer."""

    __tablename__ = "audit"

    id: int | None = Field(default=None, primary_key=True)
    attempt: str = Field(sa_type=String(80))
    """Names the question in both its rows."""

    stage: Stage = Field(sa_type=_by_value(Stage))
    at: datetime = Field(index=True, sa_type=Utc)
    event: Action = Field(sa_type=_by_value(Action))
    verification: str = Field(index=True, sa_type=String(64))
    provider: str = Field(sa_type=String(32))
    channel: Channel = Field(sa_type=_by_value(Channel))
    region: str = Field(sa_type=String(3))
    """ISO 3166-1, or 001 for numbers of no country."""

    number: str = Field(sa_type=String(64))
    """HMAC-SHA256 in hexadecimal, as is `block`: the number without its last digits."""

    block: str = Field(sa_type=String(64))
    flow: str = Field(sa_type=String(64))
    source: str | None = Field(sa_type=String(64))
    """HMAC-SHA256 of the address or API key that asked for a message. None of guesses, and of rows
    that were written before this column was there."""

    outcome: Outcome | None = Field(sa_type=_by_value(Outcome))
    detail: str | None = Field(sa_type=String(64))
    duration_ms: int | None


class IdempotencyRow(_Base, table=True):
    """A request of the API that is to be done once, and its answer when there is one."""

    __tablename__ = "idempotency"

    key: str = Field(primary_key=True, sa_type=String(64))
    """HMAC of the caller and its `Idempotency-Key`, in hexadecimal, as is `fingerprint`."""

    fingerprint: str = Field(sa_type=String(64))
    """Of the request."""

    status: int | None
    body: str | None = Field(sa_type=Text)
    ends: datetime = Field(index=True, sa_type=Utc)


class _Told(_Base):
    """An event. What it says is in its verification: no number stands here."""

    verification: str = Field(
        primary_key=True, sa_type=String(64), foreign_key="verifications.id", ondelete="CASCADE"
    )
    """One event each: a verification ends once."""

    at: datetime = Field(sa_type=Utc)
    """When it ended."""

    attempts: int
    """How often it was tried; an attempt is counted before it is made."""

    failure: str | None = Field(sa_type=String(64))
    """How the last attempt ended that did not succeed."""


class EventRow(_Told, table=True):
    """One that is to be delivered, or was."""

    __tablename__ = "events"

    due_at: datetime = Field(sa_type=Utc)
    """When it may be tried, again if whoever tries it now says nothing until then."""

    delivered_at: datetime | None = Field(sa_type=Utc)


class DeadEventRow(_Told, table=True):
    """A dead letter: one that is not tried any more."""

    __tablename__ = "dead_events"

    died_at: datetime = Field(sa_type=Utc)


metadata = _Base.metadata
audit: Table = metadata.tables["audit"]
idempotency: Table = metadata.tables["idempotency"]
dead_events: Table = metadata.tables["dead_events"]
events: Table = metadata.tables["events"]
limit_hits: Table = metadata.tables["limit_hits"]
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
Index("ix_audit_block", audit.c.block, audit.c.at)
Index("ix_events_due", events.c.delivered_at, events.c.due_at)
Index("ix_limit_hits_key", limit_hits.c.key, limit_hits.c.at)
# The time first: it also finds what is too old to be kept.
Index("ix_verifications_ended", verifications.c.expires_at, verifications.c.canceled)

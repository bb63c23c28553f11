"""The outbox table: an event is written in the transaction that ends its verification.

A row refers to its verification and copies nothing from it. It therefore contains no phone number,
and is deleted together with the verification.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, func, insert, or_, select, update

from otp_app.storage.engine import INSERTS
from otp_app.storage.tables import dead_events, events, verifications
from otp_app.verification.outbox import WEBHOOK_EVENT_TYPES, DeadLetter, DeliveryClaim, WebhookEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Executable, Table, Update

    from otp_app.storage.engine import Engine
    from otp_app.storage.phone_encryption import PhoneEncryption
    from otp_app.verification.models import Status

_d, _e, _v = dead_events.c, events.c, verifications.c
_is_waiting = _e.delivered_at.is_(None)


@dataclass(frozen=True)
class SqlOutbox:
    """The outbox in the database of *engine*."""

    engine: Engine
    encryption: PhoneEncryption
    now: Callable[[], datetime]

    def write(self, connection: Connection, ids: Sequence[str]) -> None:
        """Write one event for each of *ids*, in the transaction that ends these verifications.

        A verification never has a second event.
        """
        now = self.now()
        row = {"at": now, "attempts": 0, "due_at": now}
        writing = INSERTS[connection.dialect.name](events).on_conflict_do_nothing()
        connection.execute(writing, [{"verification": id_, **row} for id_ in ids])

    def keeps(self, before: datetime) -> ColumnElement[bool]:
        """Match verifications that an undelivered event, or one dead since *before*, refers to."""
        waits = exists().where(_e.verification == _v.id, _is_waiting)
        is_dead = exists().where(_d.verification == _v.id, _d.died_at > before)
        return or_(waits, is_dead)

    async def claim(self, now: datetime, until: datetime) -> DeliveryClaim | None:
        """Claim the oldest due event for one attempt.

        No two concurrent callers claim the same event. On PostgreSQL they claim different events.
        """
        claiming = oldest_due(now, until)
        row = await self.engine.write(
            lambda connection: connection.execute(claiming).mappings().first()
        )
        return DeliveryClaim(row["verification"], row["attempts"]) if row else None

    async def read(self, id_: str) -> WebhookEvent | None:
        """Return the event *id_*, built from its verification; None if it was deleted."""
        at = func.coalesce(_v.approved_at, _e.at).label("at")
        columns = (_v.id, at, _v.status, _v.phone, _v.channel, _v.provider)
        query = select(*columns).join(events).where(_v.id == id_)
        row = next(iter(await self.engine.rows(query)), None)
        return (
            WebhookEvent(**dict(row) | {"phone": self.encryption.decrypt(row["phone"])})
            if row
            else None
        )

    async def mark_delivered(self, id_: str, at: datetime) -> None:
        """Mark the event as delivered. The row stays, so that no second event is written."""
        delivered = update(events).where(_e.verification == id_).values(delivered_at=at)
        await self.engine.execute(delivered)

    async def postpone(self, claim: DeliveryClaim, reason: str, until: datetime) -> None:
        """Make the event due again at *until*, unless another process has claimed it meanwhile."""
        later = update(events).where(*_is_mine(claim)).values(due_at=until, failure=reason)
        await self.engine.execute(later)

    async def dead_letter(self, claim: DeliveryClaim, reason: str, at: datetime) -> None:
        """Move the event to the dead letters, unless another process has claimed it meanwhile."""
        mine = delete(events).where(*_is_mine(claim)).returning(_e.verification, _e.at, _e.attempts)

        def work(connection: Connection) -> None:
            _move(connection, mine, dead_events, failure=reason, died_at=at)

        await self.engine.write(work)


@dataclass(frozen=True)
class DeadLetters:
    """The dead letters in the database of *engine*, for operators."""

    engine: Engine

    async def count(self) -> int:
        """Return the number of dead letters."""
        counted = select(func.count().label("dead")).select_from(dead_events)
        (row,) = await self.engine.rows(counted)
        return int(row["dead"])

    async def newest(self, most: int) -> Sequence[DeadLetter]:
        """Return the last *most* dead letters, the newest first."""
        columns = (_v.id, _v.status, _d.at, _d.died_at, _d.attempts, _d.failure)
        query = select(*columns).join(dead_events).order_by(_d.died_at.desc(), _v.id).limit(most)
        return [_dead_letter(**row) for row in await self.engine.rows(query)]

    async def revive(self, now: datetime) -> int:
        """Make every dead letter due with all its attempts, and return their number."""
        all_ = delete(dead_events).returning(_d.verification, _d.at, _d.failure)

        def work(connection: Connection) -> int:
            return _move(connection, all_, events, attempts=0, due_at=now)

        return await self.engine.write(work)


def _dead_letter(status: Status, **values: Any) -> DeadLetter:  # noqa: ANN401 - a row's
    return DeadLetter(type=WEBHOOK_EVENT_TYPES[status], **values)


def oldest_due(now: datetime, until: datetime) -> Update:
    """Claim the oldest due event until *until*. Events locked by other transactions are skipped."""
    due = (_is_waiting, _e.due_at <= now)
    other = events.alias("oldest").c
    oldest = (
        select(other.verification)
        .where(other.delivered_at.is_(None), other.due_at <= now)
        .order_by(other.at, other.verification)
        .limit(1)
        .with_for_update(skip_locked=True)  # ignored on SQLite, whose writers are serial
    )
    taken = update(events).where(_e.verification == oldest.scalar_subquery(), *due)
    counted = taken.values(attempts=_e.attempts + 1, due_at=until)
    return counted.returning(_e.verification, _e.attempts)


def _is_mine(claim: DeliveryClaim) -> tuple[ColumnElement[bool], ...]:
    return _e.verification == claim.id, _e.attempts == claim.attempt, _is_waiting


def _move(connection: Connection, taken: Executable, to: Table, **values: Any) -> int:  # noqa: ANN401 - of a row
    """Insert the rows that the DELETE *taken* returns into *to*, and return their number."""
    moved = connection.execute(taken).mappings().all()
    if moved:
        connection.execute(insert(to), [{**row, **values} for row in moved])
    return len(moved)

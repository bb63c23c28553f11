"""`VerificationStore` on a database: each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import false, func, insert, select
from sqlalchemy.exc import IntegrityError

from otp_app.storage import verification_queries as queries
from otp_app.storage import verification_statements as statements
from otp_app.storage.audit import SqlAuditStore
from otp_app.storage.engine import execute, insert_into, rows, transact
from otp_app.storage.tables import COLUMNS, sha256_hex, users, verifications
from otp_app.verification.audit import check_call, first_send_call, send_call
from otp_app.verification.models import Flow, Running, Status, Verification
from otp_app.verification.outbox import WEBHOOK_EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Delete, Executable, RowMapping, Update
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from otp_app.phone import PhoneNumber
    from otp_app.storage.outbox import SqlOutbox
    from otp_app.storage.phone_encryption import PhoneEncryption
    from otp_app.verification.models import Reference, Send


def to_row(verification: Verification, numbers: PhoneEncryption) -> dict[str, Any]:
    """Return the column values of a new row, with the number encrypted and the flow hashed."""
    return vars(verification) | {
        "flow": sha256_hex(verification.flow),
        "phone": numbers.encrypt(verification.phone),
        "phone_key": numbers.search_key(verification.phone),
        "attempts": verification.attempts_left,
        "created_at": verification.sent_at,
    }


def from_row(row: RowMapping, numbers: PhoneEncryption, flow: Flow | None = None) -> Verification:
    """Return the verification in *row*. Without *flow*, its `flow` is the stored hash.

    Raises:
        NumbersUnreadable: *numbers* cannot decrypt the phone number.
    """
    phone = numbers.decrypt(row["phone"])
    values = {column.name: row[column.name] for column in COLUMNS}
    return Verification(**values | {"flow": flow or row["flow"], "phone": phone})


@dataclass(frozen=True)
class SqlStore:
    """The verifications and the proved numbers, in the database of *engine*.

    All methods that read a number raise `PhoneDecryptionFailed` if *encryption* cannot decrypt it.
    """

    engine: AsyncEngine
    encryption: PhoneEncryption
    outbox: SqlOutbox | None = None
    """The outbox for events; None if events are disabled."""

    @cached_property
    def audit_store(self) -> SqlAuditStore:
        """The audit, in the same database."""
        return SqlAuditStore(self.engine, self.encryption)

    async def reserve(self, verification: Verification, source: str = "") -> bool:
        """Close the flow's open verification and insert the new one, in one transaction.

        A unique index allows one open verification per flow. If it rejects the insertion, the
        transaction is rolled back.
        """
        row = to_row(verification, self.encryption)

        async def work(connection: AsyncConnection) -> None:
            over = statements.expire_over(verification.flow, verification.sent_at)
            await self._end(connection, over, Status.EXPIRED)
            others = statements.cancel_others(verification.flow, row["phone_key"])
            await connection.execute(others)
            await connection.execute(insert(verifications).values(row))
            question = first_send_call(verification)
            await connection.execute(
                self.audit_store.insert_call(question, verification.sent_at, source)
            )

        try:
            await transact(self.engine, work)
        except IntegrityError:
            return False
        return True

    async def latest(self, flow: Flow) -> Verification | None:
        """Return the flow's open verification, else the one that was recorded last."""
        return await self._first(queries.newest(flow), flow)

    async def locked(self, flow: Flow, phone: PhoneNumber, now: datetime) -> Verification | None:
        """Return the flow's locked verification of *phone* whose lock ends last, if any."""
        return await self._first(queries.locked(flow, self.encryption.search_key(phone), now), flow)

    async def of_number(self, phone: PhoneNumber, most: int) -> Sequence[Verification]:
        """Return the last *most* verifications of *phone*, for the operator, the newest first.

        Their `flow` is its SHA-256, because the database does not contain the flow.
        """
        return await self._all(queries.of_number(self.encryption.search_key(phone), most))

    async def is_verifying(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> bool:
        """Return whether *provider* runs a verification of *phone* for a flow other than *flow*."""
        query = queries.running_elsewhere(self.encryption.search_key(phone), provider, flow, now)
        return bool(await rows(self.engine, query))

    async def record_send(self, verification: Verification, send: Send, source: str = "") -> bool:
        """Count a message and record its call in the audit, in one transaction."""
        question = send_call(verification, send)

        async def work(connection: AsyncConnection) -> bool:
            recorded = await connection.execute(statements.record(verification, send))
            if recorded.rowcount != 1:
                return False
            await connection.execute(self.audit_store.insert_call(question, send.at, source))
            return True

        return await transact(self.engine, work)

    async def settle_send(self, id_: str, send: Send, reference: Reference) -> bool:
        """Store the reference of a sent message and return whether it is `PENDING` now."""
        return await self._makes_pending(statements.settle(id_, send, reference), reference)

    async def adopt(self, verification: Verification, send: Send, reference: Reference) -> bool:
        """Take over a running reference of this flow and return whether it is `PENDING` now."""
        adopting = statements.adopt(verification, send, reference)
        return await self._makes_pending(adopting, reference)

    async def running(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> Sequence[Running]:
        """Return the verifications that *provider* runs for *phone*, one for each reference."""
        query = queries.shared(self.encryption.search_key(phone), provider, flow, now)
        by_reference = {row["reference"]: row for row in await rows(self.engine, query)}
        return [
            Running(from_row(row, self.encryption), row["room"], row["kept"])
            for row in by_reference.values()
        ]

    async def fail_send(self, id_: str, send: Send, status: Status) -> bool:
        """Record that *send* was not confirmed: an open verification takes *status*."""
        return await self._ends(statements.fail(id_, send, status), status)

    async def lose_reference(self, id_: str, send: Send) -> bool:
        """Clear the reference until a later message brings a new one."""
        return await self._changes(statements.lose_reference(id_, send))

    async def release_send(self, before: Verification, send: Send) -> bool:
        """Restore the state before *send*, which was not sent."""
        return await self._changes(statements.release(before, send))

    async def take_attempt(self, id_: str, flow: Flow, now: datetime) -> Verification | None:
        """Spend one guess and record its call in the audit, in one transaction.

        Concurrent callers never spend the same guess.
        """

        async def work(connection: AsyncConnection) -> Verification | None:
            await _one_at_a_time(connection, queries.reference_of(id_))
            taken = await connection.execute(statements.take_attempt(id_, flow, now))
            row = taken.mappings().one_or_none()
            if row is None:
                return None
            attempt = from_row(row, self.encryption, flow)
            await connection.execute(self.audit_store.insert_call(check_call(attempt), now))
            return attempt

        return await transact(self.engine, work)

    async def is_confirmed(self, phone: PhoneNumber) -> bool:
        """Return whether *phone* is the number of a user."""
        return bool(await rows(self.engine, queries.user(self.encryption.search_key(phone))))

    async def approve(self, id_: str, now: datetime) -> bool:
        """Approve the verification, upsert the user and write the event, in one transaction."""

        async def work(connection: AsyncConnection) -> bool:
            approved = await connection.execute(statements.approve(id_, now))
            stored = approved.scalar_one_or_none()
            if stored is None:
                return False
            await connection.execute(self._proved(self.encryption.decrypt(stored), now))
            await self._announce(connection, [id_], Status.APPROVED)
            return True

        return await transact(self.engine, work)

    async def close(self, id_: str, status: Status, reference: Reference | None) -> bool:
        """End an open verification with *status*, if it still has *reference*."""
        return await self._ends(statements.close(id_, status, reference), status)

    async def close_used_up(self, id_: str, now: datetime) -> bool:
        """End an open verification as `EXPIRED` if its reference has no guess left for any flow."""
        return await self._ends(statements.close_used_up(id_, now), Status.EXPIRED)

    async def use_up(self, id_: str, reference: Reference) -> bool:
        """End an open verification as `EXPIRED` and count all guesses of its reference as made."""
        return await self._ends(statements.use_up(id_, reference), Status.EXPIRED)

    async def expire(self, since: datetime, until: datetime) -> None:
        """End the open verifications of all flows that expired between *since* and *until*."""
        await self._ends(statements.expire_left(since, until), Status.EXPIRED)

    async def ended(self, now: datetime) -> Sequence[Verification]:
        """Return the verifications that the sweeper has to end, the oldest first.

        Their `flow` is its SHA-256, because the database does not contain the flow.
        """
        return await self._all(queries.ended(now))

    async def take_cancel(self, over: Verification, again_at: datetime) -> bool:
        """Count a cancel. Only one of several servers succeeds."""
        return await self._changes(statements.take_cancel(over, again_at))

    async def mark_canceled(self, id_: str, reference: Reference | None) -> None:
        """Record that the provider has nothing more to send or check under *reference*."""
        await self._changes(statements.mark_canceled(id_, reference))

    async def forget(self, before: datetime) -> None:
        """Delete verifications that expired before *before*, a bounded number in each call.

        A verification with an undelivered or recently dead event is kept.
        """
        kept = self.outbox.keeps(before) if self.outbox else false()
        await self._changes(statements.forget(before, ~kept))

    async def _first(self, statement: Executable, flow: Flow) -> Verification | None:
        found = await rows(self.engine, statement)
        return from_row(found[0], self.encryption, flow) if found else None

    async def _all(self, statement: Executable) -> Sequence[Verification]:
        return [from_row(row, self.encryption) for row in await rows(self.engine, statement)]

    async def _ends(self, statement: Update, status: Status) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            return await self._end(connection, statement, status)

        return await transact(self.engine, work)

    async def _end(self, connection: AsyncConnection, statement: Update, status: Status) -> bool:
        """Run *statement*, which sets *status*, and write the events of the changed rows.

        Returns:
            True if the statement has changed a row.
        """
        changed = await connection.execute(statement.returning(verifications.c.id))
        ids = changed.scalars().all()
        await self._announce(connection, ids, status)
        return bool(ids)

    async def _announce(
        self, connection: AsyncConnection, ids: Sequence[str], status: Status
    ) -> None:
        if self.outbox and ids and status in WEBHOOK_EVENT_TYPES:
            await self.outbox.write(connection, ids)

    async def _changes(self, statement: Update | Delete) -> bool:
        return await execute(self.engine, statement) == 1

    async def _makes_pending(self, statement: Update, reference: Reference) -> bool:
        async def work(connection: AsyncConnection) -> bool:
            await _one_at_a_time(connection, reference)
            settled = await connection.execute(statement)
            return Status.PENDING in settled.scalars().all()

        return await transact(self.engine, work)

    def _proved(self, phone: PhoneNumber, now: datetime) -> Executable:
        """Return an upsert of the user of *phone*, which renews its encryption and proof."""
        anew = {"phone_number": self.encryption.encrypt(phone), "phone_verified_at": now}
        user = anew | {"phone_key": self.encryption.search_key(phone), "created_at": now}
        insertion = insert_into(self.engine, users).values(user)
        return insertion.on_conflict_do_update(index_elements=["phone_key"], set_=anew)


async def _one_at_a_time(
    connection: AsyncConnection, reference: Reference | ColumnElement[str | None]
) -> None:
    """Serialize the transactions that count guesses of *reference*, by an advisory lock.

    SQLite needs no lock, because its write transactions are serial.
    """
    if connection.dialect.name == "postgresql":
        number = func.hashtextextended(reference, 0)
        await connection.execute(select(func.pg_advisory_xact_lock(number)))

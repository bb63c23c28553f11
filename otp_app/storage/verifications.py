"""The verifications in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import false

from otp_app.storage import verification_queries as queries
from otp_app.storage import verification_statements as statements
from otp_app.storage.audit import SqlAudit
from otp_app.storage.tables import COLUMNS, sha256_hex, verifications
from otp_app.verification.audit import check_call, first_send_call, send_call
from otp_app.verification.models import Flow, Running, Status, Verification
from otp_app.verification.outbox import WEBHOOK_EVENT_TYPES
from otp_app.verification.store import AlreadyOpen, Approval, Settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Delete, Executable, RowMapping, Update

    from otp_app.phone import PhoneNumber
    from otp_app.storage.outbox import SqlOutbox
    from otp_app.storage.phone_encryption import PhoneEncryption
    from otp_app.verification.audit import CallResult
    from otp_app.verification.models import Reference, Send


def to_row(
    verification: Verification, numbers: PhoneEncryption, source: bytes | None = None
) -> dict[str, Any]:
    """Return the column values of a new row, with the number encrypted and the flow hashed."""
    return vars(verification) | {
        "flow": sha256_hex(verification.flow),
        "phone": numbers.encrypt(verification.phone),
        "phone_key": numbers.search_key(verification.phone),
        "attempts": verification.attempts_left,
        "created_at": verification.sent_at,
        "source": source,
    }


def from_row(
    row: Mapping[str, Any] | RowMapping,
    numbers: PhoneEncryption,
    flow: Flow | None = None,
    phone: PhoneNumber | None = None,
) -> Verification:
    """Return the verification in *row*. Without *flow*, its `flow` is the stored hash.

    The number is decrypted unless the caller knows it as *phone*.

    Raises:
        NumbersUnreadable: *numbers* cannot decrypt the phone number.
    """
    values = {name: row[name] for name in _NAMES}
    values["flow"] = flow or row["flow"]
    values["phone"] = phone or numbers.decrypt(row["phone"])
    return Verification(**values)


_NAMES = [column.name for column in COLUMNS]


@dataclass(frozen=True)
class SqlVerifications:
    """The verifications and the proved numbers, in the transaction of *connection*.

    All methods that read a number raise `PhoneDecryptionFailed` if *encryption* cannot decrypt it.
    """

    connection: Connection
    encryption: PhoneEncryption
    outbox: SqlOutbox | None = None
    """The outbox for events; None if events are disabled."""

    @cached_property
    def audit(self) -> SqlAudit:
        """The audit, in the same transaction."""
        return SqlAudit(self.connection, self.encryption)

    def record_result(self, id_: str, result: CallResult, at: datetime) -> None:
        """Record the result of the provider call *id_* in the audit, unless it has one."""
        self.audit.record_result(id_, result, at)

    def reserve(
        self, verification: Verification, source: str = "", source_key: bytes | None = None
    ) -> None:
        """Close the flow's open verification, insert the new one and record its first call.

        Raises:
            AlreadyOpen: a unique index allows one open verification per flow. The transaction has
                to be rolled back.
        """
        row = to_row(verification, self.encryption, source_key)
        self._lock(row["flow"])
        ended = statements.MAKE_ROOM.rows(
            self.connection,
            flow=row["flow"],
            now=verification.sent_at,
            phone_key=row["phone_key"],
        )
        for one in ended:
            self._announce([one["id"]], one["status"])
        insertion = statements.insert_verification(self.connection.dialect.name)
        if insertion.execute(self.connection, **row) != 1:
            raise AlreadyOpen
        self.audit.record_call(first_send_call(verification), verification.sent_at, source)

    def latest(self, flow: Flow) -> Verification | None:
        """Return the flow's open verification, else the one that was recorded last."""
        row = queries.NEWEST.first(self.connection, flow=sha256_hex(flow))
        return from_row(row, self.encryption, flow) if row else None

    def locked(self, flow: Flow, phone: PhoneNumber, now: datetime) -> Verification | None:
        """Return the flow's locked verification of *phone* whose lock ends last, if any."""
        key = self.encryption.search_key(phone)
        row = queries.LOCKED.first(self.connection, flow=sha256_hex(flow), phone_key=key, now=now)
        return from_row(row, self.encryption, flow) if row else None

    def of_number(self, phone: PhoneNumber, most: int) -> Sequence[Verification]:
        """Return the last *most* verifications of *phone*, for the operator, the newest first.

        Their `flow` is its SHA-256, because the database does not contain the flow.
        """
        return self._all(queries.of_number(self.encryption.search_key(phone), most))

    def is_verifying(self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime) -> bool:
        """Return whether *provider* runs a verification of *phone* for a flow other than *flow*."""
        query = queries.running_elsewhere(self.encryption.search_key(phone), provider, flow, now)
        return self.connection.execute(query).first() is not None

    def record_send(self, verification: Verification, send: Send, source: str = "") -> bool:
        """Count a message and record its call in the audit, in one transaction."""
        if not self._changes(statements.record(verification, send)):
            return False
        self.audit.record_call(send_call(verification, send), send.at, source)
        return True

    def settle_send(
        self, before: Verification, send: Send, reference: Reference, *, is_sent: bool = True
    ) -> Settled | None:
        """Store the reference of a message, and return the changed verification, if any."""
        self._lock(reference)
        names = (statements.SETTLE_ADOPTED, statements.SETTLE)
        values = statements.settling(before.id, send, reference)
        row = names[is_sent].first(self.connection, **values)
        if row is None:
            return None
        verification = from_row(row, self.encryption, before.flow, before.phone)
        is_counted = is_sent and row["counted_at"] == send.at
        return Settled(verification, row["source"], is_counted=is_counted)

    def adopt(self, verification: Verification, send: Send, reference: Reference) -> bool:
        """Take over a running reference of this flow and return whether it is `PENDING` now."""
        self._lock(reference)
        values = statements.settling(verification.id, send, reference)
        adopted = statements.ADOPT.first(self.connection, **values)
        return adopted is not None and adopted["status"] is Status.PENDING

    def running(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> Sequence[Running]:
        """Return the verifications that *provider* runs for *phone*, one for each reference."""
        query = queries.shared(self.encryption.search_key(phone), provider, flow, now)
        found = self.connection.execute(query).mappings()
        by_reference = {row["reference"]: row for row in found}
        return [
            Running(from_row(row, self.encryption), row["room"], row["kept"])
            for row in by_reference.values()
        ]

    def fail_send(self, id_: str, send: Send, status: Status) -> bool:
        """Record that *send* was not confirmed: an open verification takes *status*."""
        return self._end(statements.fail(id_, send, status), status)

    def lose_reference(self, id_: str, send: Send) -> bool:
        """Clear the reference until a later message brings a new one."""
        return self._changes(statements.lose_reference(id_, send))

    def release_send(self, before: Verification, send: Send) -> bool:
        """Restore the state before *send*, which was not sent."""
        return self._changes(statements.release(before, send))

    def take_attempt(
        self, id_: str, flow: Flow, now: datetime, phone: PhoneNumber | None = None
    ) -> Verification | None:
        """Spend one guess and record its call in the audit, in one transaction.

        Concurrent callers never spend the same guess.
        """
        self._lock(id_=id_)
        row = statements.TAKE_ATTEMPT.first(
            self.connection, id_=id_, flow=sha256_hex(flow), now=now
        )
        if row is None:
            return None
        attempt = from_row(row, self.encryption, flow, phone)
        self.audit.record_call(check_call(attempt), now)
        return attempt

    def is_confirmed(self, phone: PhoneNumber) -> bool:
        """Return whether *phone* is the number of a user."""
        key = self.encryption.search_key(phone)
        return queries.USER.first(self.connection, phone_key=key) is not None

    def approve(self, id_: str, now: datetime, phone: PhoneNumber | None = None) -> Approval | None:
        """Approve the verification, upsert the user and write the event, in one transaction."""
        row = statements.APPROVE.first(self.connection, id_=id_, now=now)
        if row is None:
            return None
        phone = phone or self.encryption.decrypt(row["phone"])
        statements.upsert_user(self.connection.dialect.name).execute(
            self.connection,
            phone_number=self.encryption.encrypt(phone),
            phone_verified_at=now,
            phone_key=self.encryption.search_key(phone),
            created_at=now,
        )
        self._announce([id_], Status.APPROVED)
        return Approval(phone, row["source"], row["counted_at"])

    def close(self, id_: str, status: Status, reference: Reference | None) -> bool:
        """End an open verification with *status*, if it still has *reference*."""
        return self._end(statements.close(id_, status, reference), status)

    def close_used_up(self, id_: str, now: datetime) -> bool:
        """End an open verification as `EXPIRED` if its reference has no guess left for any flow."""
        return self._end(statements.close_used_up(id_, now), Status.EXPIRED)

    def use_up(self, id_: str, reference: Reference) -> bool:
        """End an open verification as `EXPIRED` and count all guesses of its reference as made."""
        return self._end(statements.use_up(id_, reference), Status.EXPIRED)

    def expire(self, since: datetime, until: datetime) -> None:
        """End the open verifications of all flows that expired between *since* and *until*."""
        self._end(statements.expire_left(since, until), Status.EXPIRED)

    def ended(self, now: datetime) -> Sequence[Verification]:
        """Return the verifications that the sweeper has to end, the oldest first.

        Their `flow` is its SHA-256, because the database does not contain the flow.
        """
        return self._all(queries.ended(now))

    def take_cancel(self, over: Verification, again_at: datetime) -> bool:
        """Count a cancel. Only one of several servers succeeds."""
        return self._changes(statements.take_cancel(over, again_at))

    def mark_canceled(self, id_: str, reference: Reference | None) -> None:
        """Record that the provider has nothing more to send or check under *reference*."""
        self._changes(statements.mark_canceled(id_, reference))

    def forget(self, before: datetime) -> None:
        """Delete verifications that expired before *before*, a bounded number in each call.

        A verification with an undelivered or recently dead event is kept.
        """
        kept = self.outbox.keeps(before) if self.outbox else false()
        self._changes(statements.forget(before, ~kept))

    def _all(self, statement: Executable) -> Sequence[Verification]:
        found = self.connection.execute(statement).mappings()
        return [from_row(row, self.encryption) for row in found]

    def _end(self, statement: Update, status: Status) -> bool:
        """Run *statement*, which sets *status*, and write the events of the changed rows.

        Returns:
            True if the statement has changed a row.
        """
        changed = self.connection.execute(statement.returning(verifications.c.id))
        ids = changed.scalars().all()
        self._announce(ids, status)
        return bool(ids)

    def _announce(self, ids: Sequence[str], status: Status) -> None:
        if self.outbox and ids and status in WEBHOOK_EVENT_TYPES:
            self.outbox.write(self.connection, ids)

    def _changes(self, statement: Update | Delete) -> bool:
        return self.connection.execute(statement).rowcount == 1

    def _lock(self, subject: str | None = None, id_: str = "") -> None:
        """Serialize the transactions that change *subject*, or the reference of *id_*.

        A subject is a flow, of which one verification is open, or a reference, whose guesses are
        counted over several rows. SQLite needs no lock, because its write transactions are serial.
        """
        if self.connection.dialect.name == "postgresql":
            queries.LOCK.rows(self.connection, subject=subject, id_=id_)

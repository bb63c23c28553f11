"""`VerificationStore` and `AuditStore` on a database: each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

from otp_app.storage.audit import SqlAudit
from otp_app.storage.verifications import SqlVerifications
from otp_app.verification.models import Status
from otp_app.verification.store import AlreadyOpen

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy import Connection

    from otp_app.phone import PhoneNumber
    from otp_app.storage.engine import Engine
    from otp_app.storage.outbox import SqlOutbox
    from otp_app.storage.phone_encryption import PhoneEncryption
    from otp_app.verification.models import Reference, Send, Verification

_P = ParamSpec("_P")
_T = TypeVar("_T")
_S = TypeVar("_S")
_S_co = TypeVar("_S_co", covariant=True)


class _Front(Protocol[_S_co]):
    """A store whose methods are transactions; `within` has the methods that are steps of one."""

    @property
    def engine(self) -> Engine: ...

    def within(self, transaction: Connection) -> _S_co: ...


def _reads(
    method: Callable[Concatenate[_S, _P], _T],
) -> Callable[Concatenate[_Front[_S], _P], Coroutine[Any, Any, _T]]:
    """Return a method that calls *method*, which writes nothing, in a separate transaction."""

    async def call(store: _Front[_S], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await store.engine.read(lambda tx: method(store.within(tx), *args, **kwargs))

    return call


def _writes(
    method: Callable[Concatenate[_S, _P], _T],
) -> Callable[Concatenate[_Front[_S], _P], Coroutine[Any, Any, _T]]:
    """Return a method that calls *method* in a separate transaction."""

    async def call(store: _Front[_S], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await store.engine.write(lambda tx: method(store.within(tx), *args, **kwargs))

    return call


@dataclass(frozen=True)
class SqlAuditStore:
    """The audit in the database of *engine*."""

    engine: Engine
    encryption: PhoneEncryption

    def pseudonym(self, phone: PhoneNumber) -> str:
        """Return the keyed hash that represents *phone* in audit and log: 64 hexadecimal digits."""
        return self.encryption.search_key(phone)

    def within(self, transaction: Connection) -> SqlAudit:
        """Return the audit in *transaction*."""
        return SqlAudit(transaction, self.encryption)

    record_result = _writes(SqlAudit.record_result)
    abandon = _writes(SqlAudit.abandon)
    of_number = _reads(SqlAudit.of_number)


@dataclass(frozen=True)
class SqlStore:
    """The verifications and the proved numbers, in the database of *engine*.

    Each method runs the method of `SqlVerifications` of the same name in a separate transaction.
    All methods that read a number raise `PhoneDecryptionFailed` if *encryption* cannot decrypt it.
    """

    engine: Engine
    encryption: PhoneEncryption
    outbox: SqlOutbox | None = None
    """The outbox for events; None if events are disabled."""

    @cached_property
    def audit_store(self) -> SqlAuditStore:
        """The audit, in the same database."""
        return SqlAuditStore(self.engine, self.encryption)

    def within(self, transaction: Connection) -> SqlVerifications:
        """Return the verifications in *transaction*."""
        return SqlVerifications(transaction, self.encryption, self.outbox)

    async def read(self, job: Callable[[Connection], _T]) -> _T:
        """Return the result of *job*, which writes nothing and waits for no writer."""
        return await self.engine.read(job)

    async def write(self, job: Callable[[Connection], _T]) -> _T:
        """Run *job* and return its result. All it has written is then on disk."""
        return await self.engine.write(job)

    async def reserve(self, verification: Verification, source: str = "") -> bool:
        """Record a new verification, and return whether the flow had no open one of its number."""
        try:
            await self.engine.write(lambda tx: self.within(tx).reserve(verification, source))
        except AlreadyOpen:
            return False
        return True

    async def settle_send(self, before: Verification, send: Send, reference: Reference) -> bool:
        """Store the reference of a sent message and return whether *before* is `PENDING` now."""
        settled = await self.engine.write(
            lambda tx: self.within(tx).settle_send(before, send, reference)
        )
        return settled is not None and settled.verification.status is Status.PENDING

    latest = _reads(SqlVerifications.latest)
    locked = _reads(SqlVerifications.locked)
    of_number = _reads(SqlVerifications.of_number)
    is_verifying = _reads(SqlVerifications.is_verifying)
    running = _reads(SqlVerifications.running)
    is_confirmed = _reads(SqlVerifications.is_confirmed)
    ended = _reads(SqlVerifications.ended)

    record_send = _writes(SqlVerifications.record_send)
    adopt = _writes(SqlVerifications.adopt)
    fail_send = _writes(SqlVerifications.fail_send)
    lose_reference = _writes(SqlVerifications.lose_reference)
    release_send = _writes(SqlVerifications.release_send)
    take_attempt = _writes(SqlVerifications.take_attempt)
    approve = _writes(SqlVerifications.approve)
    close = _writes(SqlVerifications.close)
    close_used_up = _writes(SqlVerifications.close_used_up)
    use_up = _writes(SqlVerifications.use_up)
    expire = _writes(SqlVerifications.expire)
    take_cancel = _writes(SqlVerifications.take_cancel)
    mark_canceled = _writes(SqlVerifications.mark_canceled)
    forget = _writes(SqlVerifications.forget)

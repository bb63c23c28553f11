"""The port of the store: transactions, and what can be done within one.

Every step of a flow is one transaction, given as a job: a function of a transaction. A job reads
and decides, and then writes. It must be pure: it reads no clock, draws no random value and waits
for nothing, because the store may run it again. A job that raises changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import AuditStore, CallResult
    from otp_app.verification.models import (
        Flow,
        Reference,
        Running,
        Send,
        Status,
        Verification,
    )

Transaction: TypeAlias = Any
"""A transaction of the store's database. The domain only hands it on."""

_T = TypeVar("_T")


class AlreadyOpen(Exception):
    """The flow has an open verification of the same number."""


class Settled(NamedTuple):
    """A verification whose message was accepted.

    Attributes:
        source: the client that requested the first message, as the limits know it.
        is_counted: whether the verification has to be counted as sent: this was its first message
            that a provider accepted.
    """

    verification: Verification
    source: bytes | None
    is_counted: bool


class Approval(NamedTuple):
    """An approved verification.

    Attributes:
        source: the client that requested the first message, as the limits know it.
        counted_at: time at which the verification was counted as sent, if it was.
    """

    phone: PhoneNumber
    source: bytes | None
    counted_at: datetime | None


class Verifications(Protocol):
    """The verifications in one transaction.

    There is no `save`. A transition whose precondition no longer holds changes nothing and returns
    False or None. Methods that count a message or a guess record its call in the audit. Methods
    that end a verification write its event, if events are enabled.
    """

    def reserve(
        self, verification: Verification, source: str = "", source_key: bytes | None = None
    ) -> None:
        """Record a new verification before its first message, and close the flow's open one.

        The audit keeps *source*, the address or API key of the client, as a keyed hash.

        Raises:
            AlreadyOpen: the flow has an open verification of the same number.
        """
        ...

    def latest(self, flow: Flow) -> Verification | None:
        """Return the flow's open verification, else the one that was recorded last."""
        ...

    def locked(self, flow: Flow, phone: PhoneNumber, now: datetime) -> Verification | None:
        """Return the flow's verification of *phone* that is locked by wrong codes, if any."""
        ...

    def is_verifying(self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime) -> bool:
        """Return whether *provider* runs a verification of *phone* for a flow other than *flow*.

        Only open verifications with a reference count. The provider may never have accepted the
        others.
        """
        ...

    def record_send(self, verification: Verification, send: Send, source: str = "") -> bool:
        """Count a further message of *verification* before it is sent.

        The audit keeps *source*, the address or API key of the client, as a keyed hash.

        Returns:
            False if the verification is not open, or another caller has counted a message first.
        """
        ...

    def settle_send(
        self, before: Verification, send: Send, reference: Reference, *, is_sent: bool = True
    ) -> Settled | None:
        """Record that *send* was sent under *reference*: an open verification is now `PENDING`.

        A verification that was closed meanwhile keeps the reference all the same, so that it can be
        canceled.

        Args:
            before: the verification.
            send: the message.
            reference: the provider's id.
            is_sent: False if the provider refused the message and the reference was adopted.

        Returns:
            None if a further message was counted meanwhile.
        """
        ...

    def adopt(self, verification: Verification, send: Send, reference: Reference) -> bool:
        """Take over *reference*, which the provider was running already, and become `PENDING`.

        Returns:
            False if this flow may not have requested *reference*: another flow has it, or this is
            the first message of *verification* and no earlier verification of the flow had it.
            False also if a verification with *reference* has ended here.
        """
        ...

    def fail_send(self, id_: str, send: Send, status: Status) -> bool:
        """Record that *send* was not confirmed: an open verification takes *status*."""
        ...

    def lose_reference(self, id_: str, send: Send) -> bool:
        """Record that *send* may have a new, unknown reference: the status becomes `UNKNOWN`."""
        ...

    def release_send(self, before: Verification, send: Send) -> bool:
        """Restore the state *before* the message *send*, which certainly was not sent.

        The next message may be sent at once.
        """
        ...

    def take_attempt(
        self, id_: str, flow: Flow, now: datetime, phone: PhoneNumber | None = None
    ) -> Verification | None:
        """Spend one guess and return the verification with the guesses that are left.

        A caller that knows the number as *phone* saves its decryption.

        Flows with the same reference share its guesses. `JOINED_ATTEMPTS` are available to flows
        that join later; the others are reserved for the first flow. A flow that has joined keeps
        the guesses that it was given.

        Returns:
            None if *flow* has no open verification *id_* with a sent message and a guess left.
        """
        ...

    def running(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> Sequence[Running]:
        """Return the verifications that *provider* runs for *phone*, one for each reference.

        `Running.room` is the number of guesses that a new verification of *flow* would get.
        """
        ...

    def close(self, id_: str, status: Status, reference: Reference | None) -> bool:
        """End an open verification with *status*.

        Returns:
            False if the verification is not open, or has a reference other than *reference*.
        """
        ...

    def close_used_up(self, id_: str, now: datetime) -> bool:
        """End an open verification as `EXPIRED` if its reference has no guess left for any flow.

        Returns:
            False if the verification has used up its own guesses, or another flow has some left.
        """
        ...

    def use_up(self, id_: str, reference: Reference) -> bool:
        """End an open verification as `EXPIRED`, because the provider accepts no more guesses.

        Afterwards *reference* has no guess left for any flow.
        """
        ...

    def is_confirmed(self, phone: PhoneNumber) -> bool:
        """Return whether *phone* was verified at least once, by any client."""
        ...

    def approve(self, id_: str, now: datetime, phone: PhoneNumber | None = None) -> Approval | None:
        """Approve an open verification and record its number as verified.

        A caller that knows the number as *phone* saves its decryption.

        Returns:
            None if the verification is not open, for example because it was approved before.
        """
        ...

    def record_result(self, id_: str, result: CallResult, at: datetime) -> None:
        """Record the result of the provider call *id_*. A second result is ignored."""
        ...


class VerificationStore(Protocol):
    """The verifications. All methods raise `StoreUnavailable` if the database does not respond.

    A method that is named as one of `Verifications` runs that one in a separate transaction.
    """

    @property
    def audit_store(self) -> AuditStore:
        """The audit, in the same database."""
        ...

    def within(self, transaction: Transaction) -> Verifications:
        """Return the verifications in *transaction*."""
        ...

    async def read(self, job: Callable[[Transaction], _T]) -> _T:
        """Return the result of *job*, which writes nothing and waits for no writer."""
        ...

    async def write(self, job: Callable[[Transaction], _T]) -> _T:
        """Run *job* and return its result. All it has written is then on disk."""
        ...

    async def latest(self, flow: Flow) -> Verification | None:
        """Return the flow's open verification, else the one that was recorded last."""
        ...

    async def close(self, id_: str, status: Status, reference: Reference | None) -> bool:
        """End an open verification with *status*.

        Returns:
            False if the verification is not open, or has a reference other than *reference*.
        """
        ...

    async def expire(self, since: datetime, until: datetime) -> None:
        """End open verifications that expired between *since* and *until*."""
        ...

    async def ended(self, now: datetime) -> Sequence[Verification]:
        """Return ended verifications that the provider may still run, the oldest first.

        Verifications that have used up their cancels, or whose next cancel is not yet due, are left
        out.
        """
        ...

    async def take_cancel(self, over: Verification, again_at: datetime) -> bool:
        """Count a cancel of *over* before it is made, and plan the next one at *again_at*.

        Returns:
            False if another caller has counted this cancel, or *over* has a new reference.
        """
        ...

    async def mark_canceled(self, id_: str, reference: Reference | None) -> None:
        """Record that the provider has nothing more to send or check under *reference*."""
        ...

    async def forget(self, before: datetime) -> None:
        """Delete verifications that expired before *before*, a bounded number in each call."""
        ...

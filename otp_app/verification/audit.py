"""The audit of provider calls, in the database and in the log.

A call is recorded in the transaction that counts it, its result as soon as the call ends. Requests
that our own limits reject are not recorded, so no client can fill the disk with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import structlog

from otp_app.errors import (
    NumberBusy,
    OtpError,
    ProviderError,
    ProviderNotReached,
    ProviderTimedOut,
)
from otp_app.verification.limits import Action
from otp_app.verification.models import CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import (
        Channel,
        Send,
        Verification,
    )


@dataclass(frozen=True)
class Conversion:
    """The number of verifications with a sent message, and how many of them were approved."""

    sent: int
    approved: int

    @property
    def share(self) -> float:
        """The conversion rate, from 0 to 1. Without a verification it is 1: there is no failure."""
        return self.approved / self.sent if self.sent else 1.0


class AuditStore(Protocol):
    """The audit: an append-only record of every provider call and its result.

    The store writes the record of a call in the transaction that counts the call. All methods that
    wait raise `StoreUnavailable` if the database does not respond.
    """

    def pseudonym(self, phone: PhoneNumber) -> str:
        """Return the keyed hash, in hexadecimal, that represents *phone* in audit and log."""
        ...

    async def abandon(self, now: datetime, since: datetime, until: datetime) -> None:
        """Record `unknown` for calls made from *since* to *until* that have no result."""
        ...


_T = TypeVar("_T")

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """The outcome of a provider call."""

    OK = "ok"  # the message was accepted, or the code was right
    REJECTED = "rejected"  # the code was wrong or no longer valid
    REFUSED = "refused"  # the provider refused this number, channel or moment
    FAILED = "failed"  # the provider failed or could not be reached
    UNKNOWN = "unknown"  # no response, or the process ended before it arrived


@dataclass(frozen=True)
class ProviderCall:
    """One call to a provider: a message to send or a code to check.

    Attributes:
        id: the id of the call in the audit.
        channel: the channel of the message, or of the message that brought the code.
    """

    id: str
    action: Action
    verification: Verification
    channel: Channel

    @property
    def is_first(self) -> bool:
        """Whether the call sends the first message of its verification."""
        return self.action is Action.SEND and self.id == self.verification.id


@dataclass(frozen=True)
class CallResult:
    """The result of a provider call.

    Attributes:
        detail: the key of the error or the `CheckOutcome`; empty after a success.
        duration_ms: duration in milliseconds; None if the call was abandoned.
        vendor_code: the HTTP status and the provider's own code of a refusal.
    """

    outcome: Outcome
    detail: str
    duration_ms: int | None
    vendor_code: str = ""


@dataclass(frozen=True)
class AuditEntry:
    """A provider call in the audit, as operators see it. *result* is None until the call ends."""

    at: datetime
    action: Action
    provider: str
    channel: Channel
    result: CallResult | None


def send_call(verification: Verification, send: Send) -> ProviderCall:
    """Return the audit record of the call that sends the message *send*."""
    return ProviderCall(send.id, Action.SEND, verification, send.channel)


def first_send_call(verification: Verification) -> ProviderCall:
    """Return the audit record of the first message, whose id is that of the verification."""
    return ProviderCall(verification.id, Action.SEND, verification, verification.channel)


def check_call(attempt: Verification) -> ProviderCall:
    """Return the audit record of a guess.

    Its id contains the number of guesses left, which is different for each guess of a verification.
    """
    id_ = f"{attempt.id}:{attempt.attempts_left}"
    return ProviderCall(id_, Action.CHECK, attempt, attempt.channel)


class Observer(Protocol):
    """A callback for every provider call that ends, for example to count it.

    Implementations neither block nor raise.
    """

    def on_result(self, call: ProviderCall, result: CallResult) -> None:
        """Handle the end of a call in the task that made the call."""
        ...


@dataclass(frozen=True)
class Answer(Generic[_T]):
    """The end of a provider call. Its result has to be recorded before anything comes of it.

    Attributes:
        value: the return value of a call without an error.
        error: the error of the call, or None.
    """

    call: ProviderCall
    result: CallResult
    value: _T | None = None
    error: OtpError | None = None


@dataclass(frozen=True)
class Audit:
    """Awaits provider calls and tells the log and the observers of their results."""

    audit_store: AuditStore
    observers: Sequence[Observer] = ()

    async def ask(self, call: ProviderCall, pending: Awaitable[_T]) -> Answer[_T]:
        """Await the provider call *pending* and return its answer, which may be an error."""
        began = monotonic()
        try:
            value = await pending
        except (ProviderError, NumberBusy) as exc:
            result = _result(_outcome_of(exc), exc.key, began, exc.vendor_code)
            answer = Answer[_T](call, result, error=exc)
        else:
            is_wrong = isinstance(value, CheckOutcome) and value is not CheckOutcome.APPROVED
            outcome = Outcome.REJECTED if is_wrong else Outcome.OK
            answer = Answer(call, _result(outcome, str(value) if is_wrong else "", began), value)
        self._tell(call, answer.result)
        return answer

    def _tell(self, call: ProviderCall, result: CallResult) -> None:
        verification = call.verification
        log.info(
            _log_event(call.action, result.outcome),
            id=verification.id,
            provider=verification.provider,
            number=self.audit_store.pseudonym(verification.phone)[:12],
            channel=call.channel,
            outcome=result.outcome,
            why=result.detail,
            duration_ms=result.duration_ms,
        )
        for observer in self.observers:
            observer.on_result(call, result)


def _result(outcome: Outcome, detail: str, began: float, vendor_code: str = "") -> CallResult:
    return CallResult(outcome, detail, round(1000 * (monotonic() - began)), vendor_code)


def _outcome_of(error: OtpError) -> Outcome:
    match error:
        case ProviderTimedOut():
            return Outcome.UNKNOWN
        case ProviderNotReached():
            return Outcome.FAILED
        case NumberBusy() | ProviderError(for_everybody=False):
            return Outcome.REFUSED
        case _:
            return Outcome.FAILED


def _log_event(action: Action, outcome: Outcome) -> str:
    if action is Action.CHECK:
        return "verification.checked"
    match outcome:
        case Outcome.OK:
            return "verification.sent"
        case Outcome.UNKNOWN:
            return "verification.send_unconfirmed"
        case _:
            return "verification.send_failed"

"""The audit of provider calls, in the database and in the log.

A call is recorded in the transaction that counts it, its result as soon as the call ends. Requests
that our own limits reject are not recorded, so no client can fill the disk with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVar

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
    from collections.abc import Awaitable, Callable, Sequence

    from otp_app.verification.models import Channel, Send, Verification
    from otp_app.verification.ports import Journal

_T = TypeVar("_T")

ANSWERED_WITHIN = timedelta(seconds=30)
"""Age after which a call without a result counts as abandoned. Providers respond within 5 s or time
out, so the process that made an older call has crashed or its request was canceled."""

EVER = datetime.min.replace(tzinfo=UTC)
"""A time before the first call."""

SKEW = timedelta(hours=1)
"""Generous upper bound of the difference between the clocks of several servers."""

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """The outcome of a provider call."""

    OK = "ok"  # the message was accepted, or the code was right
    REJECTED = "rejected"  # the code was wrong or no longer valid
    REFUSED = "refused"  # the provider refused this number, channel or moment
    FAILED = "failed"  # the provider failed or could not be reached
    UNKNOWN = "unknown"  # no response, or the process ended before it arrived


@dataclass(frozen=True)
class Question:
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
class Answer:
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
class Entry:
    """A provider call in the audit, as operators see it. *answer* is None until the call ends."""

    at: datetime
    action: Action
    provider: str
    channel: Channel
    answer: Answer | None


def message(verification: Verification, send: Send) -> Question:
    """Return the audit record of the call that sends the message *send*."""
    return Question(send.id, Action.SEND, verification, send.channel)


def first_message(verification: Verification) -> Question:
    """Return the audit record of the first message, whose id is that of the verification."""
    return Question(verification.id, Action.SEND, verification, verification.channel)


def guess(attempt: Verification) -> Question:
    """Return the audit record of a guess.

    Its id contains the number of guesses left, which is different for each guess of a verification.
    """
    id_ = f"{attempt.id}:{attempt.attempts_left}"
    return Question(id_, Action.CHECK, attempt, attempt.channel)


class Observer(Protocol):
    """A callback for every provider call that ends, for example to count it.

    Implementations neither block nor raise.
    """

    def answered(self, question: Question, answer: Answer) -> None:
        """Handle the end of a call in the task that made the call."""
        ...


@dataclass(frozen=True)
class Audit:
    """Awaits provider calls and records their results."""

    journal: Journal
    now: Callable[[], datetime]
    observers: Sequence[Observer] = ()

    async def answered(self, question: Question, asking: Awaitable[_T]) -> _T:
        """Await the provider call *asking*, and record its result before returning or raising it.

        Raises:
            NumberBusy, ProviderError: the error of the call.
            StoreUnavailable: the result could not be recorded, so the caller must not use it.
        """
        began = monotonic()
        try:
            result = await asking
        except (ProviderError, NumberBusy) as exc:
            await self._record(question, _outcome_of(exc), exc.key, began, exc.vendor_code)
            raise
        if isinstance(result, CheckOutcome) and result is not CheckOutcome.APPROVED:
            await self._record(question, Outcome.REJECTED, result, began)
        else:
            await self._record(question, Outcome.OK, "", began)
        return result

    async def _record(
        self,
        question: Question,
        outcome: Outcome,
        detail: str,
        began: float,
        vendor_code: str = "",
    ) -> None:
        answer = Answer(outcome, detail, round(1000 * (monotonic() - began)), vendor_code)
        verification = question.verification
        log.info(
            _event(question.action, outcome),
            id=verification.id,
            provider=verification.provider,
            number=self.journal.pseudonym(verification.phone)[:12],
            channel=question.channel,
            outcome=outcome,
            why=detail,
            duration_ms=answer.duration_ms,
        )
        for observer in self.observers:
            observer.answered(question, answer)
        await self.journal.answer(question.id, answer, self.now())


@dataclass
class Unanswered:
    """Records `unknown` for calls that were abandoned by a crash or a canceled request."""

    journal: Journal
    now: Callable[[], datetime]
    since: datetime = EVER
    """Every call made before has a result."""

    async def sweep(self) -> None:
        """Record `unknown` for the calls that were abandoned since the last sweep."""
        until = self.now() - ANSWERED_WITHIN
        await self.journal.give_up(self.now(), self.since, until)
        self.since = until - SKEW


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


def _event(action: Action, outcome: Outcome) -> str:
    if action is Action.CHECK:
        return "verification.checked"
    match outcome:
        case Outcome.OK:
            return "verification.sent"
        case Outcome.UNKNOWN:
            return "verification.send_unknown"
        case _:
            return "verification.not_sent"

"""Every question to a provider, and how it was answered: what the audit keeps, and the log says.

A question is written down in the transaction that counts it, its answer as soon as it is there.
What our own limits refuse is no question: nobody can fill the disk with it.
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
"""Providers answer in 5 s or time out: a question that is older has lost who asked it."""

EVER = datetime.min.replace(tzinfo=UTC)
"""Before the first question."""

SKEW = timedelta(hours=1)
"""How far the clocks of several servers may be apart, generously."""

log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """What a question came to."""

    OK = "ok"  # the message was taken, the code was right
    REJECTED = "rejected"  # the code was not right, or not good any more
    REFUSED = "refused"  # the provider will not: this number, this channel, or not now
    FAILED = "failed"  # the provider failed or was not reached
    UNKNOWN = "unknown"  # no answer, or nobody was left to hear it


@dataclass(frozen=True)
class Question:
    """One message that a provider is asked to send, or one code to check. *id* is its own."""

    id: str
    action: Action
    verification: Verification
    channel: Channel

    @property
    def is_first(self) -> bool:
        """Whether it is the message that its verification begins with."""
        return self.action is Action.SEND and self.id == self.verification.id


@dataclass(frozen=True)
class Answer:
    """How a question was answered.

    Attributes:
        detail: the key of the error, or the check's outcome; empty where all is said.
        duration_ms: how long it took; None where nobody was there to see.
        vendor_code: the HTTP status and the provider's own code of a refusal.
    """

    outcome: Outcome
    detail: str
    duration_ms: int | None
    vendor_code: str = ""


@dataclass(frozen=True)
class Entry:
    """A question in the audit, for operators; it has no answer yet where there is None."""

    at: datetime
    action: Action
    provider: str
    channel: Channel
    answer: Answer | None


def message(verification: Verification, send: Send) -> Question:
    """The question that *send* puts; a verification is named as its first one."""
    return Question(send.id, Action.SEND, verification, send.channel)


def first_message(verification: Verification) -> Question:
    """The one that a new verification begins with."""
    return Question(verification.id, Action.SEND, verification, verification.channel)


def guess(attempt: Verification) -> Question:
    """The question of a guess, named by those that are left: their number never comes again."""
    id_ = f"{attempt.id}:{attempt.attempts_left}"
    return Question(id_, Action.CHECK, attempt, attempt.channel)


class Observer(Protocol):
    """Hears of every answer when it comes: to count it, say. It neither waits nor raises."""

    def answered(self, question: Question, answer: Answer) -> None:
        """*question* was answered just now, by whoever runs this."""
        ...


@dataclass(frozen=True)
class Audit:
    """Waits for answers and writes them down."""

    journal: Journal
    now: Callable[[], datetime]
    observers: Sequence[Observer] = ()

    async def answered(self, question: Question, asking: Awaitable[_T]) -> _T:
        """What *asking* gives or raises, once that stands in the audit.

        Raises:
            StoreUnavailable: it could not be written, so nothing may come of it.
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
    """Answers `unknown` to questions that lost who asked them, by a crash or a canceled request."""

    journal: Journal
    now: Callable[[], datetime]
    since: datetime = EVER
    """All that was asked before has its answer."""

    async def sweep(self) -> None:
        """Look once."""
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

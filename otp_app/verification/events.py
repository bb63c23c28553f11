"""Events: webhooks that report the end of each verification to the operator's backend.

An event is written to the outbox in the transaction that ends its verification. Delivery is at
least once, because a lost response leaves open whether the endpoint has received the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import SystemRandom
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import NumbersUnreadable
from otp_app.verification.audit import EVER, SKEW
from otp_app.verification.models import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import Channel
    from otp_app.verification.ports import Outbox, Receiver, VerificationStore

RETRIES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""Waits after the first, second, … failed attempt: the schedule of Standard Webhooks, three days.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

JITTER = 0.2
"""Largest share of a wait that is added at random, so that events which failed at the same time are
not retried at the same time."""

DEADLINE = timedelta(seconds=15)
"""Total timeout of one delivery. Standard Webhooks recommends 15 to 30 seconds."""

LEASE = 4 * DEADLINE
"""Duration of a claim. A process that has not finished its delivery by then must have crashed."""

LEFT_AFTER = timedelta(minutes=1)
"""Time after which a running server has closed an expired verification: the sweeper has run, and
the last guess has its result."""

log = structlog.get_logger(__name__)


class Type(StrEnum):
    """The type of an event, which is part of the webhook API."""

    APPROVED = "verification.approved"
    FAILED = "verification.failed"


class Reason(StrEnum):
    """The reason for a failed verification. A cancel by the person is not a failure."""

    EXPIRED = "expired"  # no right code in time
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # too many wrong codes


REASONS = {
    Status.EXPIRED: Reason.EXPIRED,
    Status.EXHAUSTED: Reason.ATTEMPTS_EXHAUSTED,
}
TYPES = {Status.APPROVED: Type.APPROVED} | dict.fromkeys(REASONS, Type.FAILED)
"""The final statuses that cause an event, with its type. `REFUSED` causes none: no message was
sent, and a client can provoke any number of refusals."""


@dataclass(frozen=True)
class Event:
    """The end of one verification.

    Attributes:
        id: the id of the verification, which identifies the event too.
        at: time of the end, aware.
        status: the final status, a key of `TYPES`.
    """

    id: str
    at: datetime
    status: Status
    phone: PhoneNumber
    channel: Channel
    provider: str

    @property
    def type(self) -> Type:
        """The event type for *status*."""
        return TYPES[self.status]

    @property
    def reason(self) -> Reason | None:
        """The reason for the failure; None after an approval."""
        return REASONS.get(self.status)


@dataclass(frozen=True)
class Claim:
    """The right to make one delivery attempt of event *id*. The first *attempt* is 1."""

    id: str
    attempt: int


@dataclass(frozen=True)
class DeadEvent:
    """A dead letter: an event that is no longer retried, with the last *failure*."""

    id: str
    type: Type
    at: datetime
    died_at: datetime
    attempts: int
    failure: str


class Verdict(StrEnum):
    """The outcome of a delivery attempt."""

    TAKEN = "taken"  # the endpoint accepted the event
    FAILED = "failed"  # the attempt failed and is retried
    BUSY = "busy"  # the endpoint accepts no event at present; the attempt is retried
    GONE = "gone"  # the event must never be retried


@dataclass(frozen=True)
class Receipt:
    """The result of a delivery attempt.

    Attributes:
        why: the failure, for log and operators: at most 64 characters, none from the response.
        wait: minimum wait before a retry that the endpoint has requested.
    """

    verdict: Verdict
    why: str = ""
    wait: timedelta = timedelta()


GONE = Receipt(Verdict.GONE, "deleted")
UNREADABLE = Receipt(Verdict.FAILED, "number unreadable: NUMBER_KEYS")


@dataclass(frozen=True)
class Courier:
    """Delivers the events of the outbox to the webhook endpoint, one after the other."""

    outbox: Outbox
    receiver: Receiver
    now: Callable[[], datetime]
    chance: Callable[[], float] = SystemRandom().random
    """Random number from 0 to 1, the share of `JITTER` that is added to a wait."""

    async def deliver(self) -> None:
        """Deliver every due event, the oldest first, and stop early if the endpoint is busy."""
        while claim := await self.outbox.claim(self.now(), self.now() + LEASE):
            receipt = await self._attempt(claim)
            await self._settle(claim, receipt)
            if receipt.verdict is Verdict.BUSY:
                return

    async def _attempt(self, claim: Claim) -> Receipt:
        try:
            event = await self.outbox.read(claim.id)
        except NumbersUnreadable:
            return UNREADABLE
        return await self.receiver.receive(event) if event else GONE

    async def _settle(self, claim: Claim, receipt: Receipt) -> None:
        if receipt.verdict is Verdict.TAKEN:
            await self.outbox.mark_delivered(claim.id, self.now())
            log.info("events.delivered", id=claim.id, attempt=claim.attempt)
        elif receipt.verdict is Verdict.GONE or claim.attempt > len(RETRIES):
            await self.outbox.bury(claim, receipt.why, self.now())
            log.error("events.dead", id=claim.id, attempt=claim.attempt, why=receipt.why)
        else:
            wait = max(self._wait(claim.attempt), receipt.wait)
            await self.outbox.postpone(claim, receipt.why, self.now() + wait)
            names = {"attempt": claim.attempt, "again_in_s": round(wait.total_seconds())}
            log.warning("events.failed", id=claim.id, why=receipt.why, **names)

    def _wait(self, attempt: int) -> timedelta:
        return RETRIES[attempt - 1] * (1 + JITTER * self.chance())


@dataclass
class LeftOpen:
    """Expires verifications that ran out of time while no server was running.

    The sweeper covers the last minutes only, and without an expiry there is no event.
    """

    store: VerificationStore
    now: Callable[[], datetime]
    since: datetime = EVER
    """Verifications that ran out of time before are closed already."""

    async def close(self) -> None:
        """Expire the open verifications that ran out of time since the last call."""
        until = self.now() - LEFT_AFTER
        await self.store.expire(self.since, until)
        self.since = until - SKEW

"""What a team's backend is told of: how each verification ended, once it has.

Who ends one writes the event in the same transaction. From there it is delivered: at least once, as
nobody can know what became of an answer that was lost.
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
"""The waits after the first, second, … attempt: the schedule of Standard Webhooks, three days.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

JITTER = 0.2
"""Share of a wait that chance may add: what failed together does not come back together."""

DEADLINE = timedelta(seconds=15)
"""Of one delivery in all. Standard Webhooks recommends 15 to 30 seconds."""

LEASE = 4 * DEADLINE
"""After this long, whoever claimed an event and said no more is taken to have crashed."""

LEFT_AFTER = timedelta(minutes=1)
"""By now the sweeper would have closed it, and the last guess its answer."""

log = structlog.get_logger(__name__)


class Type(StrEnum):
    """What an event says."""

    APPROVED = "verification.approved"
    FAILED = "verification.failed"


class Reason(StrEnum):
    """Why a verification failed. That its person gave it up is no failure."""

    EXPIRED = "expired"  # no right code in its time
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # too many wrong codes


REASONS = {
    Status.EXPIRED: Reason.EXPIRED,
    Status.EXHAUSTED: Reason.ATTEMPTS_EXHAUSTED,
}
TYPES = {Status.APPROVED: Type.APPROVED} | dict.fromkeys(REASONS, Type.FAILED)
"""The ends that have an event, and its type. `REFUSED` has none: its provider took nothing, and
whoever asked for it can have it refused again and again."""


@dataclass(frozen=True)
class Event:
    """How the verification of the same *id* ended: its *status* is one of `TYPES`."""

    id: str
    at: datetime
    status: Status
    phone: PhoneNumber
    channel: Channel
    provider: str

    @property
    def type(self) -> Type:
        """The name it goes by."""
        return TYPES[self.status]

    @property
    def reason(self) -> Reason | None:
        """Why it failed; None if it did not."""
        return REASONS.get(self.status)


@dataclass(frozen=True)
class Claim:
    """The right to deliver one event, the *attempt*-th time: the first is 1."""

    id: str
    attempt: int


@dataclass(frozen=True)
class DeadEvent:
    """One that is not tried any more, for operators."""

    id: str
    type: Type
    at: datetime
    died_at: datetime
    attempts: int
    failure: str


class Verdict(StrEnum):
    """What became of a delivery."""

    TAKEN = "taken"
    FAILED = "failed"
    BUSY = "busy"  # nor would another event be taken now
    GONE = "gone"  # this one is not wanted, whenever it comes


@dataclass(frozen=True)
class Receipt:
    """A receiver's answer.

    Attributes:
        why: of a failure, for log and operators: 64 characters at most, none of them theirs.
        wait: how long it asks to be left alone.
    """

    verdict: Verdict
    why: str = ""
    wait: timedelta = timedelta()


GONE = Receipt(Verdict.GONE, "deleted")
UNREADABLE = Receipt(Verdict.FAILED, "number unreadable: NUMBER_KEYS")


@dataclass(frozen=True)
class Courier:
    """Brings what is in the outbox to the receiver, one after the other."""

    outbox: Outbox
    receiver: Receiver
    now: Callable[[], datetime]
    chance: Callable[[], float] = SystemRandom().random
    """From 0 to 1: how much of the jitter."""

    async def deliver(self) -> None:
        """Deliver all that is due, the oldest first, until the receiver has enough."""
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
    """Closes what was over while nobody was there to do it; the sweeper looks back minutes only."""

    store: VerificationStore
    now: Callable[[], datetime]
    since: datetime = EVER
    """All that was over before is closed."""

    async def close(self) -> None:
        """Look once."""
        until = self.now() - LEFT_AFTER
        await self.store.expire(self.since, until)
        self.since = until - SKEW

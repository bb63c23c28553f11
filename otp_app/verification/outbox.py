"""Events: webhooks that report the end of each verification to the operator's backend.

An event is written to the outbox in the transaction that ends its verification. Delivery is at
least once, because a lost response leaves open whether the endpoint has received the event.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from secrets import SystemRandom
from typing import TYPE_CHECKING, Protocol

import structlog

from otp_app.errors import PhoneDecryptionFailed
from otp_app.verification.models import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import (
        Channel,
    )


class Outbox(Protocol):
    """The events that are still to be delivered. All methods raise `StoreUnavailable`.

    The store writes an event in the transaction that ends its verification.
    """

    async def claim(self, now: datetime, until: datetime) -> DeliveryClaim | None:
        """Claim the oldest due event for one attempt. No other caller gets it before *until*.

        Returns:
            None if no event is due, or another caller has claimed it first.
        """
        ...

    async def read(self, id_: str) -> WebhookEvent | None:
        """Return the event *id_*, or None if it was deleted meanwhile.

        Raises:
            NumbersUnreadable: no key in `PHONE_ENCRYPTION_KEYS` decrypts its phone number.
        """
        ...

    async def mark_delivered(self, id_: str, at: datetime) -> None:
        """Record that the webhook endpoint has accepted the event *id_*."""
        ...

    async def postpone(self, claim: DeliveryClaim, reason: str, until: datetime) -> None:
        """Record that the attempt failed, and make the event due again at *until*."""
        ...

    async def dead_letter(self, claim: DeliveryClaim, reason: str, at: datetime) -> None:
        """Record that the attempt failed, and make the event a dead letter."""
        ...


class WebhookEndpoint(Protocol):
    """The endpoint that events are delivered to."""

    async def post(self, event: WebhookEvent) -> WebhookResult:
        """Deliver *event* once, within `DEADLINE`. Failures are results, not exceptions."""
        ...


RETRY_DELAYS = (
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

log = structlog.get_logger(__name__)


class WebhookEventType(StrEnum):
    """The type of an event, which is part of the webhook API."""

    APPROVED = "verification.approved"
    FAILED = "verification.failed"


class FailureReason(StrEnum):
    """The reason for a failed verification. A cancel by the person is not a failure."""

    EXPIRED = "expired"  # no right code in time
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"  # too many wrong codes


FAILURE_REASONS = {
    Status.EXPIRED: FailureReason.EXPIRED,
    Status.EXHAUSTED: FailureReason.ATTEMPTS_EXHAUSTED,
}
WEBHOOK_EVENT_TYPES = {Status.APPROVED: WebhookEventType.APPROVED} | dict.fromkeys(
    FAILURE_REASONS, WebhookEventType.FAILED
)
"""The final statuses that cause an event, with its type. `REFUSED` causes none: no message was
sent, and a client can provoke any number of refusals."""


@dataclass(frozen=True)
class WebhookEvent:
    """The end of one verification.

    Attributes:
        id: the id of the verification, which identifies the event too.
        at: time of the end, aware.
        status: the final status, a key of `WEBHOOK_EVENT_TYPES`.
    """

    id: str
    at: datetime
    status: Status
    phone: PhoneNumber
    channel: Channel
    provider: str

    @property
    def type(self) -> WebhookEventType:
        """The event type for *status*."""
        return WEBHOOK_EVENT_TYPES[self.status]

    @property
    def reason(self) -> FailureReason | None:
        """The reason for the failure; None after an approval."""
        return FAILURE_REASONS.get(self.status)


@dataclass(frozen=True)
class DeliveryClaim:
    """The right to make one delivery attempt of event *id*. The first *attempt* is 1."""

    id: str
    attempt: int


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: an event that is no longer retried, with the last *failure*."""

    id: str
    type: WebhookEventType
    at: datetime
    died_at: datetime
    attempts: int
    failure: str


class WebhookOutcome(StrEnum):
    """The outcome of a delivery attempt."""

    ACCEPTED = "taken"  # the endpoint accepted the event
    FAILED = "failed"  # the attempt failed and is retried
    BUSY = "busy"  # the endpoint accepts no event at present; the attempt is retried
    GONE = "gone"  # the event must never be retried


@dataclass(frozen=True)
class WebhookResult:
    """The result of a delivery attempt.

    Attributes:
        reason: the failure, for log and operators: at most 64 characters, none from the response.
        wait: minimum wait before a retry that the endpoint has requested.
    """

    outcome: WebhookOutcome
    reason: str = ""
    wait: timedelta = timedelta()


DELETED = WebhookResult(WebhookOutcome.GONE, "deleted")
UNDECRYPTABLE = WebhookResult(WebhookOutcome.FAILED, "number unreadable: PHONE_ENCRYPTION_KEYS")


@dataclass(frozen=True)
class WebhookDispatcher:
    """Delivers the events of the outbox to the webhook endpoint, one after the other."""

    outbox: Outbox
    endpoint: WebhookEndpoint
    now: Callable[[], datetime]
    random: Callable[[], float] = SystemRandom().random
    """Random number from 0 to 1, the share of `JITTER` that is added to a wait."""

    async def deliver(self) -> None:
        """Deliver every due event, the oldest first, and stop early if the endpoint is busy."""
        while claim := await self.outbox.claim(self.now(), self.now() + LEASE):
            receipt = await self._attempt(claim)
            await self._settle(claim, receipt)
            if receipt.outcome is WebhookOutcome.BUSY:
                return

    async def _attempt(self, claim: DeliveryClaim) -> WebhookResult:
        try:
            event = await self.outbox.read(claim.id)
        except PhoneDecryptionFailed:
            return UNDECRYPTABLE
        return await self.endpoint.post(event) if event else DELETED

    async def _settle(self, claim: DeliveryClaim, receipt: WebhookResult) -> None:
        if receipt.outcome is WebhookOutcome.ACCEPTED:
            await self.outbox.mark_delivered(claim.id, self.now())
            log.info("webhook.delivered", id=claim.id, attempt=claim.attempt)
        elif receipt.outcome is WebhookOutcome.GONE or claim.attempt > len(RETRY_DELAYS):
            await self.outbox.dead_letter(claim, receipt.reason, self.now())
            log.error(
                "webhook.dead_lettered", id=claim.id, attempt=claim.attempt, why=receipt.reason
            )
        else:
            wait = max(self._wait(claim.attempt), receipt.wait)
            await self.outbox.postpone(claim, receipt.reason, self.now() + wait)
            names = {"attempt": claim.attempt, "again_in_s": round(wait.total_seconds())}
            log.warning("webhook.delivery_failed", id=claim.id, why=receipt.reason, **names)

    def _wait(self, attempt: int) -> timedelta:
        return RETRY_DELAYS[attempt - 1] * (1 + JITTER * self.random())

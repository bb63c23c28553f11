"""What became of a message on its way, as its provider reports it.

A report verifies nobody, sends nothing and changes no verification: it is shown, and that is all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from otp_app.verification.models import Channel, Reference, Verification
    from otp_app.verification.ports import DeliveryStore

CLOCKS_APART = timedelta(seconds=15)
"""How far a provider's clock may be behind ours. Less than the wait between two messages."""

WATCHED = timedelta(minutes=2)
"""How long after a message its report is waited for; nearly all come within one minute."""

log = structlog.get_logger(__name__)


class DeliveryStatus(StrEnum):
    """How far the message has come. Of final ones at the same moment, the later here holds."""

    ACCEPTED = "accepted"  # by the carrier
    FAILED = "failed"  # it did not get as far as the carrier, or was blocked
    UNDELIVERED = "undelivered"  # the carrier could not hand it over
    DELIVERED = "delivered"

    @property
    def is_final(self) -> bool:
        """Whether there is no more to hear."""
        return self is not DeliveryStatus.ACCEPTED

    @property
    def is_failure(self) -> bool:
        """Whether the message has not come and will not."""
        return self in (DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED)


_RANKS = {status: rank for rank, status in enumerate(DeliveryStatus)}


@dataclass(frozen=True)
class Delivery:
    """One report about one message. Times are aware, by the provider's clock.

    Attributes:
        event: the provider's name of the report; the same report may come twice.
        provider: whose it is.
        reference: the provider's id of the verification it is about.
        channel: how the message travels.
        status: how far it has come.
        at: when.
        sent_at: when the message was made, where the provider says so.
        reason: the provider's code for what went wrong, or nothing.
    """

    event: str
    provider: str
    reference: Reference
    channel: Channel
    status: DeliveryStatus
    at: datetime
    sent_at: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Deliveries:
    """Keeps reports and tells what they come to. All methods raise `StoreUnavailable`."""

    store: DeliveryStore
    now: Callable[[], datetime]
    reporters: frozenset[str] = frozenset()
    """The providers whose reports are taken."""

    async def record(self, deliveries: Sequence[Delivery]) -> None:
        """Keep each of them once, if it is about a verification of ours."""
        for id_, delivery in await self.store.add(deliveries):
            log.info(
                "delivery.reported",
                id=id_,
                provider=delivery.provider,
                channel=delivery.channel,
                status=delivery.status,
                reason=delivery.reason,
            )

    async def of(self, verification: Verification) -> Delivery | None:
        """What is known of the last message of *verification*."""
        reports = await self.store.reports(verification)
        return decisive(report for report in reports if _is_about_last(report, verification))

    def awaits(self, verification: Verification, delivery: Delivery | None) -> bool:
        """Whether, after *delivery*, more may be reported of its last message soon."""
        is_reported = verification.provider in self.reporters
        is_open = delivery is None or not delivery.status.is_final
        return is_reported and is_open and self.now() < verification.sent_at + WATCHED


def decisive(reports: Iterable[Delivery]) -> Delivery | None:
    """The one that holds, in whatever order they came: a final one, of those the newest."""
    return max(reports, key=_weight, default=None)


def _weight(report: Delivery) -> tuple[bool, datetime, int, str]:
    return report.status.is_final, report.at, _RANKS[report.status], report.event


def _is_about_last(report: Delivery, verification: Verification) -> bool:
    """Whether it is not about an earlier message of the same verification."""
    if report.channel is not verification.channel:
        return False
    return report.sent_at is None or report.sent_at >= verification.sent_at - CLOCKS_APART

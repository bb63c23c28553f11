"""Delivery reports: the progress of a message, from its provider.

A report is only displayed. It never verifies a number, sends a message or changes a verification.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from otp_app.verification.models import (
        Channel,
        Reference,
        Verification,
    )


class DeliveryReportStore(Protocol):
    """The delivery reports of providers. All methods raise `StoreUnavailable`."""

    async def add(
        self, deliveries: Sequence[DeliveryReport]
    ) -> Sequence[tuple[str, DeliveryReport]]:
        """Store each report once for each verification that has its reference.

        Returns:
            The new reports, each with the id of its verification. A report with an unknown
            reference is not stored.
        """
        ...

    async def reports(self, verification: Verification) -> Sequence[DeliveryReport]:
        """Return every report about the current reference of *verification*."""
        ...


CLOCK_SKEW_TOLERANCE = timedelta(seconds=15)
"""Largest delay of a provider's clock behind ours, below the shortest wait between two messages."""

REPORT_WAIT = timedelta(minutes=2)
"""Time after a message for which its page waits for reports. Most arrive within one minute."""

log = structlog.get_logger(__name__)


class DeliveryStatus(StrEnum):
    """The delivery status of a message, from the weakest to the strongest.

    If two final reports have the same time, the stronger status counts.
    """

    ACCEPTED = "accepted"  # by the carrier
    FAILED = "failed"  # it did not get as far as the carrier, or was blocked
    UNDELIVERED = "undelivered"  # the carrier could not hand it over
    DELIVERED = "delivered"

    @property
    def is_final(self) -> bool:
        """Whether no further report is expected."""
        return self is not DeliveryStatus.ACCEPTED

    @property
    def is_failure(self) -> bool:
        """Whether the message was not delivered and never will be."""
        return self in (DeliveryStatus.UNDELIVERED, DeliveryStatus.FAILED)


_RANKS = {status: rank for rank, status in enumerate(DeliveryStatus)}


@dataclass(frozen=True)
class DeliveryReport:
    """One report about one message. Times are aware, by the provider's clock.

    Attributes:
        event: the provider's id of the report, which may arrive more than once.
        provider: the name of the provider.
        reference: the provider's id of the verification.
        channel: the channel of the message.
        status: the delivery status.
        at: the time of the status.
        sent_at: the time at which the message was created; None if not reported.
        reason: the provider's error code, or empty.
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
class DeliveryReports:
    """Stores delivery reports and combines them. Methods that wait raise `StoreUnavailable`."""

    store: DeliveryReportStore
    now: Callable[[], datetime]
    reporters: frozenset[str] = frozenset()
    """Names of the providers that send reports to this app."""

    async def record(self, deliveries: Sequence[DeliveryReport]) -> None:
        """Store and log each report once, if it is about a known verification."""
        for id_, delivery in await self.store.add(deliveries):
            log.info(
                "delivery.reported",
                id=id_,
                provider=delivery.provider,
                channel=delivery.channel,
                status=delivery.status,
                reason=delivery.reason,
            )

    async def of(self, verification: Verification) -> DeliveryReport | None:
        """Return the report that determines the status of the last message, if any."""
        reports = await self.store.reports(verification)
        return decisive(report for report in reports if _is_about_last(report, verification))

    def awaits(self, verification: Verification, delivery: DeliveryReport | None) -> bool:
        """Return whether a further report on the last message may arrive soon.

        *delivery* is the report that determines its status so far.
        """
        is_reported = verification.provider in self.reporters
        is_open = delivery is None or not delivery.status.is_final
        return is_reported and is_open and self.now() < verification.sent_at + REPORT_WAIT


def decisive(reports: Iterable[DeliveryReport]) -> DeliveryReport | None:
    """Return the report that counts, whatever the order of arrival.

    A final report counts more than any other, and a newer one more than an older one.
    """
    return max(reports, key=_weight, default=None)


def _weight(report: DeliveryReport) -> tuple[bool, datetime, int, str]:
    return report.status.is_final, report.at, _RANKS[report.status], report.event


def _is_about_last(report: DeliveryReport, verification: Verification) -> bool:
    """Return whether *report* is about the last message, not an earlier one."""
    if report.channel is not verification.channel:
        return False
    return report.sent_at is None or report.sent_at >= verification.sent_at - CLOCK_SKEW_TOLERANCE

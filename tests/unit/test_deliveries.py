"""The effect of delivery reports about a message, on the real store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import count, permutations
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, func, select

from otp_app.phone import PhoneNumber
from otp_app.storage.deliveries import SqlDeliveryReports
from otp_app.storage.tables import deliveries as table
from otp_app.storage.tables import verifications as verification_table
from otp_app.verification.client import Client
from otp_app.verification.deliveries import (
    DeliveryReport,
    DeliveryReports,
    DeliveryStatus,
    decisive,
)
from otp_app.verification.models import Channel, Flow, Reference
from tests.database import connected
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

ACCEPTED, FAILED, UNDELIVERED, DELIVERED = DeliveryStatus
CLIENT = Client(Flow("flow-of-this-browser"), "203.0.113.7")
PHONE = PhoneNumber("+14155552671")


@pytest.fixture
def deliveries(sql_store: SqlStore, clock: Clock, provider: FakeProvider) -> DeliveryReports:
    return DeliveryReports(
        SqlDeliveryReports(sql_store.engine), clock.now, frozenset({provider.name})
    )


@pytest.fixture
async def sent(verifications: VerificationService) -> Verification:
    """A verification that waits for its code."""
    return await verifications.start(CLIENT, PHONE, Channel.SMS)


def reported(about: Verification, status: DeliveryStatus, seconds: float = 5) -> DeliveryReport:
    """A report so many seconds after the message."""
    assert about.reference is not None
    return DeliveryReport(
        event=f"{status}-{seconds}",
        provider=about.provider,
        reference=about.reference,
        channel=about.channel,
        status=status,
        at=about.sent_at + timedelta(seconds=seconds),
        sent_at=about.sent_at,
    )


async def told(deliveries: DeliveryReports, verification: Verification) -> DeliveryStatus | None:
    report = await deliveries.of(verification)
    return report.status if report else None


async def kept(store: SqlStore) -> int:
    async with connected(store.engine) as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


@pytest.mark.parametrize(
    ("reports", "holds"),
    [
        ([], None),
        ([(ACCEPTED, 1)], (ACCEPTED, 1)),
        ([(ACCEPTED, 1), (DELIVERED, 2)], (DELIVERED, 2)),
        ([(DELIVERED, 1), (ACCEPTED, 2)], (DELIVERED, 1)),  # its clock may jump
        ([(ACCEPTED, 1), (UNDELIVERED, 2), (ACCEPTED, 3)], (UNDELIVERED, 2)),
        ([(UNDELIVERED, 1), (DELIVERED, 2)], (DELIVERED, 2)),
        ([(DELIVERED, 1), (FAILED, 2)], (FAILED, 2)),
        ([(UNDELIVERED, 1), (DELIVERED, 1), (FAILED, 1)], (DELIVERED, 1)),
        ([(UNDELIVERED, 1), (FAILED, 1), (ACCEPTED, 1)], (UNDELIVERED, 1)),
    ],
)
async def test_in_any_order_the_same_report_holds(
    sent: Verification,
    reports: list[tuple[DeliveryStatus, float]],
    holds: tuple[DeliveryStatus, float] | None,
) -> None:
    wanted = reported(sent, *holds) if holds else None

    for order in permutations(reported(sent, *report) for report in reports):
        assert decisive(order) == wanted


async def test_what_is_recorded_is_told_as_it_was_reported(
    deliveries: DeliveryReports, sent: Verification
) -> None:
    report = replace(reported(sent, FAILED), reason="30004")

    await deliveries.record([report])

    assert await deliveries.of(sent) == report


async def test_a_report_that_comes_again_is_kept_once(
    deliveries: DeliveryReports, sent: Verification, sql_store: SqlStore
) -> None:
    report = reported(sent, DELIVERED)

    await deliveries.record([report, report])
    await asyncio.gather(*(deliveries.record([report]) for _ in range(20)))

    assert await kept(sql_store) == 1


async def test_a_report_about_nothing_of_ours_is_not_kept(
    deliveries: DeliveryReports, sent: Verification, sql_store: SqlStore
) -> None:
    unknown = replace(reported(sent, DELIVERED), reference=Reference("another-apps"))
    elsewhere = replace(reported(sent, DELIVERED), provider="another-provider")

    await deliveries.record([unknown, elsewhere])

    assert await kept(sql_store) == 0
    assert await told(deliveries, sent) is None


async def test_a_report_is_told_to_all_who_share_the_message(
    deliveries: DeliveryReports,
    verifications: VerificationService,
    provider: FakeProvider,
    sent: Verification,
    clock: Clock,
) -> None:
    """Twilio gives several browsers that verify one number one reference."""
    provider._numbers = count(1)
    clock.tick(5)
    other = await verifications.start(replace(CLIENT, flow=Flow("another")), PHONE, Channel.SMS)
    assert other.reference == sent.reference

    await deliveries.record([reported(other, DELIVERED)])

    assert await told(deliveries, sent) is await told(deliveries, other) is DELIVERED


async def test_a_new_message_begins_without_a_report(
    deliveries: DeliveryReports,
    verifications: VerificationService,
    sent: Verification,
    clock: Clock,
) -> None:
    await deliveries.record([reported(sent, UNDELIVERED)])
    assert await told(deliveries, sent) is UNDELIVERED

    clock.tick(31)
    again = await verifications.resend(CLIENT, sent.id, Channel.SMS)
    assert again.reference == sent.reference
    assert await told(deliveries, again) is None

    await deliveries.record([reported(sent, DELIVERED, seconds=40)])  # of the first one, late
    assert await told(deliveries, again) is None
    await deliveries.record([replace(reported(again, DELIVERED), event="of the second one")])
    assert await told(deliveries, again) is DELIVERED


async def test_a_call_is_not_a_message_that_was_delivered(
    deliveries: DeliveryReports,
    verifications: VerificationService,
    sent: Verification,
    clock: Clock,
) -> None:
    clock.tick(31)
    called = await verifications.resend(CLIENT, sent.id, Channel.VOICE)

    await deliveries.record([replace(reported(sent, DELIVERED), sent_at=None)])

    assert await told(deliveries, called) is None


async def test_a_reference_that_was_replaced_tells_nothing_of_the_new_message(
    deliveries: DeliveryReports, sent: Verification
) -> None:
    await deliveries.record([reported(sent, FAILED)])

    assert await told(deliveries, replace(sent, reference=Reference("new"))) is None


async def test_a_provider_whose_clock_is_behind_is_understood(
    deliveries: DeliveryReports, sent: Verification
) -> None:
    behind = timedelta(seconds=10)
    report = reported(sent, DELIVERED)
    report = replace(report, at=report.at - behind, sent_at=sent.sent_at - behind)

    await deliveries.record([report])

    assert await told(deliveries, sent) is DELIVERED


async def test_more_is_awaited_for_two_minutes_or_until_it_is_final(
    deliveries: DeliveryReports, sent: Verification, clock: Clock
) -> None:
    assert deliveries.awaits(sent, None)
    assert deliveries.awaits(sent, reported(sent, ACCEPTED))
    assert not deliveries.awaits(sent, reported(sent, DELIVERED))
    assert not deliveries.awaits(sent, reported(sent, FAILED))
    assert not replace(deliveries, reporters=frozenset()).awaits(sent, None)

    clock.tick(121)
    assert not deliveries.awaits(sent, None)


@pytest.mark.parametrize("status", DeliveryStatus)
async def test_a_report_changes_no_verification_and_sends_nothing(
    deliveries: DeliveryReports,
    verifications: VerificationService,
    provider: FakeProvider,
    sent: Verification,
    status: DeliveryStatus,
) -> None:
    await deliveries.record([reported(sent, status)])

    assert await verifications.current(CLIENT.flow) == sent
    assert (len(provider.sent), provider.checked, provider.canceled) == (1, [], [])
    await verifications.check(CLIENT, sent.id, RIGHT)


async def test_a_report_is_forgotten_with_its_verification(
    deliveries: DeliveryReports, sent: Verification, sql_store: SqlStore
) -> None:
    await deliveries.record([reported(sent, DELIVERED)])

    async with connected(sql_store.engine) as connection:
        await connection.execute(delete(verification_table))

    assert await kept(sql_store) == 0


async def test_the_log_tells_it_without_number_and_reference(
    deliveries: DeliveryReports, sent: Verification, capfd: pytest.CaptureFixture[str]
) -> None:
    await deliveries.record([replace(reported(sent, FAILED), reason="30004")])

    written = capfd.readouterr().out
    assert "delivery.reported" in written
    assert "30004" in written
    assert sent.id in written
    assert str(sent.reference) not in written
    assert PHONE.e164 not in written

"""Events: each end of a verification has one, written with it or not at all."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, text
from sqlalchemy.dialects import sqlite

from otp_app.errors import (
    AttemptsExhausted,
    NumberBusy,
    OtpError,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
    StoreUnavailable,
    VerificationExpired,
)
from otp_app.phone import PhoneNumber
from otp_app.storage import outbox as outbox_statements
from otp_app.storage import verification_statements
from otp_app.storage.outbox import SqlOutbox
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.tables import dead_events, events, verifications
from otp_app.verification.background import CATCH_UP_AFTER, ExpiryCatchUp, Sweeper
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, CheckOutcome, Flow, Status
from otp_app.verification.outbox import DeliveryClaim, FailureReason, WebhookEvent, WebhookEventType
from tests.database import connected
from tests.fakes import RIGHT, WRONG
from tests.unit.conftest import NUMBER_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy import ClauseElement, Table

    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

    End = Callable[[VerificationService, FakeProvider, Clock], Awaitable[object]]

pytestmark = pytest.mark.databases

PHONE, OTHER_PHONE = PhoneNumber("+14155552671"), PhoneNumber("+447400123456")
ME = Client(Flow("flow"), "203.0.113.7")
DAY = timedelta(days=1)


@pytest.fixture
def outbox(sql_store: SqlStore, clock: Clock) -> SqlOutbox:
    return SqlOutbox(sql_store.engine, sql_store.encryption, clock.now)


@pytest.fixture
def store(sql_store: SqlStore, outbox: SqlOutbox) -> SqlStore:
    """The store of an app that tells events."""
    return replace(sql_store, outbox=outbox)


@pytest.fixture
def service(verifications: VerificationService, store: SqlStore) -> VerificationService:
    return replace(verifications, store=store)


def sweeper(service: VerificationService, keep: timedelta = DAY) -> Sweeper:
    return Sweeper(service.store, service.limiter, service.providers, service.now, keep)


async def start(service: VerificationService, phone: PhoneNumber = PHONE) -> Verification:
    return await service.start(ME, phone, Channel.SMS)


async def approve(service: VerificationService) -> Verification:
    started = await start(service)
    return await service.check(ME, started.id, RIGHT)


async def written(store: SqlStore, table: Table = events) -> list[str]:
    """The verifications that have an event."""
    async with connected(store.engine) as connection:
        return list((await connection.scalars(select(table.c.verification))).all())


async def only(outbox: SqlOutbox) -> WebhookEvent:
    """The one event there is."""
    async with connected(outbox.engine) as connection:
        (id_,) = (await connection.scalars(select(events.c.verification))).all()
    event = await outbox.read(id_)
    assert event
    return event


async def test_an_approval_is_an_event_of_the_same_moment(
    service: VerificationService, outbox: SqlOutbox, clock: Clock
) -> None:
    approved = await approve(service)

    assert await only(outbox) == WebhookEvent(
        approved.id, clock.now(), Status.APPROVED, PHONE, Channel.SMS, "fake"
    )
    assert ((await only(outbox)).type, (await only(outbox)).reason) == (
        WebhookEventType.APPROVED,
        None,
    )


async def exhaust(service: VerificationService, _provider: FakeProvider, _clock: Clock) -> None:
    started = await start(service)
    for _ in range(started.attempts_left):
        with pytest.raises(OtpError):
            await service.check(ME, started.id, WRONG)


async def exhaust_at_the_provider(
    service: VerificationService, provider: FakeProvider, _clock: Clock
) -> None:
    started = await start(service)
    provider.answers = [CheckOutcome.EXHAUSTED]
    with pytest.raises(AttemptsExhausted):
        await service.check(ME, started.id, WRONG)


async def lose_the_last_guess(
    service: VerificationService, provider: FakeProvider, _clock: Clock
) -> None:
    started = await start(service)
    provider.answers = [CheckOutcome.MISMATCH] * (started.attempts_left - 1)
    for _ in range(started.attempts_left - 1):
        with pytest.raises(OtpError):
            await service.check(ME, started.id, WRONG)
    provider.failures = [ProviderTimedOut()]
    with pytest.raises(AttemptsExhausted):
        await service.check(ME, started.id, WRONG)


async def expire_at_the_provider(
    service: VerificationService, provider: FakeProvider, _clock: Clock
) -> None:
    started = await start(service)
    provider.answers = [CheckOutcome.EXPIRED]
    with pytest.raises(VerificationExpired):
        await service.check(ME, started.id, WRONG)


async def run_out(service: VerificationService, _provider: FakeProvider, clock: Clock) -> None:
    await start(service)
    clock.tick(601)
    await sweeper(service).sweep()
    await sweeper(service).sweep()


async def begin_anew_after_time(
    service: VerificationService, _provider: FakeProvider, clock: Clock
) -> None:
    await start(service)
    clock.tick(601)
    await start(service)


async def go_to_another_number_after_time(
    service: VerificationService, _provider: FakeProvider, clock: Clock
) -> None:
    await start(service)
    clock.tick(601)
    await start(service, OTHER_PHONE)


async def run_out_without_an_answer(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut()]
    with pytest.raises(ProviderTimedOut):
        await start(service)
    clock.tick(601)
    await sweeper(service).sweep()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (exhaust, FailureReason.ATTEMPTS_EXHAUSTED),
        (exhaust_at_the_provider, FailureReason.ATTEMPTS_EXHAUSTED),
        (lose_the_last_guess, FailureReason.ATTEMPTS_EXHAUSTED),
        (expire_at_the_provider, FailureReason.EXPIRED),
        (run_out, FailureReason.EXPIRED),
        (begin_anew_after_time, FailureReason.EXPIRED),
        (go_to_another_number_after_time, FailureReason.EXPIRED),
        (run_out_without_an_answer, FailureReason.EXPIRED),
    ],
)
async def test_a_failure_is_one_event_with_its_reason(
    service: VerificationService,
    provider: FakeProvider,
    outbox: SqlOutbox,
    clock: Clock,
    end: End,
    reason: FailureReason,
) -> None:
    await end(service, provider, clock)

    event = await only(outbox)
    assert (event.type, event.reason, event.at) == (WebhookEventType.FAILED, reason, clock.now())


@pytest.mark.parametrize(
    "error", [ProviderRejected(), ProviderUnavailable(), ProviderNotReached(), NumberBusy()]
)
async def test_a_verification_that_no_provider_took_has_no_event(
    service: VerificationService, provider: FakeProvider, store: SqlStore, error: OtpError
) -> None:
    provider.failures = [error]
    with pytest.raises(type(error)):
        await start(service)

    assert await written(store) == []


async def test_what_goes_on_or_is_given_up_is_no_event(
    service: VerificationService, store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(service)
    with pytest.raises(OtpError):
        await service.check(ME, started.id, WRONG)
    clock.tick(31)
    provider.failures = [ProviderRejected()]
    with pytest.raises(ProviderRejected):
        await service.resend(ME, started.id, Channel.SMS)
    await start(service, OTHER_PHONE)  # closes the first
    await service.cancel(ME.flow)
    clock.tick(601)
    await sweeper(service).sweep()

    assert await written(store) == []


async def test_an_app_without_a_backend_writes_no_events(
    verifications: VerificationService, provider: FakeProvider, clock: Clock, sql_store: SqlStore
) -> None:
    await approve(verifications)
    await exhaust(replace(verifications), provider, clock)

    assert await written(sql_store) == []


async def test_what_cannot_be_told_does_not_happen(
    service: VerificationService, store: SqlStore
) -> None:
    started = await start(service)
    async with connected(store.engine) as connection:
        await connection.execute(text("DROP TABLE events"))

    with pytest.raises(StoreUnavailable):
        await service.check(ME, started.id, RIGHT)

    async with connected(store.engine) as connection:
        status = await connection.scalar(select(verifications.c.status))
        users = await connection.scalar(text("SELECT count(*) FROM users"))
    assert (status, users) == (Status.PENDING, 0)


async def test_of_ends_at_once_one_counts_and_one_is_told(
    service: VerificationService, store: SqlStore, outbox: SqlOutbox
) -> None:
    started = await start(service)

    ends = await asyncio.gather(
        *(store.approve(started.id, service.now()) for _ in range(5)),
        *(store.close(started.id, Status.EXHAUSTED, started.reference) for _ in range(5)),
        *(store.close(started.id, Status.EXPIRED, started.reference) for _ in range(5)),
    )

    current = await store.latest(ME.flow)
    assert sum(map(bool, ends)) == 1
    assert current
    assert (await only(outbox)).status is current.status


async def test_what_ran_out_while_nobody_was_there_is_told_after_all(
    service: VerificationService, store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    left = await start(service)
    clock.tick(2 * 60 * 60)  # no server ran
    await sweeper(service).sweep()
    assert await written(store) == []

    await ExpiryCatchUp(store, clock.now).catch_up()

    assert await written(store) == [left.id]
    assert provider.canceled == []


async def test_what_is_left_open_is_looked_for_from_where_the_last_look_ended(
    service: VerificationService, store: SqlStore, clock: Clock
) -> None:
    look = ExpiryCatchUp(store, clock.now)
    await look.catch_up()
    left = await start(service)

    clock.tick((left.expires_at + CATCH_UP_AFTER - clock.now()).total_seconds() - 1)
    await look.catch_up()
    assert await written(store) == []  # the sweeper's, or the last guess's
    clock.tick(1)
    await look.catch_up()

    assert await written(store) == [left.id]


async def test_a_look_that_failed_is_made_again(
    service: VerificationService, store: SqlStore, clock: Clock
) -> None:
    look = ExpiryCatchUp(store, clock.now)
    left = await start(service)
    clock.tick(2 * 60 * 60)
    async with connected(store.engine) as connection:
        await connection.execute(text("ALTER TABLE events RENAME TO away"))
    with pytest.raises(StoreUnavailable):
        await look.catch_up()
    async with connected(store.engine) as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO events"))

    await look.catch_up()

    assert await written(store) == [left.id]


async def test_the_rows_have_no_number_and_the_event_has_it(
    service: VerificationService, store: SqlStore, outbox: SqlOutbox
) -> None:
    numbers = PhoneEncryption(NUMBER_KEY, [Fernet.generate_key().decode()])
    sealing = replace(store, encryption=numbers)
    await approve(replace(service, store=sealing))

    async with connected(store.engine) as connection:
        row = (await connection.execute(text("SELECT * FROM events"))).mappings().one()
    assert PHONE.digits not in str(dict(row))
    assert (await only(replace(outbox, encryption=numbers))).phone == PHONE


async def test_a_verification_is_kept_until_its_event_is_delivered(
    service: VerificationService, store: SqlStore, outbox: SqlOutbox, clock: Clock
) -> None:
    approved = await approve(service)
    clock.tick(3 * DAY.total_seconds())

    await sweeper(service).sweep()
    assert await written(store) == [approved.id]
    await outbox.mark_delivered(approved.id, clock.now())
    await sweeper(service).sweep()

    assert await written(store) == []
    assert await service.current(ME.flow) is None


async def test_a_dead_event_is_kept_as_long_as_anything_else(
    service: VerificationService, store: SqlStore, outbox: SqlOutbox, clock: Clock
) -> None:
    approved = await approve(service)
    clock.tick(3 * DAY.total_seconds())
    await outbox.claim(clock.now(), clock.now())
    await outbox.dead_letter(DeliveryClaim(approved.id, 1), "HTTP 410", clock.now())

    clock.tick(DAY.total_seconds() - 1)
    await sweeper(service).sweep()
    assert await written(store, dead_events) == [approved.id]
    clock.tick(1)
    await sweeper(service).sweep()

    assert await written(store, dead_events) == []


async def test_without_a_backend_nothing_is_kept_longer(
    service: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    await approve(service)
    clock.tick(3 * DAY.total_seconds())

    await sweeper(replace(service, store=sql_store)).sweep()  # WEBHOOK_URL was unset

    assert await written(sql_store) == []


def _forget(outbox: SqlOutbox, now: datetime) -> ClauseElement:
    return verification_statements.forget(now, ~outbox.keeps(now))


def _left(_outbox: SqlOutbox, now: datetime) -> ClauseElement:
    return verification_statements.expire_left(now - DAY, now)


def _claim(_outbox: SqlOutbox, now: datetime) -> ClauseElement:
    return outbox_statements.oldest_due(now, now)


@pytest.mark.sqlite
@pytest.mark.parametrize("statement", [_forget, _left, _claim])
async def test_the_look_every_few_seconds_reads_no_whole_table(
    outbox: SqlOutbox, clock: Clock, statement: Callable[[SqlOutbox, datetime], ClauseElement]
) -> None:
    query = statement(outbox, clock.now()).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    async with connected(outbox.engine) as connection:
        plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()

    assert not [row.detail for row in plan if row.detail.startswith("SCAN")]

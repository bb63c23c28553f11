"""The webhook dispatcher: attempts, waits, giving up, crashes, and several dispatchers at once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import delete, select, text

from otp_app.errors import StoreUnavailable
from otp_app.phone import PhoneNumber
from otp_app.storage.outbox import DeadLetters, SqlOutbox
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.tables import events, verifications
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow
from otp_app.verification.outbox import (
    JITTER,
    LEASE,
    RETRY_DELAYS,
    DeadLetter,
    DeliveryClaim,
    WebhookDispatcher,
    WebhookEventType,
    WebhookOutcome,
    WebhookResult,
)
from tests.database import connected
from tests.fakes import RIGHT, FakeReceiver

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import RowMapping

    from otp_app.storage.store import SqlStore
    from otp_app.verification.outbox import WebhookEvent
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

PHONE = PhoneNumber("+14155552671")
FAILED, BUSY = (
    WebhookResult(WebhookOutcome.FAILED, "HTTP 500"),
    WebhookResult(WebhookOutcome.BUSY, "not reached"),
)


@pytest.fixture
def outbox(sql_store: SqlStore, clock: Clock) -> SqlOutbox:
    return SqlOutbox(sql_store.engine, sql_store.encryption, clock.now)


@pytest.fixture
def service(
    verifications: VerificationService, sql_store: SqlStore, outbox: SqlOutbox
) -> VerificationService:
    return replace(verifications, store=replace(sql_store, outbox=outbox))


@pytest.fixture
def receiver() -> FakeReceiver:
    return FakeReceiver()


@pytest.fixture
def dispatcher(outbox: SqlOutbox, receiver: FakeReceiver, clock: Clock) -> WebhookDispatcher:
    """Waits as long as the schedule says, with no chance in it."""
    return WebhookDispatcher(outbox, receiver, clock.now, random=lambda: 0)


async def approve(service: VerificationService, name: str = "flow") -> str:
    client = Client(Flow(name), "203.0.113.7")
    started = await service.start(client, PHONE, Channel.SMS)
    return (await service.check(client, started.id, RIGHT)).id


async def row_of(outbox: SqlOutbox, id_: str) -> RowMapping:
    async with connected(outbox.engine) as connection:
        query = select(events).where(events.c.verification == id_)
        return (await connection.execute(query)).mappings().one()


def told(receiver: FakeReceiver) -> list[str]:
    return [event.id for event in receiver.told]


async def test_what_was_taken_is_told_once(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = await approve(service)

    await dispatcher.deliver()
    clock.tick(LEASE.total_seconds() + 1)
    await dispatcher.deliver()

    assert told(receiver) == [approved]
    assert (await row_of(outbox, approved))["attempts"] == 1


async def test_the_oldest_comes_first(
    service: VerificationService,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = []
    for number in range(5):
        approved.append(await approve(service, f"flow {number}"))
        clock.tick(1)

    await dispatcher.deliver()

    assert told(receiver) == approved


async def test_what_was_not_taken_comes_again_as_scheduled_and_dies_after_three_days(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    approved, began = await approve(service), clock.now()
    receiver.receipts = [FAILED] * (len(RETRY_DELAYS) + 1)

    await dispatcher.deliver()
    for wait in RETRY_DELAYS:
        clock.tick(wait.total_seconds() - 1)
        before = len(receiver.told)
        await dispatcher.deliver()
        assert len(receiver.told) == before
        clock.tick(1)
        await dispatcher.deliver()
    clock.tick(10 * 24 * 60 * 60)
    await dispatcher.deliver()

    assert told(receiver) == [approved] * 10
    (dead,) = await DeadLetters(outbox.engine).newest(5)
    died = began + timedelta(hours=75, minutes=35, seconds=5)
    assert dead == DeadLetter(approved, WebhookEventType.APPROVED, began, died, 10, "HTTP 500")
    assert capsys.readouterr().out.count("webhook.dead_lettered") == 1


async def test_chance_adds_a_fifth_of_the_wait_at_most(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = await approve(service)
    receiver.receipts = [FAILED]

    await replace(dispatcher, random=lambda: 1).deliver()

    due = (await row_of(outbox, approved))["due_at"]
    assert due - clock.now() == RETRY_DELAYS[0] * (1 + JITTER)


async def test_by_default_chance_is_random(
    outbox: SqlOutbox, receiver: FakeReceiver, clock: Clock
) -> None:
    chance = WebhookDispatcher(outbox, receiver, clock.now).random

    drawn = {chance() for _ in range(10)}

    assert len(drawn) > 1
    assert all(0 <= one < 1 for one in drawn)


async def test_who_asks_to_be_left_alone_is(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = await approve(service)
    receiver.receipts = [replace(BUSY, wait=timedelta(hours=1))]

    await dispatcher.deliver()

    assert (await row_of(outbox, approved))["due_at"] == clock.now() + timedelta(hours=1)


async def test_a_busy_receiver_has_peace_until_the_next_round(
    service: VerificationService, dispatcher: WebhookDispatcher, receiver: FakeReceiver
) -> None:
    first, second = sorted([await approve(service), await approve(service, "other")])
    receiver.receipts = [BUSY]

    await dispatcher.deliver()
    assert told(receiver) == [first]
    await dispatcher.deliver()

    assert told(receiver) == [first, second]


async def test_an_event_that_is_not_taken_holds_no_other_up(
    service: VerificationService, dispatcher: WebhookDispatcher, receiver: FakeReceiver
) -> None:
    first, second = sorted([await approve(service), await approve(service, "other")])
    receiver.receipts = [FAILED]

    await dispatcher.deliver()

    assert told(receiver) == [first, second]


async def test_what_is_not_wanted_is_dead_at_once(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    await approve(service)
    receiver.receipts = [WebhookResult(WebhookOutcome.GONE, "HTTP 410")]

    await dispatcher.deliver()
    clock.tick(10 * 24 * 60 * 60)
    await dispatcher.deliver()

    assert len(receiver.told) == 1
    assert [dead.failure for dead in await DeadLetters(outbox.engine).newest(5)] == ["HTTP 410"]


async def test_the_dead_are_revived_with_all_attempts_before_them(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = await approve(service)
    receiver.receipts = [WebhookResult(WebhookOutcome.GONE, "HTTP 410"), FAILED]
    dead = DeadLetters(outbox.engine)
    await dispatcher.deliver()

    assert await dead.revive(clock.now()) == 1
    assert await dead.count() == 0
    await dispatcher.deliver()
    clock.tick(5)
    await dispatcher.deliver()

    assert told(receiver) == [approved] * 3
    assert await dead.revive(clock.now()) == 0


@dataclass
class Crashing:
    """A receiver that is told, and then the process is gone."""

    told: list[str]

    async def post(self, event: WebhookEvent) -> WebhookResult:
        self.told.append(event.id)
        raise asyncio.CancelledError


async def test_after_a_crash_another_dispatcher_delivers_it(
    service: VerificationService,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved, crashing = await approve(service), Crashing([])
    with suppress(asyncio.CancelledError):
        await replace(dispatcher, endpoint=crashing).deliver()

    await dispatcher.deliver()
    assert crashing.told == [approved]
    assert told(receiver) == []
    clock.tick(LEASE.total_seconds())
    await dispatcher.deliver()

    assert told(receiver) == [approved]


async def test_a_crash_at_the_last_attempt_loses_nothing(
    service: VerificationService,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = await approve(service)
    receiver.receipts = [FAILED] * len(RETRY_DELAYS)
    for wait in RETRY_DELAYS:
        await dispatcher.deliver()
        clock.tick(wait.total_seconds())
    with suppress(asyncio.CancelledError):
        await replace(dispatcher, endpoint=Crashing([])).deliver()

    clock.tick(LEASE.total_seconds())
    await dispatcher.deliver()

    assert told(receiver) == [approved] * 10


@dataclass(frozen=True)
class Forgetful(SqlOutbox):
    """The database goes away after the post."""

    async def mark_delivered(self, id_: str, at: datetime) -> None:
        del id_, at
        raise StoreUnavailable


async def test_what_could_not_be_noted_is_told_again_under_the_same_name(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    approved = await approve(service)
    forgetful = Forgetful(outbox.engine, outbox.encryption, outbox.now)
    with pytest.raises(StoreUnavailable):
        await replace(dispatcher, outbox=forgetful).deliver()

    clock.tick(LEASE.total_seconds())
    await dispatcher.deliver()

    assert told(receiver) == [approved] * 2


async def test_dispatchers_at_once_deliver_each_event_once(
    service: VerificationService, dispatcher: WebhookDispatcher, receiver: FakeReceiver
) -> None:
    approved = [await approve(service, f"flow {number}") for number in range(20)]

    await asyncio.gather(*(dispatcher.deliver() for _ in range(4)))

    assert sorted(told(receiver)) == sorted(approved)


async def test_an_attempt_that_ends_late_changes_nothing_of_the_next(
    service: VerificationService, outbox: SqlOutbox, clock: Clock
) -> None:
    approved = await approve(service)
    late = await outbox.claim(clock.now(), clock.now() + LEASE)
    clock.tick(LEASE.total_seconds())
    current = await outbox.claim(clock.now(), clock.now() + LEASE)
    before = await row_of(outbox, approved)
    assert (late, current) == (DeliveryClaim(approved, 1), DeliveryClaim(approved, 2))

    await outbox.postpone(DeliveryClaim(approved, 1), "late", clock.now())
    await outbox.dead_letter(DeliveryClaim(approved, 1), "late", clock.now())

    assert await row_of(outbox, approved) == before
    assert await DeadLetters(outbox.engine).count() == 0


async def test_what_was_delivered_never_dies(
    service: VerificationService, outbox: SqlOutbox, clock: Clock
) -> None:
    approved = await approve(service)
    claim = await outbox.claim(clock.now(), clock.now() + LEASE)
    assert claim
    await outbox.mark_delivered(approved, clock.now())

    await outbox.dead_letter(claim, "late", clock.now())

    assert await DeadLetters(outbox.engine).count() == 0


async def test_a_number_that_cannot_be_opened_is_tried_again_and_holds_nothing_up(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
) -> None:
    lost = PhoneEncryption(b"secret", [Fernet.generate_key().decode()]).encrypt(PHONE)
    sealed, clear = await approve(service), await approve(service, "other")
    async with connected(outbox.engine) as connection:
        change = text("UPDATE verifications SET phone = :lost WHERE id = :id")
        await connection.execute(change, {"lost": lost, "id": sealed})

    await dispatcher.deliver()

    assert told(receiver) == [clear]
    row = await row_of(outbox, sealed)
    assert (row["failure"], row["due_at"]) == (
        "number unreadable: PHONE_ENCRYPTION_KEYS",
        clock.now() + RETRY_DELAYS[0],
    )


async def test_what_was_deleted_meanwhile_is_told_to_nobody(
    service: VerificationService,
    outbox: SqlOutbox,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
) -> None:
    approved = await approve(service)

    class Deleting(SqlOutbox):
        async def read(self, id_: str) -> WebhookEvent | None:
            async with connected(self.engine) as connection:
                await connection.execute(delete(verifications).where(verifications.c.id == id_))
            return await super().read(id_)

    deleting = Deleting(outbox.engine, outbox.encryption, outbox.now)
    await replace(dispatcher, outbox=deleting).deliver()

    assert told(receiver) == []
    assert await outbox.read(approved) is None


async def test_the_log_has_no_number(
    service: VerificationService,
    dispatcher: WebhookDispatcher,
    receiver: FakeReceiver,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    approved = await approve(service)
    receiver.receipts = [FAILED]
    await dispatcher.deliver()
    clock.tick(5)
    await dispatcher.deliver()

    lines = capsys.readouterr().out
    assert [name for name in ("webhook.delivery_failed", "webhook.delivered") if name in lines] == [
        "webhook.delivery_failed",
        "webhook.delivered",
    ]
    assert approved in lines
    assert PHONE.digits not in lines

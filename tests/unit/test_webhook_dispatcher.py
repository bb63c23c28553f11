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


@dataclass(frozen=True)
class Delivery:
    """A service, and a dispatcher that delivers its events to a fake receiver."""

    service: VerificationService
    outbox: SqlOutbox
    dispatcher: WebhookDispatcher
    receiver: FakeReceiver

    async def approve(self, name: str = "flow") -> str:
        """Approve a verification of the flow *name*, and return the id of its event."""
        client = Client(Flow(name), "203.0.113.7")
        started = await self.service.start(client, PHONE, Channel.SMS)
        return (await self.service.check(client, started.id, RIGHT)).id

    async def deliver(self) -> None:
        """Deliver the events that are due."""
        await self.dispatcher.deliver()

    async def row(self, id_: str) -> RowMapping:
        """Return the row of the event *id_* in the outbox."""
        async with connected(self.outbox.engine) as connection:
            query = select(events).where(events.c.verification == id_)
            return (await connection.execute(query)).mappings().one()

    @property
    def received(self) -> list[str]:
        """The ids of the events that the receiver got, in order."""
        return [event.id for event in self.receiver.told]

    @property
    def dead(self) -> DeadLetters:
        """The events whose delivery has failed finally."""
        return DeadLetters(self.outbox.engine)


@pytest.fixture
def delivery(verifications: VerificationService, sql_store: SqlStore, clock: Clock) -> Delivery:
    """Return a delivery that waits as long as the schedule says, without a random share."""
    outbox = SqlOutbox(sql_store.engine, sql_store.encryption, clock.now)
    service = replace(verifications, store=replace(sql_store, outbox=outbox))
    receiver = FakeReceiver()
    dispatcher = WebhookDispatcher(outbox, receiver, clock.now, random=lambda: 0)
    return Delivery(service, outbox, dispatcher, receiver)


async def test_what_was_taken_is_told_once(delivery: Delivery, clock: Clock) -> None:
    approved = await delivery.approve()

    await delivery.deliver()
    clock.tick(LEASE.total_seconds() + 1)
    await delivery.deliver()

    assert delivery.received == [approved]
    assert (await delivery.row(approved))["attempts"] == 1


async def test_the_oldest_comes_first(delivery: Delivery, clock: Clock) -> None:
    approved = []
    for number in range(5):
        approved.append(await delivery.approve(f"flow {number}"))
        clock.tick(1)

    await delivery.deliver()

    assert delivery.received == approved


async def test_what_was_not_taken_comes_again_as_scheduled_and_dies_after_three_days(
    delivery: Delivery, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    approved, began = await delivery.approve(), clock.now()
    delivery.receiver.receipts = [FAILED] * (len(RETRY_DELAYS) + 1)

    await delivery.deliver()
    for wait in RETRY_DELAYS:
        clock.tick(wait.total_seconds() - 1)
        before = len(delivery.receiver.told)
        await delivery.deliver()
        assert len(delivery.receiver.told) == before
        clock.tick(1)
        await delivery.deliver()
    clock.tick(10 * 24 * 60 * 60)
    await delivery.deliver()

    assert delivery.received == [approved] * 10
    (dead,) = await delivery.dead.newest(5)
    died = began + timedelta(hours=75, minutes=35, seconds=5)
    assert dead == DeadLetter(approved, WebhookEventType.APPROVED, began, died, 10, "HTTP 500")
    assert capsys.readouterr().out.count("webhook.dead_lettered") == 1


async def test_chance_adds_a_fifth_of_the_wait_at_most(delivery: Delivery, clock: Clock) -> None:
    approved = await delivery.approve()
    delivery.receiver.receipts = [FAILED]

    await replace(delivery.dispatcher, random=lambda: 1).deliver()

    due = (await delivery.row(approved))["due_at"]
    assert due - clock.now() == RETRY_DELAYS[0] * (1 + JITTER)


async def test_by_default_chance_is_random(delivery: Delivery, clock: Clock) -> None:
    chance = WebhookDispatcher(delivery.outbox, delivery.receiver, clock.now).random

    drawn = {chance() for _ in range(10)}

    assert len(drawn) > 1
    assert all(0 <= one < 1 for one in drawn)


async def test_who_asks_to_be_left_alone_is(delivery: Delivery, clock: Clock) -> None:
    approved = await delivery.approve()
    delivery.receiver.receipts = [replace(BUSY, wait=timedelta(hours=1))]

    await delivery.deliver()

    assert (await delivery.row(approved))["due_at"] == clock.now() + timedelta(hours=1)


async def test_a_busy_receiver_has_peace_until_the_next_round(delivery: Delivery) -> None:
    first, second = sorted([await delivery.approve(), await delivery.approve("other")])
    delivery.receiver.receipts = [BUSY]

    await delivery.deliver()
    assert delivery.received == [first]
    await delivery.deliver()

    assert delivery.received == [first, second]


async def test_an_event_that_is_not_taken_holds_no_other_up(delivery: Delivery) -> None:
    first, second = sorted([await delivery.approve(), await delivery.approve("other")])
    delivery.receiver.receipts = [FAILED]

    await delivery.deliver()

    assert delivery.received == [first, second]


async def test_what_is_not_wanted_is_dead_at_once(delivery: Delivery, clock: Clock) -> None:
    await delivery.approve()
    delivery.receiver.receipts = [WebhookResult(WebhookOutcome.GONE, "HTTP 410")]

    await delivery.deliver()
    clock.tick(10 * 24 * 60 * 60)
    await delivery.deliver()

    assert len(delivery.receiver.told) == 1
    assert [dead.failure for dead in await delivery.dead.newest(5)] == ["HTTP 410"]


async def test_the_dead_are_revived_with_all_attempts_before_them(
    delivery: Delivery, clock: Clock
) -> None:
    approved = await delivery.approve()
    delivery.receiver.receipts = [WebhookResult(WebhookOutcome.GONE, "HTTP 410"), FAILED]
    dead = delivery.dead
    await delivery.deliver()

    assert await dead.revive(clock.now()) == 1
    assert await dead.count() == 0
    await delivery.deliver()
    clock.tick(5)
    await delivery.deliver()

    assert delivery.received == [approved] * 3
    assert await dead.revive(clock.now()) == 0


@dataclass
class Crashing:
    """A receiver that is told, and then the process is gone."""

    told: list[str]

    async def post(self, event: WebhookEvent) -> WebhookResult:
        self.told.append(event.id)
        raise asyncio.CancelledError


async def test_after_a_crash_another_dispatcher_delivers_it(
    delivery: Delivery, clock: Clock
) -> None:
    approved, crashing = await delivery.approve(), Crashing([])
    with suppress(asyncio.CancelledError):
        await replace(delivery.dispatcher, endpoint=crashing).deliver()

    await delivery.deliver()
    assert crashing.told == [approved]
    assert delivery.received == []
    clock.tick(LEASE.total_seconds())
    await delivery.deliver()

    assert delivery.received == [approved]


async def test_a_crash_at_the_last_attempt_loses_nothing(delivery: Delivery, clock: Clock) -> None:
    approved = await delivery.approve()
    delivery.receiver.receipts = [FAILED] * len(RETRY_DELAYS)
    for wait in RETRY_DELAYS:
        await delivery.deliver()
        clock.tick(wait.total_seconds())
    with suppress(asyncio.CancelledError):
        await replace(delivery.dispatcher, endpoint=Crashing([])).deliver()

    clock.tick(LEASE.total_seconds())
    await delivery.deliver()

    assert delivery.received == [approved] * 10


@dataclass(frozen=True)
class Forgetful(SqlOutbox):
    """The database goes away after the post."""

    async def mark_delivered(self, id_: str, at: datetime) -> None:
        del id_, at
        raise StoreUnavailable


async def test_what_could_not_be_noted_is_told_again_under_the_same_name(
    delivery: Delivery, clock: Clock
) -> None:
    approved = await delivery.approve()
    forgetful = Forgetful(delivery.outbox.engine, delivery.outbox.encryption, delivery.outbox.now)
    with pytest.raises(StoreUnavailable):
        await replace(delivery.dispatcher, outbox=forgetful).deliver()

    clock.tick(LEASE.total_seconds())
    await delivery.deliver()

    assert delivery.received == [approved] * 2


async def test_dispatchers_at_once_deliver_each_event_once(delivery: Delivery) -> None:
    approved = [await delivery.approve(f"flow {number}") for number in range(20)]

    await asyncio.gather(*(delivery.deliver() for _ in range(4)))

    assert sorted(delivery.received) == sorted(approved)


async def test_an_attempt_that_ends_late_changes_nothing_of_the_next(
    delivery: Delivery, clock: Clock
) -> None:
    approved = await delivery.approve()
    late = await delivery.outbox.claim(clock.now(), clock.now() + LEASE)
    clock.tick(LEASE.total_seconds())
    current = await delivery.outbox.claim(clock.now(), clock.now() + LEASE)
    before = await delivery.row(approved)
    assert (late, current) == (DeliveryClaim(approved, 1), DeliveryClaim(approved, 2))

    await delivery.outbox.postpone(DeliveryClaim(approved, 1), "late", clock.now())
    await delivery.outbox.dead_letter(DeliveryClaim(approved, 1), "late", clock.now())

    assert await delivery.row(approved) == before
    assert await delivery.dead.count() == 0


async def test_what_was_delivered_never_dies(delivery: Delivery, clock: Clock) -> None:
    approved = await delivery.approve()
    claim = await delivery.outbox.claim(clock.now(), clock.now() + LEASE)
    assert claim
    await delivery.outbox.mark_delivered(approved, clock.now())

    await delivery.outbox.dead_letter(claim, "late", clock.now())

    assert await delivery.dead.count() == 0


async def test_a_number_that_cannot_be_opened_is_tried_again_and_holds_nothing_up(
    delivery: Delivery, clock: Clock
) -> None:
    lost = PhoneEncryption(b"secret", [Fernet.generate_key().decode()]).encrypt(PHONE)
    sealed, clear = await delivery.approve(), await delivery.approve("other")
    async with connected(delivery.outbox.engine) as connection:
        change = text("UPDATE verifications SET phone = :lost WHERE id = :id")
        await connection.execute(change, {"lost": lost, "id": sealed})

    await delivery.deliver()

    assert delivery.received == [clear]
    row = await delivery.row(sealed)
    assert (row["failure"], row["due_at"]) == (
        "number unreadable: PHONE_ENCRYPTION_KEYS",
        clock.now() + RETRY_DELAYS[0],
    )


async def test_what_was_deleted_meanwhile_is_told_to_nobody(delivery: Delivery) -> None:
    approved = await delivery.approve()

    class Deleting(SqlOutbox):
        async def read(self, id_: str) -> WebhookEvent | None:
            async with connected(self.engine) as connection:
                await connection.execute(delete(verifications).where(verifications.c.id == id_))
            return await super().read(id_)

    deleting = Deleting(delivery.outbox.engine, delivery.outbox.encryption, delivery.outbox.now)
    await replace(delivery.dispatcher, outbox=deleting).deliver()

    assert delivery.received == []
    assert await delivery.outbox.read(approved) is None


async def test_the_log_has_no_number(
    delivery: Delivery, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    approved = await delivery.approve()
    delivery.receiver.receipts = [FAILED]
    await delivery.deliver()
    clock.tick(5)
    await delivery.deliver()

    lines = capsys.readouterr().out
    assert [name for name in ("webhook.delivery_failed", "webhook.delivered") if name in lines] == [
        "webhook.delivery_failed",
        "webhook.delivered",
    ]
    assert approved in lines
    assert PHONE.digits not in lines

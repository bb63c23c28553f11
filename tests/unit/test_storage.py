"""The SQL store: every transition's yes and no, and what happens in parallel."""

from __future__ import annotations

import asyncio
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from cryptography.fernet import Fernet
from sqlalchemy import insert, select, text

from otp_app.errors import StoreUnavailable
from otp_app.phone import PhoneNumber
from otp_app.storage import engine as engine_module
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlStore
from otp_app.storage.tables import metadata, sha256_hex, users, verifications
from otp_app.verification.audit import CallResult, Outcome
from otp_app.verification.models import (
    OPEN,
    Channel,
    Flow,
    Reference,
    Send,
    Status,
    Verification,
)
from tests.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from sqlalchemy import Connection, RowMapping

    from otp_app.storage.engine import Engine
    from tests.postgres import Databases

    Call = Callable[[SqlStore], Awaitable[object]]

pytestmark = pytest.mark.databases

NUMBERS = PhoneEncryption(b"secret of the tests", [Fernet.generate_key().decode()])
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OVER = NOW + timedelta(minutes=10)
LATER = NOW + timedelta(seconds=31)
FLOW = Flow("flow-of-this-browser")
REFERENCE = Reference("c11236f4-00bf-4b89-84ba-88b25df97315")
OTHER_REFERENCE = Reference("0dc1e9a8-0000-4000-8000-000000000000")
CLOSED = sorted(set(Status) - OPEN)
NOT_SENT = sorted(set(Status) - {Status.PENDING, Status.UNKNOWN})

FIRST = Send(1, Channel.SMS, at=NOW, next_at=NOW + timedelta(seconds=30))
SECOND = Send(2, Channel.VOICE, at=LATER, next_at=LATER + timedelta(seconds=60))
VERIFICATION = Verification(
    id="first",
    flow=FLOW,
    phone=PhoneNumber("+14155552671"),
    provider="vonage",
    channel=Channel.SMS,
    status=Status.SENDING,
    attempts_left=5,
    sends=1,
    sent_at=FIRST.at,
    resend_at=FIRST.next_at,
    expires_at=OVER,
)
PENDING = replace(VERIFICATION, status=Status.PENDING, reference=REFERENCE)
SENT_TWICE = replace(
    VERIFICATION, sends=2, channel=SECOND.channel, sent_at=SECOND.at, resend_at=SECOND.next_at
)
OTHER_NUMBER = replace(VERIFICATION, id="second", phone=PhoneNumber("+447400123456"))
OTHER_FLOW = replace(VERIFICATION, id="third", flow=Flow("flow-of-another-browser"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "otp.db"


@pytest.fixture
def database_url(dialect: str, path: Path, migrated: Path, request: pytest.FixtureRequest) -> str:
    if dialect == "postgresql":
        databases: Databases = request.getfixturevalue("databases")
        return databases.empty()
    path.parent.mkdir(mode=0o700)
    shutil.copy(migrated, path)
    return f"sqlite:///{path}"


@pytest.fixture
def engine(store_engine: Engine) -> Engine:
    return store_engine


@pytest.fixture
def store(engine: Engine) -> SqlStore:
    return SqlStore(engine, NUMBERS)


async def given(store: SqlStore, verification: Verification, **extra: object) -> None:
    """Put it into the table as it is."""
    values = vars(verification) | {
        "flow": sha256_hex(verification.flow),
        "phone": NUMBERS.encrypt(verification.phone),
        "phone_key": NUMBERS.search_key(verification.phone),
        "created_at": verification.sent_at,
        "canceled": False,
    }
    async with connected(store.engine) as connection:
        await connection.execute(insert(verifications).values(values | extra))


async def row_of(store: SqlStore, id_: str = VERIFICATION.id) -> RowMapping:
    query = select(verifications).where(verifications.c.id == id_)
    async with connected(store.engine) as connection:
        return (await connection.execute(query)).mappings().one()


async def status_of(store: SqlStore, id_: str = VERIFICATION.id) -> Status:
    status: Status = (await row_of(store, id_))["status"]
    return status


async def all_users(store: SqlStore) -> list[RowMapping]:
    async with connected(store.engine) as connection:
        return list((await connection.execute(select(users))).mappings())


async def ended_ids(store: SqlStore, now: datetime) -> list[str]:
    return [verification.id for verification in await store.ended(now)]


async def test_a_new_verification_is_found_as_it_was_recorded(store: SqlStore) -> None:
    assert await store.reserve(VERIFICATION)
    assert await store.latest(FLOW) == VERIFICATION


@pytest.mark.parametrize("status", sorted(OPEN))
async def test_an_open_verification_of_the_same_number_stays(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(VERIFICATION, status=status))

    assert not await store.reserve(replace(VERIFICATION, id="second"))
    assert await store.latest(FLOW) == replace(VERIFICATION, status=status)


@pytest.mark.parametrize("status", CLOSED)
async def test_a_closed_verification_does_not_stand_in_the_way(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(VERIFICATION, status=status))

    assert await store.reserve(replace(VERIFICATION, id="second", sent_at=LATER))
    assert await status_of(store) is status


async def test_another_number_takes_the_place_of_the_open_one(store: SqlStore) -> None:
    await given(store, PENDING)

    assert await store.reserve(OTHER_NUMBER)
    assert await status_of(store) is Status.CANCELED
    assert await store.latest(FLOW) == OTHER_NUMBER


@pytest.mark.parametrize("phone", [VERIFICATION.phone, OTHER_NUMBER.phone])
async def test_an_open_one_that_is_over_expires(store: SqlStore, phone: PhoneNumber) -> None:
    await given(store, PENDING)

    assert await store.reserve(replace(VERIFICATION, id="second", phone=phone, sent_at=OVER))
    assert await status_of(store) is Status.EXPIRED


async def test_other_flows_are_left_alone(store: SqlStore) -> None:
    await given(store, OTHER_FLOW)

    assert await store.reserve(VERIFICATION)
    assert await store.reserve(OTHER_NUMBER)
    assert await store.reserve(replace(VERIFICATION, id="fourth", sent_at=OVER))
    assert await status_of(store, OTHER_FLOW.id) is Status.SENDING


async def test_what_was_refused_leaves_nothing_behind(store: SqlStore) -> None:
    await given(store, PENDING)
    await given(store, replace(OTHER_NUMBER, flow=OTHER_FLOW.flow))

    assert not await store.reserve(OTHER_NUMBER)  # its id is taken, after room was made
    assert await status_of(store) is Status.PENDING


async def test_a_flow_without_verifications_has_none(store: SqlStore) -> None:
    await given(store, OTHER_FLOW)

    assert await store.latest(FLOW) is None


async def test_the_newest_of_the_closed_ones_is_it(store: SqlStore) -> None:
    await given(store, replace(VERIFICATION, id="new", status=Status.REFUSED, sent_at=LATER))
    await given(store, replace(VERIFICATION, id="old", status=Status.EXPIRED))

    latest = await store.latest(FLOW)

    assert latest
    assert latest.id == "new"


async def test_the_open_one_is_it_though_a_server_is_behind(store: SqlStore) -> None:
    await given(store, replace(OTHER_NUMBER, status=Status.CANCELED, sent_at=LATER))
    await given(store, VERIFICATION)

    assert await store.latest(FLOW) == VERIFICATION


async def test_times_come_back_aware_and_in_utc(store: SqlStore) -> None:
    tokyo = timezone(timedelta(hours=9))
    await store.reserve(replace(VERIFICATION, sent_at=NOW.astimezone(tokyo)))

    latest = await store.latest(FLOW)

    assert latest
    assert latest.sent_at == NOW
    assert {latest.sent_at.tzinfo, latest.resend_at.tzinfo, latest.expires_at.tzinfo} == {UTC}


async def test_a_time_without_a_zone_is_a_mistake(store: SqlStore) -> None:
    with pytest.raises(ValueError, match="without a zone"):
        await store.reserve(replace(VERIFICATION, sent_at=NOW.replace(tzinfo=None)))


@pytest.mark.parametrize("status", sorted(OPEN))
async def test_a_further_message_is_counted_before_it_is_sent(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(PENDING, status=status))

    assert await store.record_send(VERIFICATION, SECOND)
    assert await store.latest(FLOW) == replace(SENT_TWICE, status=status, reference=REFERENCE)


@pytest.mark.parametrize(
    "found",
    [
        replace(PENDING, id="second"),
        replace(PENDING, flow=OTHER_FLOW.flow),
        replace(PENDING, sends=2),
        replace(PENDING, resend_at=LATER + timedelta(microseconds=1)),
        replace(PENDING, expires_at=LATER),
        *(replace(PENDING, status=status) for status in CLOSED),
    ],
)
async def test_it_is_not_counted_out_of_turn(store: SqlStore, found: Verification) -> None:
    await given(store, found)

    assert not await store.record_send(PENDING, SECOND)
    assert await store.latest(found.flow) == found


@pytest.mark.parametrize("status", sorted(OPEN))
async def test_an_open_verification_becomes_pending(store: SqlStore, status: Status) -> None:
    await given(store, replace(SENT_TWICE, status=status), canceled=True)

    assert await store.settle_send(VERIFICATION, SECOND, REFERENCE)
    assert await store.latest(FLOW) == replace(
        SENT_TWICE, status=Status.PENDING, reference=REFERENCE
    )
    assert not (await row_of(store))["canceled"]


@pytest.mark.parametrize("status", CLOSED)
async def test_a_closed_one_keeps_the_reference_to_be_canceled(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(VERIFICATION, status=status), canceled=True)

    assert not await store.settle_send(VERIFICATION, FIRST, REFERENCE)
    assert await store.latest(FLOW) == replace(PENDING, status=status)
    assert await ended_ids(store, LATER) == [VERIFICATION.id]


async def test_a_message_that_is_not_the_last_settles_nothing(store: SqlStore) -> None:
    await given(store, SENT_TWICE)

    assert not await store.settle_send(VERIFICATION, FIRST, REFERENCE)
    assert not await store.settle_send(replace(VERIFICATION, id="unknown"), SECOND, REFERENCE)
    assert await store.latest(FLOW) == SENT_TWICE


async def test_what_this_flow_had_before_is_adopted(store: SqlStore) -> None:
    await given(store, replace(PENDING, status=Status.CANCELED, id="earlier"))
    await given(store, VERIFICATION)

    assert await store.adopt(VERIFICATION, FIRST, REFERENCE)
    assert await store.latest(FLOW) == PENDING


@pytest.mark.parametrize(
    "over",
    [
        replace(PENDING, id="old", status=Status.EXHAUSTED),
        replace(PENDING, id="old", status=Status.EXPIRED),
        replace(PENDING, id="old", status=Status.APPROVED),
        replace(PENDING, id="old", status=Status.CANCELED, expires_at=NOW),
    ],
)
async def test_what_is_over_here_is_not_adopted(store: SqlStore, over: Verification) -> None:
    await given(store, over)
    await given(store, VERIFICATION)

    assert not await store.adopt(VERIFICATION, FIRST, REFERENCE)


async def test_what_is_adopted_keeps_its_time_and_guesses(store: SqlStore) -> None:
    sooner = OVER - timedelta(minutes=5)
    old = replace(PENDING, id="old", status=Status.CANCELED, expires_at=sooner, attempts_left=2)
    await given(store, old)
    await given(store, VERIFICATION)

    assert await store.adopt(VERIFICATION, FIRST, REFERENCE)

    adopted = await store.latest(FLOW)
    assert adopted is not None
    assert (adopted.expires_at, adopted.attempts_left) == (sooner, 2)


async def test_the_answer_that_was_lost_is_adopted(store: SqlStore) -> None:
    await given(store, replace(SENT_TWICE, status=Status.UNKNOWN))

    assert await store.adopt(VERIFICATION, SECOND, REFERENCE)
    assert await status_of(store) is Status.PENDING


async def test_the_same_reference_of_another_provider_means_nothing(store: SqlStore) -> None:
    await given(store, replace(PENDING, id="third", flow=OTHER_FLOW.flow, provider="twilio"))
    await given(store, SENT_TWICE)

    assert await store.adopt(VERIFICATION, SECOND, REFERENCE)


@pytest.mark.parametrize("status", sorted(Status))
async def test_what_another_flow_has_or_had_is_never_adopted(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(PENDING, id="third", flow=OTHER_FLOW.flow, status=status))
    await given(store, replace(PENDING, id="earlier", status=Status.CANCELED))
    await given(store, SENT_TWICE)

    assert not await store.adopt(VERIFICATION, SECOND, REFERENCE)
    assert await store.latest(FLOW) == SENT_TWICE


async def test_a_first_message_has_no_lost_answer(store: SqlStore) -> None:
    await given(store, VERIFICATION)

    assert not await store.adopt(VERIFICATION, FIRST, REFERENCE)
    assert await store.latest(FLOW) == VERIFICATION


async def test_a_closed_verification_adopts_only_to_cancel(store: SqlStore) -> None:
    await given(store, replace(SENT_TWICE, status=Status.CANCELED))

    assert not await store.adopt(VERIFICATION, SECOND, REFERENCE)
    assert (await row_of(store))["reference"] == REFERENCE


async def test_a_message_that_is_not_the_last_adopts_nothing(store: SqlStore) -> None:
    await given(store, replace(PENDING, sends=3))

    assert not await store.adopt(VERIFICATION, SECOND, OTHER_REFERENCE)
    assert (await row_of(store))["reference"] == REFERENCE


@pytest.mark.parametrize("status", sorted(OPEN))
async def test_a_message_that_was_not_confirmed_changes_the_status(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(PENDING, status=status))

    assert await store.fail_send(VERIFICATION.id, FIRST, Status.UNKNOWN)
    assert await store.latest(FLOW) == replace(PENDING, status=Status.UNKNOWN)


@pytest.mark.parametrize("status", sorted(OPEN))
async def test_a_message_that_was_not_sent_is_not_counted(store: SqlStore, status: Status) -> None:
    await given(store, replace(SENT_TWICE, status=status))

    assert await store.release_send(PENDING, SECOND)
    once = replace(PENDING, status=status, reference=SENT_TWICE.reference, resend_at=SECOND.at)
    assert await store.latest(FLOW) == once


@pytest.mark.parametrize(
    "found",
    [replace(SENT_TWICE, sends=3), *(replace(SENT_TWICE, status=status) for status in CLOSED)],
)
async def test_neither_touches_what_went_on_or_is_closed(
    store: SqlStore, found: Verification
) -> None:
    await given(store, found)

    assert not await store.fail_send(VERIFICATION.id, SECOND, Status.UNKNOWN)
    assert not await store.release_send(PENDING, SECOND)
    assert await store.latest(FLOW) == found


async def test_a_lost_reference_is_gone(store: SqlStore) -> None:
    await given(store, replace(SENT_TWICE, status=Status.PENDING, reference=REFERENCE))

    assert not await store.lose_reference(VERIFICATION.id, FIRST)
    assert await store.lose_reference(VERIFICATION.id, SECOND)

    found = await store.latest(FLOW)
    assert found is not None
    assert (found.status, found.reference) == (Status.UNKNOWN, None)


async def test_a_shared_reference_ends_when_its_first_holder_does(store: SqlStore) -> None:
    sooner = OVER - timedelta(minutes=9)
    theirs = replace(OTHER_FLOW, status=Status.PENDING, reference=REFERENCE, expires_at=sooner)
    await given(store, theirs)
    await given(store, VERIFICATION)

    assert await store.settle_send(VERIFICATION, FIRST, REFERENCE)

    found = await store.latest(FLOW)
    assert found is not None
    assert found.expires_at == sooner


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
async def test_a_guess_is_spent_and_what_is_left_comes_back(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(PENDING, status=status))

    taken = await store.take_attempt(VERIFICATION.id, FLOW, NOW)

    assert taken == replace(PENDING, status=status, attempts_left=4)
    assert await store.latest(FLOW) == taken


@pytest.mark.parametrize(
    "found",
    [
        replace(PENDING, id="second"),
        replace(PENDING, flow=OTHER_FLOW.flow),
        replace(PENDING, reference=None),
        replace(PENDING, attempts_left=0),
        replace(PENDING, expires_at=NOW),
        *(replace(PENDING, status=status) for status in NOT_SENT),
    ],
)
async def test_nothing_is_spent_where_nothing_can_be_checked(
    store: SqlStore, found: Verification
) -> None:
    await given(store, found)

    assert await store.take_attempt(VERIFICATION.id, FLOW, NOW) is None
    assert await store.latest(found.flow) == found


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
async def test_the_number_becomes_a_verified_user(store: SqlStore, status: Status) -> None:
    await given(store, replace(PENDING, status=status))

    assert await store.approve(VERIFICATION.id, LATER)

    row = await row_of(store)
    assert (row["status"], row["approved_at"]) == (Status.APPROVED, LATER)
    assert row["canceled"]
    (user,) = await all_users(store)
    assert NUMBERS.decrypt(user["phone_number"]) == VERIFICATION.phone
    assert user["phone_verified_at"] == user["created_at"] == LATER
    assert user["two_factor_enabled"] is False


@pytest.mark.parametrize("status", NOT_SENT)
async def test_what_is_not_waiting_for_a_code_verifies_nobody(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(PENDING, status=status))

    assert not await store.approve(VERIFICATION.id, LATER)
    assert not await store.approve("unknown", LATER)
    assert await status_of(store) is status
    assert await all_users(store) == []


async def test_a_number_proved_again_stays_one_user(store: SqlStore) -> None:
    for id_, now in (("first", NOW), ("second", LATER)):
        await given(store, replace(PENDING, id=id_))
        await store.approve(id_, now)
        async with connected(store.engine) as connection:
            await connection.execute(users.update().values(two_factor_enabled=True))

    (user,) = await all_users(store)
    assert (user["created_at"], user["phone_verified_at"]) == (NOW, LATER)
    assert user["two_factor_enabled"] is True


async def test_without_the_user_there_is_no_approval(store: SqlStore) -> None:
    await given(store, PENDING)
    async with connected(store.engine) as connection:
        await connection.run_sync(users.drop)

    with pytest.raises(StoreUnavailable):
        await store.approve(VERIFICATION.id, NOW)
    assert await status_of(store) is Status.PENDING


@pytest.mark.parametrize("status", sorted(OPEN))
async def test_an_open_verification_ends(store: SqlStore, status: Status) -> None:
    await given(store, replace(PENDING, status=status))

    assert not await store.close(VERIFICATION.id, Status.CANCELED, OTHER_REFERENCE)
    assert await store.close(VERIFICATION.id, Status.CANCELED, REFERENCE)
    assert await status_of(store) is Status.CANCELED


@pytest.mark.parametrize("status", CLOSED)
async def test_a_closed_one_stays_what_it_is(store: SqlStore, status: Status) -> None:
    await given(store, replace(VERIFICATION, status=status))

    assert not await store.close(VERIFICATION.id, Status.EXHAUSTED, REFERENCE)
    assert await status_of(store) is status


@pytest.mark.parametrize("status", [Status.CANCELED, Status.EXPIRED, Status.EXHAUSTED])
async def test_what_is_closed_can_be_canceled_30_seconds_after_its_last_message(
    store: SqlStore, status: Status
) -> None:
    await given(store, replace(PENDING, status=status))

    assert await ended_ids(store, NOW + timedelta(seconds=29)) == []
    (ended,) = await store.ended(NOW + timedelta(seconds=30))
    assert ended == replace(PENDING, status=status, flow=Flow(sha256_hex(FLOW)))


@pytest.mark.parametrize("reference", [REFERENCE, None])
async def test_what_is_open_ends_with_its_time(
    store: SqlStore, reference: Reference | None
) -> None:
    await given(store, replace(PENDING, reference=reference))

    assert await ended_ids(store, OVER - timedelta(microseconds=1)) == []
    assert await ended_ids(store, OVER) == [VERIFICATION.id]


async def test_what_went_out_after_the_approval_is_still_canceled(store: SqlStore) -> None:
    await given(store, PENDING)
    await store.record_send(PENDING, SECOND)
    await store.approve(VERIFICATION.id, LATER)
    assert await ended_ids(store, OVER) == []

    await store.settle_send(VERIFICATION, SECOND, OTHER_REFERENCE)

    assert await ended_ids(store, OVER) == [VERIFICATION.id]


async def test_what_was_never_sent_needs_no_cancel(store: SqlStore) -> None:
    await given(store, replace(VERIFICATION, status=Status.REFUSED))

    assert await ended_ids(store, LATER) == []


async def test_what_has_ended_by_itself_is_forgotten(store: SqlStore) -> None:
    await given(store, PENDING)

    assert await ended_ids(store, OVER + timedelta(minutes=19, seconds=59)) == [PENDING.id]
    assert await ended_ids(store, OVER + timedelta(minutes=20)) == []


async def test_what_is_canceled_is_not_looked_at_again(store: SqlStore) -> None:
    await given(store, replace(PENDING, status=Status.CANCELED))

    await store.mark_canceled(VERIFICATION.id, PENDING.reference)

    assert await ended_ids(store, LATER) == []


async def test_a_reference_that_came_meanwhile_is_still_to_be_canceled(store: SqlStore) -> None:
    await given(store, replace(PENDING, status=Status.CANCELED))

    await store.mark_canceled(VERIFICATION.id, OTHER_REFERENCE)

    assert await ended_ids(store, LATER) == [PENDING.id]


async def test_a_number_is_locked_until_its_time_is_over(store: SqlStore) -> None:
    await given(store, replace(PENDING, status=Status.EXHAUSTED))
    other = PhoneNumber("+447400999999")

    assert await store.locked(FLOW, PENDING.phone, OVER - timedelta(seconds=1)) is not None
    assert await store.locked(FLOW, PENDING.phone, OVER) is None
    assert await store.locked(FLOW, other, LATER) is None
    assert await store.locked(Flow("another"), PENDING.phone, LATER) is None


async def test_a_reference_that_was_adopted_is_left_to_its_new_holder(store: SqlStore) -> None:
    await given(store, replace(PENDING, status=Status.CANCELED))
    await given(store, replace(PENDING, id="second", expires_at=OVER + timedelta(minutes=1)))

    assert await ended_ids(store, OVER) == []
    assert await ended_ids(store, OVER + timedelta(minutes=1)) == ["first", "second"]


async def test_the_same_reference_of_another_provider_protects_nothing(store: SqlStore) -> None:
    await given(store, replace(PENDING, status=Status.CANCELED))
    await given(store, replace(PENDING, id="second", provider="twilio"))

    assert await ended_ids(store, LATER) == [VERIFICATION.id]


async def test_the_oldest_come_first_and_not_too_many(store: SqlStore) -> None:
    for number in random.sample(range(105), 105):
        id_ = f"{number:03}"
        over = OVER + timedelta(seconds=number)
        done = replace(PENDING, id=id_, reference=Reference(id_), status=Status.CANCELED)
        await given(store, replace(done, expires_at=over))

    assert await ended_ids(store, LATER) == [f"{number:03}" for number in range(100)]


async def at_once(times: int, call: Callable[[int], Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*(call(number) for number in range(times)))


@pytest.fixture
async def stores(
    database_url: str, store: SqlStore, patient: None
) -> AsyncIterator[list[SqlStore]]:
    """Two engines on one file stand for two processes; *store* has migrated it."""
    del store, patient
    engines = [open_engine(database_url), open_engine(database_url)]
    yield [SqlStore(engine, NUMBERS) for engine in engines]
    for engine in engines:
        await engine.dispose()


async def test_50_guesses_at_once_spend_the_5_there_are(stores: list[SqlStore]) -> None:
    await given(stores[0], PENDING)

    taken = await at_once(50, lambda number: stores[number % 2].take_attempt(PENDING.id, FLOW, NOW))

    assert sorted(each.attempts_left for each in taken if each) == [0, 1, 2, 3, 4]


async def test_of_20_reservations_of_one_number_one_is_made(stores: list[SqlStore]) -> None:
    made = await at_once(
        20, lambda n: stores[n % 2].reserve(replace(VERIFICATION, id=f"number-{n}"))
    )

    assert made.count(True) == 1


async def test_of_20_reservations_of_different_numbers_one_stays_open(
    stores: list[SqlStore],
) -> None:
    def reserve(n: int) -> Awaitable[bool]:
        phone = PhoneNumber(f"+141555526{n}")
        return stores[n % 2].reserve(replace(VERIFICATION, id=f"number-{n}", phone=phone))

    assert all(await at_once(20, reserve))

    statuses = [await status_of(stores[0], f"number-{number}") for number in range(20)]
    assert statuses.count(Status.SENDING) == 1
    assert statuses.count(Status.CANCELED) == 19


async def test_of_20_approvals_one_counts(stores: list[SqlStore]) -> None:
    await given(stores[0], PENDING)

    approved = await at_once(20, lambda number: stores[number % 2].approve(PENDING.id, NOW))

    assert sum(map(bool, approved)) == 1
    assert len(await all_users(stores[0])) == 1


async def test_of_20_resends_one_is_counted(stores: list[SqlStore]) -> None:
    await given(stores[0], PENDING)

    counted = await at_once(20, lambda number: stores[number % 2].record_send(PENDING, SECOND))

    assert counted.count(True) == 1


async def test_two_flows_cannot_adopt_one_reference(stores: list[SqlStore]) -> None:
    rivals = [replace(SENT_TWICE, id=f"rival-{n}", flow=Flow(f"{n}")) for n in range(10)]
    for rival in rivals:
        await given(stores[0], rival)

    adopted = await at_once(
        10, lambda number: stores[number % 2].adopt(rivals[number], SECOND, REFERENCE)
    )

    assert adopted.count(True) == 1


async def test_a_caller_who_gives_up_leaves_no_lock(store: SqlStore) -> None:
    await given(store, replace(PENDING, attempts_left=1000))
    canceled: list[object] = []
    for number in range(40):
        call = asyncio.create_task(store.take_attempt(PENDING.id, FLOW, NOW))
        await asyncio.sleep(number / 10_000)
        call.cancel()
        canceled += await asyncio.gather(call, return_exceptions=True)  # kept: so is the traceback
        await store.record_send(PENDING, FIRST)  # raises if the lock is still there

    assert any(isinstance(each, asyncio.CancelledError) for each in canceled)


def remove(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()


def overwrite(path: Path, begin: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:begin] + b"\xff" * (len(whole) - begin))


CALLS: dict[str, Call] = {
    "reserve": lambda store: store.reserve(VERIFICATION),
    "latest": lambda store: store.latest(FLOW),
    "locked": lambda store: store.locked(FLOW, PENDING.phone, NOW),
    "record_send": lambda store: store.record_send(VERIFICATION, SECOND),
    "settle_send": lambda store: store.settle_send(VERIFICATION, FIRST, REFERENCE),
    "adopt": lambda store: store.adopt(VERIFICATION, SECOND, REFERENCE),
    "fail_send": lambda store: store.fail_send("first", FIRST, Status.UNKNOWN),
    "release_send": lambda store: store.release_send(PENDING, SECOND),
    "take_attempt": lambda store: store.take_attempt("first", FLOW, NOW),
    "approve": lambda store: store.approve("first", NOW),
    "lose_reference": lambda store: store.lose_reference("first", FIRST),
    "close": lambda store: store.close("first", Status.CANCELED, REFERENCE),
    "ended": lambda store: store.ended(NOW),
    "forget": lambda store: store.forget(NOW),
    "is_confirmed": lambda store: store.is_confirmed(PENDING.phone),
    "answer": lambda store: store.audit_store.record_result(
        "first", CallResult(Outcome.OK, "", 1), NOW
    ),
    "give_up": lambda store: store.audit_store.abandon(NOW, NOW, NOW),
    "mark_canceled": lambda store: store.mark_canceled("first", REFERENCE),
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Call:
    return CALLS[request.param]


@pytest.mark.sqlite
async def test_a_missing_file_is_reported(
    store: SqlStore,
    path: Path,
    call: Call,
) -> None:
    await store.latest(FLOW)  # a connection to the file is in the pool
    remove(path)

    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await call(store)
    assert list(path.parent.iterdir()) == []


@pytest.mark.sqlite
async def test_a_file_that_is_no_database_is_reported(
    store: SqlStore,
    path: Path,
    call: Call,
) -> None:
    await store.engine.dispose()
    overwrite(path, begin=0)

    with pytest.raises(StoreUnavailable):
        await call(store)


@pytest.mark.sqlite
async def test_a_database_without_its_tables_is_reported(tmp_path: Path, call: Call) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/empty.db")

    with pytest.raises(StoreUnavailable):
        await call(SqlStore(engine, NUMBERS))
    await engine.dispose()


@pytest.mark.sqlite
async def test_a_damaged_database_is_reported(store: SqlStore, path: Path) -> None:
    await given(store, PENDING)
    await store.engine.dispose()
    overwrite(path, begin=4096)  # all pages but the first

    with pytest.raises(StoreUnavailable):
        await store.latest(FLOW)
    with pytest.raises(StoreUnavailable):
        await store.close(VERIFICATION.id, Status.CANCELED, REFERENCE)


@pytest.mark.sqlite
async def test_a_full_disk_is_reported_and_nothing_is_lost(store: SqlStore) -> None:
    await given(store, PENDING)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(StoreUnavailable):
            await store.take_attempt(VERIFICATION.id, FLOW, NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert await store.latest(FLOW) == PENDING


@pytest.mark.sqlite
async def test_a_replaced_file_is_used(store: SqlStore, path: Path, database_url: str) -> None:
    await store.reserve(VERIFICATION)
    remove(path)
    await migrate(database_url)

    assert await store.latest(FLOW) is None
    assert await store.reserve(VERIFICATION)


@pytest.mark.sqlite
def test_a_file_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").touch()

    with pytest.raises(StoreUnavailable):
        open_engine(f"sqlite:///{tmp_path}/data/otp.db")


@pytest.mark.parametrize("name", ["reserve", "take_attempt", "approve"])
@pytest.mark.sqlite
async def test_a_database_locked_for_ever_is_reported_after_a_second(
    store: SqlStore, path: Path, name: str
) -> None:
    await given(store, PENDING)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()

        async with asyncio.timeout(4):  # SQLite by itself would give up after five seconds
            with pytest.raises(StoreUnavailable):
                await CALLS[name](store)

        assert time.monotonic() - began > 0.8


@pytest.mark.parametrize("name", ["latest", "ended"])
@pytest.mark.sqlite
async def test_a_locked_database_can_be_read(store: SqlStore, path: Path, name: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        await CALLS[name](store)  # raises if it waits for the lock


@pytest.mark.sqlite
async def test_many_who_wait_for_a_locked_database_all_hear_of_it(
    store: SqlStore, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        async with asyncio.timeout(15):  # 100 calls on four connections would take 25 seconds
            heard = await asyncio.gather(
                *(store.reserve(replace(VERIFICATION, id=f"{n}")) for n in range(100)),
                return_exceptions=True,
            )

        assert {type(error) for error in heard} == {StoreUnavailable}
    assert await store.reserve(VERIFICATION)


@pytest.mark.sqlite
async def test_a_short_lock_is_waited_for(
    store: SqlStore, path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "PATIENCE", 0.1)
    hasty = SqlStore(open_engine(database_url), NUMBERS)
    monkeypatch.setattr(engine_module, "PATIENCE", 20.0)
    patient = SqlStore(open_engine(database_url), NUMBERS)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(patient.reserve(VERIFICATION))
        with pytest.raises(StoreUnavailable):
            await hasty.reserve(VERIFICATION)
        assert not waiting.done()
        other.execute("COMMIT")

        assert await waiting
    assert await store.latest(FLOW) == VERIFICATION
    await hasty.engine.dispose()
    await patient.engine.dispose()


@pytest.mark.sqlite
async def test_the_error_tells_neither_number_nor_flow(store: SqlStore, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as raised:
            await store.reserve(VERIFICATION)

    told = f"{raised.value} {raised.value.__cause__!r} {raised.value.__cause__}"
    assert VERIFICATION.phone.e164 not in told
    assert sha256_hex(FLOW) not in told
    assert "locked" in told


@pytest.mark.sqlite
async def test_the_flow_is_nowhere_in_the_files(store: SqlStore, path: Path) -> None:
    await store.reserve(VERIFICATION)
    await store.take_attempt(VERIFICATION.id, FLOW, NOW)

    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())

    assert VERIFICATION.id.encode() in stored
    assert FLOW.encode() not in stored


@pytest.mark.sqlite
async def test_only_its_owner_can_read_it(path: Path) -> None:
    await migrate(f"sqlite:///{path}")
    engine = open_engine(f"sqlite:///{path}")
    await SqlStore(engine, NUMBERS).reserve(VERIFICATION)

    files = {file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert files == {0o600}
    await engine.dispose()


@pytest.mark.sqlite
async def test_any_path_will_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/år 50% #1/otp.db"
    await migrate(url)
    engine = open_engine(url)

    assert await SqlStore(engine, NUMBERS).reserve(VERIFICATION)
    assert (tmp_path / "år 50% #1" / "otp.db").exists()
    await engine.dispose()


@pytest.mark.sqlite
async def test_a_connection_is_set_up(engine: Engine) -> None:
    found = {}
    async with connected(engine) as connection:
        for pragma in (
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "secure_delete",
            "busy_timeout",
        ):
            found[pragma] = await connection.scalar(text(f"PRAGMA {pragma}"))

    assert found == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "secure_delete": 1,
        "busy_timeout": 1000,
    }


@pytest.mark.parametrize(
    "url", ["", "otp.db", "sqlite://", "sqlite:///:memory:", "mysql://host/otp", "redis://host"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database"):
        open_engine(url)


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(ValueError, match="pip install 'psycopg"):
        open_engine("postgresql://user:secret@host/otp")


async def test_migrating_twice_keeps_what_is_there(store: SqlStore, database_url: str) -> None:
    await store.reserve(VERIFICATION)

    await migrate(database_url)

    assert await store.latest(FLOW) == VERIFICATION


@pytest.mark.sqlite
def test_processes_that_start_together_all_find_the_tables(path: Path) -> None:
    """The modules are imported once, before the processes part."""
    code = """
import asyncio, os, sys
from otp_app.storage.engine import migrate
for _ in range(3):
    if os.fork() == 0:
        asyncio.run(migrate(sys.argv[1]))
        sys.exit()
print([os.wait()[1] for _ in range(3)])
"""
    command = [sys.executable, "-c", code, f"sqlite:///{path}"]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("[0, 0, 0]\n", "")


async def test_the_migrated_schema_is_that_of_the_tables(engine: Engine) -> None:
    def drift(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
        )

    async with connected(engine) as connection:
        assert await connection.run_sync(drift) == []


@pytest.mark.sqlite
async def test_the_indexes_are_written_alike(engine: Engine, tmp_path: Path) -> None:
    """`compare_metadata` does not look at the WHERE of an index."""
    fresh = open_engine(f"sqlite:///{tmp_path}/fresh.db")
    async with connected(fresh) as connection:
        await connection.run_sync(metadata.create_all)

    assert await indexes(fresh) == await indexes(engine)
    await fresh.dispose()


async def indexes(engine: Engine) -> set[str]:
    query = text("SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    async with connected(engine) as connection:
        return set((await connection.scalars(query)).all())

"""The stored responses to requests that are to be done once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from otp_app.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from otp_app.storage.idempotency import SqlIdempotencyStore, StoredResponse
from tests.database import connected

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

ANSWER = StoredResponse(201, '{"id": "x"}')


@pytest.fixture
def idempotency(sql_store: SqlStore) -> SqlIdempotencyStore:
    return SqlIdempotencyStore(sql_store.engine, b"secret of the tests")


async def test_the_first_is_to_be_done_and_the_next_have_its_answer(
    idempotency: SqlIdempotencyStore, clock: Clock
) -> None:
    ticket = idempotency.request_key("shop", "key", b"request")

    assert await idempotency.begin(ticket, clock.now()) is None
    await idempotency.store(ticket, ANSWER)

    assert await idempotency.begin(ticket, clock.now()) == ANSWER
    assert await idempotency.begin(ticket, clock.now()) == ANSWER


async def test_until_there_is_an_answer_the_others_are_refused(
    idempotency: SqlIdempotencyStore, clock: Clock
) -> None:
    ticket = idempotency.request_key("shop", "key", b"request")
    begun = await asyncio.gather(
        *(idempotency.begin(ticket, clock.now()) for _ in range(20)), return_exceptions=True
    )

    assert begun.count(None) == 1
    assert [type(one) for one in begun].count(IdempotencyKeyInUse) == 19


async def test_a_key_is_of_one_request_and_of_one_caller(
    idempotency: SqlIdempotencyStore, clock: Clock
) -> None:
    await idempotency.begin(idempotency.request_key("shop", "key", b"request"), clock.now())

    with pytest.raises(IdempotencyKeyReused):
        await idempotency.begin(idempotency.request_key("shop", "key", b"another"), clock.now())
    for caller, key in (("bank", "key"), ("sho", "pkey"), ("shop", "key2")):
        ticket = idempotency.request_key(caller, key, b"request")
        assert await idempotency.begin(ticket, clock.now()) is None


async def test_what_is_released_may_be_done_again(
    idempotency: SqlIdempotencyStore, clock: Clock
) -> None:
    ticket = idempotency.request_key("shop", "key", b"request")
    await idempotency.begin(ticket, clock.now())

    await idempotency.release(ticket)

    assert await idempotency.begin(ticket, clock.now()) is None


async def test_everything_is_forgotten_after_a_day(
    idempotency: SqlIdempotencyStore, clock: Clock
) -> None:
    old = idempotency.request_key("shop", "old", b"request")
    await idempotency.begin(old, clock.now())
    clock.tick(timedelta(days=1).total_seconds())

    await idempotency.begin(idempotency.request_key("shop", "new", b"request"), clock.now())

    async with connected(idempotency.engine) as connection:
        assert await connection.scalar(text("SELECT count(*) FROM idempotency")) == 1


async def test_neither_the_key_nor_the_request_can_be_read(
    idempotency: SqlIdempotencyStore, clock: Clock
) -> None:
    ticket = idempotency.request_key("shop", "canary", b'{"phone_number": "canary"}')
    await idempotency.begin(ticket, clock.now())

    async with connected(idempotency.engine) as connection:
        rows = (await connection.execute(text("SELECT * FROM idempotency"))).all()
    assert "canary" not in f"{rows}"
    assert "shop" not in f"{rows}"

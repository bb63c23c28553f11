"""The time for which verifications are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects import sqlite

from otp_app.phone import PhoneNumber
from otp_app.storage import verification_queries, verification_statements
from otp_app.storage.tables import users, verifications
from otp_app.verification.background import Sweeper
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow
from tests.database import connected
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import ClauseElement, Column

    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

PHONE = PhoneNumber("+14155552671")
DAY = timedelta(days=1)


@pytest.fixture
def sweeper(verifications: VerificationService, sql_store: SqlStore, clock: Clock) -> Sweeper:
    """Keeps for a day."""
    limiter, providers = verifications.limiter, verifications.providers
    return Sweeper(sql_store, limiter, providers, clock.now, retention=DAY)


async def start(service: VerificationService, flow: str = "flow") -> Verification:
    return await service.start(Client(Flow(flow), "203.0.113.7"), PHONE, Channel.SMS)


async def values(store: SqlStore, column: Column[str]) -> list[str]:
    async with connected(store.engine) as connection:
        return list((await connection.scalars(select(column))).all())


async def ids(store: SqlStore) -> list[str]:
    return await values(store, verifications.c.id)


async def test_what_was_over_a_day_ago_is_deleted_and_the_user_stays(
    verifications: VerificationService, sql_store: SqlStore, sweeper: Sweeper, clock: Clock
) -> None:
    started = await start(verifications)
    await verifications.check(Client(started.flow, ""), started.id, RIGHT)

    clock.tick((started.expires_at + DAY - clock.now()).total_seconds() - 1)
    await sweeper.sweep()
    assert await ids(sql_store) == [started.id]
    clock.tick(1)
    await sweeper.sweep()

    assert await ids(sql_store) == []
    assert await values(sql_store, users.c.phone_number) == [PHONE.e164]


async def test_what_is_open_stays_and_what_was_left_open_does_not(
    verifications: VerificationService, sql_store: SqlStore, sweeper: Sweeper, clock: Clock
) -> None:
    await start(verifications, "left")  # by a server that was switched off until now
    clock.tick(2 * DAY.total_seconds())
    going_on = await start(verifications, "going on")

    await sweeper.sweep()

    assert await ids(sql_store) == [going_on.id]


async def test_many_are_deleted_a_bounded_number_at_a_time_the_oldest_first(
    verifications: VerificationService,
    sql_store: SqlStore,
    sweeper: Sweeper,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verification_statements, "DELETED_AT_ONCE", 20)
    started = []
    for number in range(verification_statements.DELETED_AT_ONCE + 5):
        clock.tick(1)
        started.append((await start(verifications, f"flow {number}")).id)
    clock.tick(2 * DAY.total_seconds())

    await sweeper.sweep()
    assert sorted(await ids(sql_store)) == sorted(started[-5:])
    await sweeper.sweep()

    assert await ids(sql_store) == []


@pytest.mark.sqlite
@pytest.mark.parametrize("statement", [verification_statements.forget, verification_queries.ended])
async def test_the_look_every_few_seconds_reads_no_whole_table(
    sql_store: SqlStore, clock: Clock, statement: Callable[[datetime], ClauseElement]
) -> None:
    query = statement(clock.now()).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    async with connected(sql_store.engine) as connection:
        plan = (await connection.execute(text(f"EXPLAIN QUERY PLAN {query}"))).all()

    steps = [row.detail for row in plan]
    assert any("ix_verifications_ended (expires_at" in step for step in steps)
    assert not any(step.startswith("SCAN") for step in steps)

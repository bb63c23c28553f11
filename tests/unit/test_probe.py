"""The look at the database: what it finds, and that it is no burden."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text

from otp_app import storage
from otp_app.storage.probe import Database, Probe

if TYPE_CHECKING:
    from otp_app.storage.sql import SqlStore


@pytest.fixture
def probe(sql_store: SqlStore, monkeypatch: pytest.MonkeyPatch) -> Probe:
    monkeypatch.setattr(storage.probe, "PATIENCE", 10.0)  # the machine may be busy
    return Probe(sql_store.engine)


async def test_a_migrated_database_that_can_be_written_is_ok(probe: Probe) -> None:
    assert await probe.look() is Database.OK


async def test_a_database_that_cannot_be_written_fails(probe: Probe) -> None:
    @event.listens_for(probe.engine.sync_engine, "connect")
    def read_only(connection: object, _: object) -> None:
        connection.cursor().execute("PRAGMA query_only = ON")  # type: ignore[attr-defined]

    assert await probe.look() is Database.FAILING


@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET version_num = '0001'", "DROP TABLE alembic_version"]
)
async def test_a_database_of_another_version_is_told_apart(probe: Probe, change: str) -> None:
    async with probe.engine.begin() as connection:
        await connection.execute(text(change))

    assert await probe.look() is Database.OTHER_VERSION


async def test_however_many_ask_the_database_is_asked_once(probe: Probe) -> None:
    asked: list[object] = []
    event.listen(probe.engine.sync_engine, "begin", asked.append)

    found = await asyncio.gather(*[probe.look() for _ in range(50)])

    assert found == [Database.OK] * 50
    assert len(asked) == 1


async def test_who_does_not_wait_for_the_answer_takes_it_from_nobody(probe: Probe) -> None:
    hasty, patient = (asyncio.create_task(probe.look()) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()

    assert await patient is Database.OK

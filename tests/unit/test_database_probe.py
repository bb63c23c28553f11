"""The look at the database: what it finds, and that it is no burden."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text

from otp_app.storage import engine as probe_module
from otp_app.storage.engine import GIVE_UP, PROBE_PATIENCE, TURN, DatabaseProbe, DatabaseState
from tests.database import connected

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore

pytestmark = pytest.mark.databases


@pytest.fixture
def probe(sql_store: SqlStore) -> DatabaseProbe:
    return DatabaseProbe(sql_store.engine)


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the probe wait until the database responds, which may take long on a busy machine."""
    monkeypatch.setattr(probe_module, "PROBE_PATIENCE", 60.0)


async def settled(
    probe: DatabaseProbe, before: DatabaseState = DatabaseState.BUSY
) -> DatabaseState:
    """Probe until the result is another one than *before*."""
    while (found := await probe.check()) is before:
        continue
    return found


@pytest.mark.usefixtures("patience")
async def test_a_migrated_database_that_can_be_written_is_ok(probe: DatabaseProbe) -> None:
    assert await probe.check() is DatabaseState.OK


@pytest.mark.sqlite
async def test_a_database_that_cannot_be_written_fails(probe: DatabaseProbe) -> None:
    """The probe repeats its attempt for some seconds first."""
    attempts: list[object] = []

    @event.listens_for(probe.engine.sync_engine, "connect")
    def read_only(connection: object, _: object) -> None:
        attempts.append(connection)  # an attempt that fails closes its connection
        connection.cursor().execute("PRAGMA query_only = ON")  # type: ignore[attr-defined]

    began = time.monotonic()
    assert await probe.check() is DatabaseState.BUSY
    assert await settled(probe) is DatabaseState.FAILING
    assert time.monotonic() - began >= GIVE_UP
    assert len(attempts) > 2
    assert await probe.check() is DatabaseState.FAILING


async def test_one_failed_attempt_is_no_failing_database(probe: DatabaseProbe) -> None:
    """S11."""
    attempts: list[object] = []

    @event.listens_for(probe.engine.sync_engine, "begin")
    def fail_once(_: object) -> None:
        attempts.append(_)
        if len(attempts) == 1:
            raise OSError

    assert await settled(probe) is DatabaseState.OK
    assert len(attempts) == 2


async def test_a_database_that_somebody_holds_is_busy_then_failing_then_ok(
    probe: DatabaseProbe, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    """S11: on SQLite one connection at a time can write."""
    lock = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "LOCK TABLE limits"}[dialect]
    monkeypatch.setattr(probe_module, "FRESH", 0.0)
    async with connected(probe.engine) as other:
        await other.execute(text(lock))
        assert await probe.check() is DatabaseState.BUSY
        assert await settled(probe) is DatabaseState.FAILING
        assert await probe.check() is DatabaseState.FAILING

    assert await settled(probe, DatabaseState.FAILING) is DatabaseState.OK


async def test_a_busy_event_loop_is_no_failing_database(
    probe: DatabaseProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S11: a slow loop gives the probe as many turns as a fast one."""
    monkeypatch.setattr(probe_module, "GIVE_UP", 100 * TURN)
    loop, is_busy = asyncio.get_running_loop(), True

    def work() -> None:
        time.sleep(3 * TURN)
        if is_busy:
            loop.call_soon(work)

    work()
    began = time.monotonic()
    found = await settled(probe)
    is_busy = False

    assert found is DatabaseState.OK
    assert time.monotonic() - began > PROBE_PATIENCE


@pytest.mark.usefixtures("patience")
async def test_a_result_is_reused_for_a_second(
    probe: DatabaseProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3: a flood of requests costs one probe a second."""
    moment = 1000.0
    monkeypatch.setattr(probe_module, "now", lambda: moment)
    attempts: list[object] = []
    event.listen(probe.engine.sync_engine, "begin", attempts.append)

    assert [await probe.check() for _ in range(50)] == [DatabaseState.OK] * 50
    assert len(attempts) == 1
    moment += 1
    assert await probe.check() is DatabaseState.OK
    assert len(attempts) == 2


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET version_num = '0001'", "DROP TABLE alembic_version"]
)
async def test_a_database_of_another_version_is_told_apart(
    probe: DatabaseProbe, change: str
) -> None:
    async with connected(probe.engine) as connection:
        await connection.execute(text(change))

    assert await probe.check() is DatabaseState.OTHER_VERSION


@pytest.mark.usefixtures("patience")
async def test_however_many_ask_the_database_is_asked_once(probe: DatabaseProbe) -> None:
    asked: list[object] = []
    event.listen(probe.engine.sync_engine, "begin", asked.append)

    found = await asyncio.gather(*[probe.check() for _ in range(50)])

    assert found == [DatabaseState.OK] * 50
    assert len(asked) == 1


@pytest.mark.usefixtures("patience")
async def test_who_does_not_wait_for_the_answer_takes_it_from_nobody(probe: DatabaseProbe) -> None:
    hasty, patient = (asyncio.create_task(probe.check()) for _ in range(2))
    await asyncio.sleep(0)
    hasty.cancel()

    assert await patient is DatabaseState.OK

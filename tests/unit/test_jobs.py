"""Jobs: many in one transaction, and the failure of one harms no other."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
import threading
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from otp_app.errors import NumberBusy, StoreUnavailable
from otp_app.storage import engine as engine_module
from otp_app.storage import jobs as jobs_module
from otp_app.storage import sqlite_jobs
from otp_app.storage.engine import open_engine
from tests.database import connected, statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Connection

    from otp_app.storage.engine import Engine

pytestmark = pytest.mark.databases


@pytest.fixture
async def engine(tmp_path: Path, patient: None) -> AsyncIterator[Engine]:
    del patient
    engine = open_engine(f"sqlite:///{tmp_path}/otp.db")
    await engine.write(lambda tx: tx.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)"))
    yield engine
    await engine.dispose()


def insert(connection: Connection, number: int) -> int:
    connection.execute(text("INSERT INTO t VALUES (:n)"), {"n": number})
    return number


def refuse(_: Connection) -> None:
    raise NumberBusy


def insert_and_refuse(connection: Connection, number: int) -> None:
    insert(connection, number)
    raise NumberBusy


async def numbers(engine: Engine) -> list[int]:
    async with connected(engine) as connection:
        return list((await connection.scalars(text("SELECT n FROM t ORDER BY n"))).all())


@asynccontextmanager
async def held(engine: Engine) -> AsyncIterator[None]:
    """Keep the writer busy, so that jobs wait; they run together afterwards."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        begun.set()
        go_on.wait()

    holding = asyncio.create_task(engine.write(hold))
    await asyncio.to_thread(begun.wait)
    try:
        yield
    finally:
        go_on.set()
        with suppress(StoreUnavailable):
            await holding


async def test_jobs_that_wait_share_one_transaction(engine: Engine) -> None:
    transactions: list[str] = []
    async with statements(engine, transactions):
        transactions.clear()
        async with held(engine):
            waiting = [
                asyncio.create_task(engine.write(partial(insert, number=n))) for n in range(20)
            ]
            await asyncio.sleep(0)
        assert await asyncio.gather(*waiting) == [*range(20)]
        seen = len(transactions)

    assert seen == 2  # that of the job that held the thread, and one more
    assert await numbers(engine) == [*range(20)]


async def test_a_job_that_raises_before_it_writes_harms_nobody(engine: Engine) -> None:
    transactions: list[str] = []
    async with statements(engine, transactions):
        transactions.clear()
        async with held(engine):
            first = asyncio.create_task(engine.write(lambda tx: insert(tx, 1)))
            refused = asyncio.create_task(engine.write(refuse))
            last = asyncio.create_task(engine.write(lambda tx: insert(tx, 2)))
            await asyncio.sleep(0)
        results = await asyncio.gather(first, refused, last, return_exceptions=True)
        seen = len(transactions)

    assert [results[0], type(results[1]), results[2]] == [1, NumberBusy, 2]
    assert await numbers(engine) == [1, 2]
    assert seen == 2


async def test_a_job_that_raises_after_it_wrote_is_undone_alone(engine: Engine) -> None:
    async with held(engine):
        first = asyncio.create_task(engine.write(lambda tx: insert(tx, 1)))
        refused = asyncio.create_task(engine.write(lambda tx: insert_and_refuse(tx, 3)))
        last = asyncio.create_task(engine.write(lambda tx: insert(tx, 2)))
        await asyncio.sleep(0)
    results = await asyncio.gather(first, refused, last, return_exceptions=True)

    assert [results[0], type(results[1]), results[2]] == [1, NumberBusy, 2]
    assert await numbers(engine) == [1, 2]


async def test_a_job_whose_caller_is_gone_is_done(engine: Engine) -> None:
    async with held(engine):
        leaving = asyncio.create_task(engine.write(lambda tx: insert(tx, 1)))
        await asyncio.sleep(0)
        leaving.cancel()
        staying = asyncio.create_task(engine.write(lambda tx: insert(tx, 2)))
        await asyncio.sleep(0)
    await staying

    assert leaving.cancelled()
    assert await numbers(engine) == [1, 2]


async def test_one_job_too_many_is_refused_at_once(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_module, "WAITING", 3)
    async with held(engine):
        waiting = [asyncio.create_task(engine.write(partial(insert, number=n))) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(StoreUnavailable):
            await engine.write(lambda tx: insert(tx, 9))
    await asyncio.gather(*waiting)

    assert await numbers(engine) == [0, 1, 2]


async def test_a_job_that_waited_too_long_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "PATIENCE", 0.0)
    engine = open_engine(f"sqlite:///{tmp_path}/late.db")
    ran: list[object] = []

    with pytest.raises(StoreUnavailable):
        await engine.write(ran.append)

    assert ran == []
    await engine.dispose()


async def test_a_caller_does_not_wait_for_ever_for_a_disk_that_does_not_respond(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "PATIENCE", 0.1)
    engine = open_engine(f"sqlite:///{tmp_path}/frozen.db")
    async with held(engine):
        with pytest.raises(StoreUnavailable):
            await engine.write(lambda tx: tx.scalar(text("SELECT 1")))
    await engine.dispose()


async def test_a_reader_waits_for_no_writer(engine: Engine) -> None:
    async with held(engine):
        count = await engine.read(lambda tx: tx.scalar(text("SELECT count(*) FROM t")))

    assert count == 0


async def test_sqlites_log_begins_anew_when_it_is_long_and_nothing_is_lost(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_jobs, "WAL_SIZE", 200_000)
    log, beginnings, written = tmp_path / "otp.db-wal", set[bytes](), 0
    while len(beginnings) < 4:  # SQLite by itself would never begin it anew
        await engine.write(partial(insert, number=written))
        beginnings.add(log.read_bytes()[12:16])  # https://sqlite.org/fileformat2.html#walformat
        written += 1

    assert await numbers(engine) == [*range(written)]


@pytest.mark.parametrize(("synchronous", "code"), [("NORMAL", 1), ("FULL", 2)])
async def test_an_engine_writes_as_safely_as_it_is_told(
    tmp_path: Path, synchronous: str, code: int
) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/otp.db", synchronous)

    found = await engine.write(lambda tx: tx.scalar(text("PRAGMA synchronous")))

    assert found == code
    await engine.dispose()


WRITING = """
import asyncio, sys
from sqlalchemy import text
from otp_app.storage.engine import open_engine

async def main():
    engine = open_engine(sys.argv[1])
    async def insert(n):
        await engine.write(lambda tx: tx.execute(text("INSERT INTO t VALUES (:n)"), {"n": n}))
        print(n, flush=True)
    for start in range(0, 1000000, 16):
        await asyncio.gather(*(insert(start + n) for n in range(16)))

asyncio.run(main())
"""


async def test_what_was_acknowledged_survives_a_killed_process(
    engine: Engine, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITING, str(engine.url), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = [int(await process.stdout.readline()) for _ in range(200)]
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) async for line in process.stdout if line.endswith(b"\n")]
    await process.wait()

    assert set(acknowledged) <= set(await numbers(engine))
    with closing(sqlite3.connect(tmp_path / "otp.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)

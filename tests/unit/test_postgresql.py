"""PostgreSQL: concurrent transactions, poolers, several servers, and failures told in words."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from otp_app.errors import OtpError, StoreUnavailable
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlStore
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow, Status
from otp_app.verification.service import VerificationService
from tests.database import connected
from tests.fakes import RIGHT, FakeProvider
from tests.unit.conftest import LIMIT_KEY, NUMBER_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_app.storage.engine import Engine
    from tests.emulator import Clock
    from tests.logs import Lines
    from tests.postgres import Databases, PostgresServer


@pytest.fixture
def url(databases: Databases) -> str:
    return databases.empty()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Engine]:
    engine = open_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def service_on(engine: Engine, provider: FakeProvider, clock: Clock) -> VerificationService:
    """Return the service of one app server."""
    store, limiter = (
        SqlStore(engine, PhoneEncryption(NUMBER_KEY)),
        SqlLimiter(engine, LIMIT_KEY),
    )
    return VerificationService(
        store, limiter, {provider.name: provider}, provider.name, clock.now, limits=POLICY
    )


def messages(server: PostgresServer, since: int) -> list[str]:
    """Return the statements that *server* has logged behind the position *since*."""
    found = server.log[since:]
    return re.findall(r"LOG:  (?:statement|execute [^:]*): .*(?:\n\t.*)*", found)


@pytest.mark.usefixtures("patient")
async def test_servers_with_many_flows_of_the_same_numbers_never_deadlock(
    databases: Databases, url: str, provider: FakeProvider, clock: Clock
) -> None:
    since = len(databases.server.log)

    async def flow(service: VerificationService, number: int) -> str:
        who = Client(Flow(f"flow-{number % 20}"), f"203.0.113.{number % 3}")
        phone = PhoneNumber(f"+4474001234{number % 7:02}")
        try:
            started = await service.start(who, phone, Channel.SMS)
            checked = await service.check(who, started.id, RIGHT)
        except OtpError as error:
            return error.code
        return str(checked.status)

    async with opened(url) as one, opened(url) as other:
        services = [service_on(engine, provider, clock) for engine in (one, other)]
        ended = await asyncio.gather(*(flow(services[n % 2], n) for n in range(80)))

    assert Status.APPROVED in ended
    assert StoreUnavailable.code not in ended
    assert "deadlock" not in databases.server.log[since:]


@pytest.mark.usefixtures("patient")
async def test_of_two_servers_that_start_for_one_number_at_once_one_sends(
    url: str, provider: FakeProvider, clock: Clock
) -> None:
    who, phone = Client(Flow("me"), "203.0.113.7"), PhoneNumber("+447400123456")

    async def start(service: VerificationService) -> None:
        await service.start(who, phone, Channel.SMS)

    async with opened(url) as one, opened(url) as other:
        services = [service_on(engine, provider, clock) for engine in (one, other)]
        await asyncio.gather(*(start(services[n % 2]) for n in range(20)), return_exceptions=True)

    assert len(provider.sent) == 1


async def test_servers_that_start_together_migrate_once(databases: Databases) -> None:
    databases.server.execute("DROP DATABASE IF EXISTS fresh", "CREATE DATABASE fresh")
    url = databases.server.url("fresh")

    await asyncio.gather(*(migrate(url) for _ in range(3)))

    (count,) = databases.server.execute("SELECT count(*) FROM alembic_version", database="fresh")
    assert count == (1,)


@pytest.mark.usefixtures("patient")
async def test_nothing_is_kept_in_a_session_that_a_pooler_would_lose(
    databases: Databases, provider: FakeProvider, clock: Clock
) -> None:
    """A pooler by transaction gives each transaction another session, and refuses `options`."""
    url = databases.copy("pooled")
    databases.server.execute("ALTER DATABASE pooled SET log_statement = 'all'")
    since = len(databases.server.log)

    async with opened(url) as engine:
        service = service_on(engine, provider, clock)
        who = Client(Flow("me"), "203.0.113.7")
        started = await service.start(who, PhoneNumber("+447400123456"), Channel.SMS)
        await service.check(who, started.id, RIGHT)
        names = ("lock", "statement", "idle_in_transaction_session")
        timeouts = await engine.read(
            lambda tx: [tx.scalar(text(f"SHOW {name}_timeout")) for name in names]
        )

    assert timeouts == ["20s", "40s", "1min"]  # the caller gives up after a minute, too
    sent = messages(databases.server, since)
    assert len(sent) > 20
    for message in sent:
        assert message.startswith(("LOG:  statement:", "LOG:  execute <unnamed>:")), message
        assert not re.search(r"\bSET (?!LOCAL\b)(?!.*WHERE|\w+ ?=)", message), message
        assert not re.search(r"\b(LISTEN|PREPARE|DEALLOCATE|DECLARE|TEMP|DISCARD)\b", message)
        assert not re.search(r"pg_(try_)?advisory_lock", message), message


@pytest.mark.usefixtures("patient")
async def test_a_transaction_waits_for_a_lock_for_a_bounded_time(url: str) -> None:
    waiting = "SET LOCAL lock_timeout = 100; SELECT 1 FROM limits"
    async with opened(url) as engine, connected(engine) as other:
        await other.execute(text("LOCK TABLE limits"))
        with pytest.raises(StoreUnavailable) as raised:
            await engine.write(lambda tx: tx.exec_driver_sql(waiting))

    assert raised.value.why == "another transaction held a lock for too long"


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("SET LOCAL statement_timeout = 100; SELECT pg_sleep(60)", "a statement took too long"),
        ("SELECT 1 FROM no_table", "its tables are not those of this version"),
        ("SET LOCAL transaction_read_only = on; DELETE FROM limits", "it is read-only"),
        ("SELECT pg_terminate_backend(pg_backend_pid())", "the server is starting or stopping"),
        ("DO $$BEGIN RAISE disk_full; END$$", "its disk is full"),
        ("DO $$BEGIN RAISE sqlstate '53300'; END$$", "it has too many connections"),
        ("DO $$BEGIN RAISE sqlstate '42501'; END$$", "the user lacks a permission"),
        ("DO $$BEGIN RAISE sqlstate 'XX000'; END$$", "the database reports XX000"),
    ],
)
@pytest.mark.usefixtures("patient")
async def test_a_failure_is_told_in_words(
    url: str, statement: str, why: str, production_log: Lines
) -> None:
    async with opened(url) as engine:
        with pytest.raises(StoreUnavailable) as raised:
            await engine.write(lambda tx: tx.exec_driver_sql(statement))
        assert await engine.read(lambda tx: tx.scalar(text("SELECT 1"))) == 1  # it goes on

    assert raised.value.why.startswith(why)
    assert [line["why"] for line in production_log.named("database.failed")] == [raised.value.why]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("postgresql://otp@/missing?host={folder}", "there is no database of this name"),
        ("postgresql://nobody@/shared?host={folder}", "there is no user of this name"),
        ("postgresql://otp@/shared?host={folder}/none", "no server listens at this socket"),
        ("postgresql://otp@127.0.0.1:1/shared", "no server listens at this address"),
        ("postgresql://otp@host.invalid/shared", "there is no server of this name"),
    ],
)
async def test_a_wrong_address_is_told_in_words(
    databases: Databases, address: str, why: str
) -> None:
    with pytest.raises(StoreUnavailable) as raised:
        await migrate(address.format(folder=databases.server.folder))

    assert raised.value.why == why


async def test_a_server_that_was_restarted_is_used_again(databases: Databases, url: str) -> None:
    async with opened(url) as engine:
        assert await engine.read(lambda tx: tx.scalar(text("SELECT 1"))) == 1
        databases.server.stop()
        with pytest.raises(StoreUnavailable) as raised:
            await engine.write(lambda tx: tx.execute(text("SELECT 1")))
        databases.server.start()

        assert raised.value.why.startswith("no server listens")
        assert await engine.write(lambda tx: tx.scalar(text("SELECT 1"))) == 1

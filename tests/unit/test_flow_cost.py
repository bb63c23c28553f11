"""The cost of a flow: its transactions and statements, of which none reads a whole table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import phonenumbers
import pytest

from otp_app.errors import CodeMismatch
from otp_app.phone import PhoneNumber
from otp_app.storage.outbox import SqlOutbox
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow
from tests.database import connected, statements
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

ME = Client(Flow("me"), "203.0.113.7")
PHONE = PhoneNumber("+447400123456")


@pytest.fixture
async def service(verifications: VerificationService) -> VerificationService:
    """The service under the whole policy, after the first run of the background jobs."""
    await verifications.limiter.prune(verifications.now())
    return replace(verifications, limits=POLICY)


async def flow(service: VerificationService, who: Client = ME) -> None:
    started = await service.start(who, PHONE, Channel.SMS)
    await service.check(who, started.id, RIGHT)


async def test_a_flow_is_four_transactions_and_few_statements(
    service: VerificationService, sql_store: SqlStore
) -> None:
    transactions: list[str] = []
    async with statements(sql_store.engine, transactions) as found:
        transactions.clear()
        await flow(service)
        seen = len(transactions)

    assert seen <= 4
    assert len(found) <= 23


async def test_a_second_flow_of_the_same_person_costs_the_same(
    service: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    await flow(service)
    clock.tick(3600)

    transactions: list[str] = []
    async with statements(sql_store.engine, transactions) as found:
        transactions.clear()
        await flow(service, replace(ME, flow=Flow("the next day")))
        seen = len(transactions)

    assert seen <= 4
    assert len(found) <= 23


async def test_a_flow_parses_its_number_once(
    service: VerificationService, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, parsed = phonenumbers.parse, []

    def counted(text: str, region: str | None = None) -> phonenumbers.PhoneNumber:
        parsed.append(text)
        return parse(text, region)

    monkeypatch.setattr(phonenumbers, "parse", counted)
    phone = PhoneNumber.parse("07400 123456", "GB")
    started = await service.start(ME, phone, Channel.SMS)
    await service.check(ME, started.id, RIGHT)

    assert parsed == ["07400 123456"]


async def test_no_statement_of_a_flow_reads_a_whole_table(
    service: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    outbox = SqlOutbox(sql_store.engine, sql_store.encryption, clock.now)
    service = replace(service, store=replace(sql_store, outbox=outbox))
    async with statements(sql_store.engine) as found:
        started = await service.start(ME, PHONE, Channel.SMS)
        clock.tick(31)
        await service.resend(ME, started.id, Channel.VOICE)
        with pytest.raises(CodeMismatch):
            await service.check(ME, started.id, WRONG)
        await service.check(ME, started.id, RIGHT)

    plans = [line for statement in set(found) for line in await plan(sql_store, statement)]

    assert len(plans) > 20
    assert [line for line in plans if line.startswith("SCAN") and "CONSTANT" not in line] == []


async def plan(store: SqlStore, statement: str) -> list[str]:
    async with connected(store.engine) as connection:
        rows = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")).all()
    return [row.detail for row in rows]

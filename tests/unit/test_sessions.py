"""Sessions: what an approval buys, for whom, how often and for how long."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from otp_app.phone import PhoneNumber
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.tables import sessions as table
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow
from otp_app.verification.sessions import SessionPolicy, Sessions, Token
from tests.database import connected
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

FLOW, OTHER_FLOW = Flow("flow-1"), Flow("flow-2")
PHONE, OTHER_PHONE = PhoneNumber("+14155552671"), PhoneNumber("+447400123456")
POLICY = SessionPolicy()
A_SECOND = timedelta(seconds=1)


@pytest.fixture
def sessions(sql_store: SqlStore, clock: Clock) -> Sessions:
    return Sessions(SqlSessions(sql_store.engine, sql_store.encryption), clock.now)


async def verify(
    verifications: VerificationService, flow: Flow = FLOW, phone: PhoneNumber = PHONE
) -> str:
    """The id of a verification that *flow* got approved."""
    client = Client(flow, "192.0.2.1")
    started = await verifications.start(client, phone, Channel.SMS)
    return (await verifications.check(client, started.id, RIGHT)).id


async def opened(
    verifications: VerificationService,
    sessions: Sessions,
    flow: Flow = FLOW,
    phone: PhoneNumber = PHONE,
) -> Token:
    token = await sessions.open(flow, await verify(verifications, flow, phone))
    assert token is not None
    return token


async def test_an_approval_buys_a_session_for_its_number(
    verifications: VerificationService, sessions: Sessions, clock: Clock
) -> None:
    session = await sessions.find(await opened(verifications, sessions))

    assert session is not None
    assert (session.phone, session.verified_at) == (PHONE, clock.now())


async def test_it_buys_one_session_however_many_ask_at_once(
    verifications: VerificationService, sessions: Sessions
) -> None:
    id_ = await verify(verifications)

    tokens = await asyncio.gather(*(sessions.open(FLOW, id_) for _ in range(20)))

    assert len([token for token in tokens if token]) == 1
    assert await sessions.open(FLOW, id_) is None


async def test_another_browser_cannot_exchange_it(
    verifications: VerificationService, sessions: Sessions
) -> None:
    id_ = await verify(verifications)

    assert await sessions.open(OTHER_FLOW, id_) is None
    assert await sessions.open(FLOW, id_) is not None


async def test_what_is_not_approved_buys_nothing(
    verifications: VerificationService, sessions: Sessions
) -> None:
    started = await verifications.start(Client(FLOW, "192.0.2.1"), PHONE, Channel.SMS)

    assert await sessions.open(FLOW, started.id) is None


async def test_one_verification_of_a_browser_does_not_buy_the_session_of_another(
    verifications: VerificationService, sessions: Sessions
) -> None:
    await verify(verifications)
    pending = await verifications.start(Client(FLOW, "192.0.2.1"), OTHER_PHONE, Channel.SMS)

    for id_ in (pending.id, "", "an-id-of-nobody"):
        assert await sessions.open(FLOW, id_) is None


async def test_the_session_is_for_the_verification_that_is_exchanged(
    verifications: VerificationService, sessions: Sessions, clock: Clock
) -> None:
    older = await verify(verifications, phone=OTHER_PHONE)
    clock.tick(60)
    await verify(verifications)

    session = await sessions.find(await sessions.open(FLOW, older))

    assert session is not None
    assert session.phone == OTHER_PHONE


@pytest.mark.parametrize(("late", "opens"), [(-A_SECOND, True), (timedelta(0), False)])
async def test_ten_minutes_after_the_approval_it_is_worth_nothing(
    verifications: VerificationService,
    sessions: Sessions,
    clock: Clock,
    late: timedelta,
    opens: bool,
) -> None:
    id_ = await verify(verifications)

    clock.tick((POLICY.exchange + late).total_seconds())

    assert (await sessions.open(FLOW, id_) is not None) is opens


async def test_of_two_approvals_the_session_is_for_the_newer_and_both_are_used_up(
    verifications: VerificationService, sessions: Sessions, clock: Clock
) -> None:
    older = await verify(verifications, phone=OTHER_PHONE)
    clock.tick(60)

    session = await sessions.find(await opened(verifications, sessions))

    assert session is not None
    assert session.phone == PHONE
    assert await sessions.open(FLOW, older) is None


async def test_without_a_sign_of_life_it_ends_in_an_hour(
    verifications: VerificationService, sessions: Sessions, clock: Clock
) -> None:
    token = await opened(verifications, sessions)

    clock.tick((POLICY.idle - A_SECOND).total_seconds())
    assert await sessions.find(token) is not None
    clock.tick((POLICY.idle - A_SECOND).total_seconds())
    assert await sessions.find(token) is not None
    clock.tick(POLICY.idle.total_seconds())

    assert await sessions.find(token) is None


async def test_after_a_day_it_ends_whatever_happens(
    verifications: VerificationService, sessions: Sessions, clock: Clock
) -> None:
    token = await opened(verifications, sessions)
    half_hours = 2 * 24 - 1

    for _ in range(half_hours):
        clock.tick(30 * 60)
        assert await sessions.find(token) is not None
    clock.tick(30 * 60)

    assert await sessions.find(token) is None


async def test_signing_out_ends_it_everywhere_and_for_nobody_else(
    verifications: VerificationService, sessions: Sessions, clock: Clock
) -> None:
    here = await opened(verifications, sessions)
    clock.tick(60)
    elsewhere = await opened(verifications, sessions, OTHER_FLOW)
    somebody = await opened(verifications, sessions, Flow("flow-3"), OTHER_PHONE)

    await sessions.end(here)

    assert [await sessions.find(token) for token in (here, elsewhere)] == [None, None]
    assert await sessions.find(somebody) is not None


async def test_a_token_that_nobody_was_given_finds_and_ends_nothing(
    verifications: VerificationService, sessions: Sessions
) -> None:
    token = await opened(verifications, sessions)

    assert await sessions.find(Token("x" * 43)) is None
    assert await sessions.find(None) is None
    await sessions.end(Token("x" * 43))
    await sessions.end(None)

    assert await sessions.find(token) is not None


async def test_tokens_have_256_bits_and_are_stored_as_hashes(
    verifications: VerificationService, sessions: Sessions, sql_store: SqlStore
) -> None:
    token = await opened(verifications, sessions)

    assert len(token) == 43  # in base64
    database = Path(str(sql_store.engine.url.database))
    for file in database.parent.glob(f"{database.name}*"):
        assert token.encode() not in file.read_bytes()


async def test_what_is_over_is_forgotten_when_the_next_one_opens(
    verifications: VerificationService, sessions: Sessions, sql_store: SqlStore, clock: Clock
) -> None:
    await opened(verifications, sessions)
    clock.tick(POLICY.lifetime.total_seconds())
    await opened(verifications, sessions, OTHER_FLOW)

    async with connected(sql_store.engine) as connection:
        assert len((await connection.execute(select(table))).all()) == 1

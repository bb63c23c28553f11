"""Limits: what is refused, until when, and that nothing gives anything back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from otp_app.errors import (
    CodeMismatch,
    OtpError,
    ProviderNotReached,
    ProviderTimedOut,
    RateLimited,
    StoreUnavailable,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.limits import Refusals, SqlLimiter
from otp_app.storage.tables import limits as table
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, Action, Limit, LimitUse, Scope, adjusted, limit_uses
from otp_app.verification.models import Channel, Flow
from tests.database import connected, statements
from tests.fakes import RIGHT, WRONG
from tests.unit.conftest import LIMIT_KEY

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

pytestmark = pytest.mark.databases

ME = Client(Flow("me"), "203.0.113.7")
ONE = LimitUse(replace(POLICY[0], amount=1), "me")
OTHER = LimitUse(replace(POLICY[1], amount=2), "203.0.113.7")


def number(index: int) -> PhoneNumber:
    """One of ten thousand mobile numbers, each in a block of its own."""
    return PhoneNumber(f"+4474{index:04}0000")


def client(index: int) -> Client:
    return Client(Flow(f"flow-{index}"), f"198.51.100.{index}")


def only(*names: str) -> tuple[Limit, ...]:
    return tuple(limit for limit in POLICY if limit.name in names)


@pytest.fixture
def limited(verifications: VerificationService) -> VerificationService:
    """The service under the whole policy."""
    return replace(verifications, limits=POLICY)


async def sends(service: VerificationService, who: Client, phone: PhoneNumber) -> bool:
    try:
        await service.start(who, phone, Channel.SMS)
    except RateLimited:
        return False
    return True


async def test_the_guides_limit_by_session_holds(
    verifications: VerificationService, clock: Clock
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_SESSION"))

    sent = [await sends(service, ME, number(i)) for i in range(6)]
    assert sent == [True] * 5 + [False]

    clock.tick(15 * 60)
    assert await sends(service, ME, number(6))


async def test_the_guides_limit_by_address_holds_over_sessions(
    verifications: VerificationService,
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_ADDRESS"))
    clients = [replace(client(i), address=ME.address) for i in range(6)]

    sent = [await sends(service, who, number(i)) for i, who in enumerate(clients)]

    assert sent == [True] * 5 + [False]


async def test_a_48_gets_forty_messages_in_fifteen_minutes_over_all_its_64s(
    limited: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    """S8."""
    clients = [Client(Flow(f"flow-{i}"), f"2001:db8:1:{i:x}::/64") for i in range(45)]

    sent = [await sends(limited, who, number(i)) for i, who in enumerate(clients)]
    assert sent == [True] * 40 + [False] * 5

    clock.tick(15 * 60)
    assert await sends(limited, clients[0], number(200))
    assert len(provider.sent) == 41


async def test_a_48_gets_eighty_guesses_in_five_minutes_over_all_its_64s(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    """S8."""
    service = replace(verifications, limits=only("LIMIT_CHECK_NETWORK"))
    clients = [Client(Flow(f"flow-{i}"), f"2001:db8:1:{i:x}::/64") for i in range(84)]

    for index, who in enumerate(clients):
        started = await service.start(who, number(index), Channel.SMS)
        with pytest.raises(CodeMismatch if index < 80 else RateLimited):
            await service.check(who, started.id, WRONG)

    assert len(provider.checked) == 80


async def test_ipv4_addresses_share_no_network(verifications: VerificationService) -> None:
    """S8."""
    service = replace(verifications, limits=only("LIMIT_SEND_NETWORK"))

    assert all([await sends(service, client(i), number(i)) for i in range(42)])


def test_a_program_with_a_key_is_not_counted_by_its_network() -> None:
    """S8."""
    program = Client(Flow("flow"), "2001:db8::/64", key="shop")

    scopes = {
        spending.limit.scope for spending in limit_uses(POLICY, Action.SEND, program, number(1))
    }
    assert Scope.KEY in scopes
    assert not scopes & {Scope.ADDRESS, Scope.ADDRESS_NUMBERS, Scope.NETWORK}


async def test_the_guides_limit_by_number_holds_over_sessions_and_addresses(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_NUMBER", "LIMIT_SEND_NUMBER_DAY"))

    for hour in range(3):
        sent = [await sends(service, client(10 * hour + i), number(1)) for i in range(6)]
        assert sent == ([True] * 5 + [False] if hour < 2 else [False] * 6)
        clock.tick(3600)

    assert len(provider.sent) == 10


async def test_twenty_browsers_at_once_send_one_message_to_a_number(
    limited: VerificationService, provider: FakeProvider
) -> None:
    starts = [limited.start(client(i), number(1), Channel.SMS) for i in range(20)]

    results = await asyncio.gather(*starts, return_exceptions=True)

    # On a machine that is too busy the store gives up on some; nothing is sent for them either.
    refused = sum(isinstance(result, RateLimited | StoreUnavailable) for result in results)
    assert len(provider.sent) + refused == 20
    assert len(provider.sent) <= 1


async def test_a_session_cannot_work_through_a_list_of_numbers(
    verifications: VerificationService,
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_SESSION_NUMBERS"))

    sent = [await sends(service, ME, number(i)) for i in (1, 2, 1, 3, 2, 4)]

    assert sent == [True, True, True, True, True, False]


async def test_a_block_of_numbers_gets_ten_an_hour(verifications: VerificationService) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_PREFIX"))
    block = [PhoneNumber(f"+12025550{i:03}") for i in range(100, 112)]

    sent = [await sends(service, client(i), phone) for i, phone in enumerate(block)]

    assert sent == [True] * 10 + [False] * 2


async def test_the_whole_bill_has_an_end_and_the_operator_hears_of_it_before(
    verifications: VerificationService, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = adjusted(only("LIMIT_SEND_TOTAL"), {"LIMIT_SEND_TOTAL": (10, timedelta(hours=1))})
    service = replace(verifications, limits=limits)

    sent = [await sends(service, client(i), number(i)) for i in range(11)]

    assert sent == [True] * 10 + [False]
    alarms = [
        line for line in capsys.readouterr().out.splitlines() if "limit.threshold_reached" in line
    ]
    assert ["used=5" in alarms[0], "used=8" in alarms[1], len(alarms)] == [True, True, 2]


async def test_guesses_at_a_number_are_counted_over_browsers_and_days(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    service = replace(verifications, limits=only("LIMIT_CHECK_NUMBER", "LIMIT_CHECK_NUMBER_DAY"))

    for index in range(30):
        started = await service.start(client(index), number(1), Channel.SMS)
        for _ in range(5):
            with pytest.raises(OtpError):
                await service.check(client(index), started.id, WRONG)
        clock.tick(600)

    assert len(provider.checked) == 50  # in five hours; twenty in each of the first


async def test_a_hundred_failures_in_a_row_lock_a_number_and_a_success_starts_anew(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    rates = {"LIMIT_CHECK_FAILURES": (4, timedelta(days=30))}
    service = replace(verifications, limits=adjusted(only("LIMIT_CHECK_FAILURES"), rates))
    first = await service.start(ME, number(1), Channel.SMS)
    for code in (WRONG, WRONG, WRONG):
        with pytest.raises(CodeMismatch):
            await service.check(ME, first.id, code)
    await service.check(ME, first.id, RIGHT)

    second = await service.start(client(1), number(1), Channel.SMS)
    for _ in range(4):
        with pytest.raises(CodeMismatch):
            await service.check(client(1), second.id, WRONG)
    clock.tick(500)
    with pytest.raises(RateLimited):
        await service.check(client(1), second.id, RIGHT)

    with pytest.raises(RateLimited):
        await service.start(client(2), number(1), Channel.SMS)

    assert len(provider.checked) == 8
    assert len(provider.sent) == 2


async def test_fifty_guesses_at_once_get_five_answers_under_the_whole_policy(
    limited: VerificationService, provider: FakeProvider
) -> None:
    started = await limited.start(ME, number(1), Channel.SMS)

    guesses = [limited.check(ME, started.id, WRONG) for _ in range(50)]
    answers = await asyncio.gather(*guesses, return_exceptions=True)

    # On a machine that is too busy the store gives up on some, and then fewer get through.
    gave_up = any(isinstance(answer, StoreUnavailable) for answer in answers)
    assert len(provider.checked) == 5 or (gave_up and len(provider.checked) < 5)


async def test_a_malformed_code_uses_up_no_limit(limited: VerificationService) -> None:
    started = await limited.start(ME, number(1), Channel.SMS)
    for _ in range(20):
        with pytest.raises(OtpError):
            await limited.check(ME, started.id, "12")

    await limited.check(ME, started.id, RIGHT)


async def test_the_refusal_says_when_there_is_room(
    verifications: VerificationService, clock: Clock
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_NUMBER", "LIMIT_SEND_NUMBER_BURST"))
    begun = clock.now()
    for index in range(5):
        await service.start(client(index), number(1), Channel.SMS)
        clock.tick(60)

    with pytest.raises(RateLimited) as caught:
        await service.start(ME, number(1), Channel.SMS)

    assert caught.value.params["until"] == begun + timedelta(hours=1)
    assert caught.value.scope == "number"
    clock.tick(3600 - 5 * 60 - 1)
    assert not await sends(service, ME, number(1))
    clock.tick(1)
    assert await sends(service, ME, number(1))


async def test_a_refusal_counts_nothing_anywhere(verifications: VerificationService) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_NUMBER_BURST", "LIMIT_SEND_SESSION"))
    assert await sends(service, client(1), number(1))

    for _ in range(10):
        assert not await sends(service, ME, number(1))

    assert [await sends(service, ME, number(i)) for i in range(2, 8)] == [True] * 5 + [False]


async def test_what_certainly_was_not_sent_is_given_back(
    limited: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderNotReached()] * 10
    for _ in range(10):
        with pytest.raises(ProviderNotReached):
            await limited.start(ME, number(1), Channel.SMS)
        clock.tick(10)  # too slowly for the circuit breaker

    assert await sends(limited, ME, number(1))


async def test_what_may_have_been_sent_is_not_given_back(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_NUMBER"))
    provider.failures = [ProviderTimedOut()] * 5
    for index in range(5):
        with pytest.raises(ProviderTimedOut):
            await service.start(client(index), number(1), Channel.SMS)
        clock.tick(10)  # too slowly for the circuit breaker

    assert not await sends(service, ME, number(1))


async def test_limits_outlive_the_process(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_SESSION"))
    for index in range(5):
        await service.start(ME, number(index), Channel.SMS)

    reborn = replace(service, limiter=SqlLimiter(sql_store.engine, LIMIT_KEY))

    assert not await sends(reborn, ME, number(6))


@pytest.mark.sqlite
async def test_without_the_database_nothing_is_sent(
    limited: VerificationService, provider: FakeProvider, sql_store: SqlStore
) -> None:
    path = sql_store.engine.url.database
    assert path is not None
    with open(path, "r+b") as file:  # noqa: ASYNC230, PTH123 - breaking it on purpose
        file.write(b"not a database any more" * 100)

    with pytest.raises(StoreUnavailable):
        await limited.start(ME, number(1), Channel.SMS)

    assert provider.sent == []


async def test_no_number_stands_in_a_key(limited: VerificationService, sql_store: SqlStore) -> None:
    me = replace(ME, address="2001:db8::/64")
    await limited.start(me, number(1), Channel.SMS)

    async with connected(sql_store.engine) as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM limits")).all()

    assert len(rows) >= 7  # session, number, block, address, network, country, everybody
    assert not any(secret in str(rows) for secret in (number(1).digits, me.flow, me.address))


async def test_old_uses_are_swept_away(sql_store: SqlStore, clock: Clock) -> None:
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    await limiter.spend([ONE], clock.now())

    await limiter.prune(clock.now() + ONE.limit.window - timedelta(seconds=1))
    with pytest.raises(RateLimited):
        await limiter.spend([ONE], clock.now())
    await limiter.prune(clock.now() + ONE.limit.window)

    async with connected(sql_store.engine) as connection:
        assert (await connection.exec_driver_sql("SELECT * FROM limits")).all() == []


def test_every_scope_has_a_row_and_every_row_a_name_of_its_own() -> None:
    assert {limit.scope for limit in POLICY} == set(Scope)
    assert len({limit.name for limit in POLICY}) == len(POLICY)
    assert len(limit_uses(POLICY, Action.SEND, ME, number(1))) > 10


def test_a_country_is_that_of_the_number_not_of_its_calling_code() -> None:
    country = only("LIMIT_SEND_COUNTRY")

    (spending,) = limit_uses(country, Action.SEND, ME, PhoneNumber("+12642351234"))

    assert spending.subject == "AI"  # Anguilla shares +1


async def all_hits(store: SqlStore) -> list[object]:
    async with connected(store.engine) as connection:
        return list((await connection.execute(select(table))).all())


async def refused_until(limiter: SqlLimiter, now: datetime, *uses: LimitUse) -> datetime:
    with pytest.raises(RateLimited) as caught:
        await limiter.spend(uses, now)
    until = caught.value.params["until"]
    assert isinstance(until, datetime)
    return until


@pytest.mark.sqlite
async def test_a_refused_use_reads_once_and_writes_nothing(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    """S3: the whole policy for messages, with the last of its limits reached."""
    uses = limit_uses(POLICY, Action.SEND, ME, number(1))
    now = verifications.now()
    await SqlLimiter(sql_store.engine, LIMIT_KEY).spend(uses, now)
    before = await all_hits(sql_store)

    async with statements(sql_store.engine) as found:
        await refused_until(SqlLimiter(sql_store.engine, LIMIT_KEY), now, *uses)

    assert len(found) <= 2
    assert all(statement.startswith("SELECT") for statement in found)
    assert await all_hits(sql_store) == before


@pytest.mark.sqlite
async def test_a_refused_use_does_not_wait_for_a_writer(sql_store: SqlStore, clock: Clock) -> None:
    """S3: another connection has SQLite's only lock for writing."""
    await SqlLimiter(sql_store.engine, LIMIT_KEY).spend([ONE], clock.now())

    async with connected(sql_store.engine) as other:
        await other.execute(text("BEGIN IMMEDIATE"))
        until = await refused_until(SqlLimiter(sql_store.engine, LIMIT_KEY), clock.now(), ONE)

    assert until == clock.now() + ONE.limit.window


@pytest.mark.sqlite
async def test_a_requirement_is_checked_by_one_select(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    """S3."""
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    uses = limit_uses(POLICY, Action.PAUSE, ME, number(1))
    async with statements(sql_store.engine) as found:
        await limiter.require(uses, verifications.now())
    assert [statement.startswith("SELECT") for statement in found] == [True]

    await limiter.pause(uses[0], verifications.now())
    async with statements(sql_store.engine) as found:
        with pytest.raises(RateLimited):
            await limiter.require(uses, verifications.now())

    assert [statement.startswith("SELECT") for statement in found] == [True]


@pytest.mark.sqlite
async def test_a_remembered_refusal_runs_no_statement_and_names_the_same_time(
    sql_store: SqlStore, clock: Clock
) -> None:
    """S3."""
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    await limiter.spend([ONE], clock.now())
    until = await refused_until(limiter, clock.now(), ONE, OTHER)

    async with statements(sql_store.engine) as found:
        assert await refused_until(limiter, clock.now(), ONE) == until
        assert await refused_until(limiter, clock.now(), OTHER, ONE) == until
        with pytest.raises(RateLimited):
            await limiter.require([ONE], clock.now())
    assert found == []

    await limiter.spend([OTHER], clock.now())  # the refusal was of the other limit


@pytest.mark.sqlite
async def test_a_start_that_is_refused_from_memory_reads_the_browsers_own_rows_only(
    limited: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    """S3: an address that has used up its messages, with a new browser for each attempt."""
    for index in range(6):
        clock.tick(60)
        sent = await sends(limited, replace(client(index), address=ME.address), number(index))
    assert not sent

    async with statements(sql_store.engine) as found:
        for index in range(10, 15):
            assert not await sends(
                limited, replace(client(index), address=ME.address), number(index)
            )

    assert len(found) <= 2 * 5
    assert all("FROM verifications" in statement for statement in found)


@pytest.mark.sqlite
async def test_a_guess_that_is_refused_from_memory_reads_and_writes_no_limit(
    limited: VerificationService, sql_store: SqlStore
) -> None:
    """S3: an address that has used up its guesses, with a new browser."""
    people = [replace(client(index), address=ME.address) for index in range(3)]
    ids = [
        (await limited.start(one, number(index), Channel.SMS)).id
        for index, one in enumerate(people)
    ]
    for one, id_ in zip(people[:2], ids, strict=False):
        for _ in range(5):
            with pytest.raises(OtpError):
                await limited.check(one, id_, WRONG)
    with pytest.raises(RateLimited):
        await limited.check(people[2], ids[2], WRONG)

    async with statements(sql_store.engine) as found:
        for _ in range(5):
            with pytest.raises(RateLimited):
                await limited.check(people[2], ids[2], WRONG)

    assert len(found) == 5
    assert all("FROM verifications" in statement for statement in found)


@pytest.mark.sqlite
async def test_of_two_remembered_refusals_the_later_time_is_named(
    sql_store: SqlStore, clock: Clock
) -> None:
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    await limiter.spend([ONE], clock.now())
    clock.tick(60)
    other = replace(OTHER, limit=replace(OTHER.limit, amount=1))
    await limiter.spend([other], clock.now())
    latest = await refused_until(limiter, clock.now(), other, ONE)

    async with statements(sql_store.engine) as found:
        assert await refused_until(limiter, clock.now(), ONE, other) == latest
        assert await refused_until(limiter, clock.now(), ONE) == latest - timedelta(seconds=60)
    assert found == []


async def test_a_refusal_is_remembered_for_a_minute_and_no_longer_than_it_holds(
    sql_store: SqlStore, clock: Clock
) -> None:
    """Another process may have given the use back meanwhile."""
    limiter, elsewhere = (SqlLimiter(sql_store.engine, LIMIT_KEY) for _ in range(2))
    batch = await elsewhere.spend([ONE], clock.now())
    await refused_until(limiter, clock.now(), ONE)
    await elsewhere.refund(batch, [ONE])

    clock.tick(59)
    await refused_until(limiter, clock.now(), ONE)
    clock.tick(1)
    await limiter.spend([ONE], clock.now())

    clock.tick(ONE.limit.window.total_seconds() - 1)
    until = await refused_until(limiter, clock.now(), ONE)
    clock.tick(1)
    assert until == clock.now()
    await limiter.spend([ONE], clock.now())


async def test_a_refund_or_success_in_this_process_makes_room_at_once(
    sql_store: SqlStore, clock: Clock
) -> None:
    """S3."""
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    batch = await limiter.spend([ONE], clock.now())
    await refused_until(limiter, clock.now(), ONE)

    await limiter.refund(batch, [ONE])
    await limiter.spend([ONE], clock.now())
    await refused_until(limiter, clock.now(), ONE)

    await limiter.forgive([ONE])
    await limiter.spend([ONE], clock.now())


@pytest.mark.sqlite
async def test_a_remembered_refusal_of_one_number_is_none_of_another(
    sql_store: SqlStore, clock: Clock
) -> None:
    """A number that was counted before is free, whoever has been refused meanwhile."""
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    first, second = replace(ONE, distinct="+447400123456"), replace(ONE, distinct="+447400123457")
    await limiter.spend([first], clock.now())
    await refused_until(limiter, clock.now(), second)

    await limiter.spend([first], clock.now())
    async with statements(sql_store.engine) as found:
        await refused_until(limiter, clock.now(), second)
    assert found == []


def test_of_too_many_refusals_the_oldest_is_forgotten(clock: Clock) -> None:
    refusals, until = Refusals(most=3), clock.now() + timedelta(hours=1)
    for key in "abcda":
        refusals.remember(key, until, clock.now())

    known = [key for key in "abcd" if refusals.until(key, clock.now())]

    assert known == ["a", "c", "d"]


def test_a_part_of_a_limit_follows_the_limit_unless_it_is_set_itself() -> None:
    hour, names = timedelta(hours=1), ("LIMIT_SEND_COUNTRY", "LIMIT_SEND_COUNTRY_UNCONFIRMED")
    rows = only(*names)

    for rates, amounts in (
        ({}, [60, 48]),
        ({names[0]: (600, hour)}, [600, 480]),
        ({names[0]: (1, hour)}, [1, 1]),
        ({names[1]: (5, hour)}, [60, 5]),
        ({names[0]: (600, hour), names[1]: (5, hour)}, [600, 5]),
    ):
        assert [limit.amount for limit in adjusted(rows, rates)] == amounts


def test_every_part_of_a_limit_is_part_of_one_of_the_same_window() -> None:
    by_name = {limit.name: limit for limit in POLICY}

    for limit in POLICY:
        if limit.part_of:
            assert limit.amount < by_name[limit.part_of].amount
            assert limit.window == by_name[limit.part_of].window

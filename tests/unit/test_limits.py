"""Limits: what is refused, until when, and that nothing gives anything back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    CodeMismatch,
    OtpError,
    ProviderNotReached,
    ProviderTimedOut,
    RateLimited,
    StoreUnavailable,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.limiter import SqlLimiter
from otp_app.verification.limits import (
    POLICY,
    Action,
    Client,
    Limit,
    Scope,
    Spending,
    adjusted,
    spendings,
)
from otp_app.verification.models import Channel, Flow
from tests.fakes import RIGHT, WRONG
from tests.unit.conftest import SECRET

if TYPE_CHECKING:
    from otp_app.storage.sql import SqlStore
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

ME = Client(Flow("me"), "203.0.113.7")


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
    alarms = [line for line in capsys.readouterr().out.splitlines() if "limit.alarm" in line]
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

    reborn = replace(service, limiter=SqlLimiter(sql_store.engine, SECRET))

    assert not await sends(reborn, ME, number(6))


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
    await limited.start(ME, number(1), Channel.SMS)

    async with sql_store.engine.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM limit_hits")).all()

    not_hers = {Scope.KEY, Scope.STRANGERS, Scope.COUNTRY_CONFIRMED}
    hold = [one for one in POLICY if one.action is Action.SEND and one.scope not in not_hers]
    assert len(rows) >= len(hold)
    assert not any(secret in str(rows) for secret in (number(1).digits, ME.flow, ME.address))


async def test_old_uses_are_swept_away(sql_store: SqlStore, clock: Clock) -> None:
    limiter = SqlLimiter(sql_store.engine, SECRET)
    await limiter.spend([Spending(POLICY[0], "me")], clock.now())

    await limiter.prune(clock.now() + POLICY[0].window - timedelta(seconds=1))
    with pytest.raises(RateLimited):
        await limiter.spend([Spending(replace(POLICY[0], amount=1), "me")] * 2, clock.now())
    await limiter.prune(clock.now() + POLICY[0].window)

    async with sql_store.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT * FROM limit_hits")).all() == []


def test_every_scope_has_a_row_and_every_row_a_name_of_its_own() -> None:
    assert {limit.scope for limit in POLICY} == set(Scope)
    assert len({limit.name for limit in POLICY}) == len(POLICY)
    assert len(spendings(POLICY, Action.SEND, ME, number(1))) > 10


def test_a_country_is_that_of_the_number_not_of_its_calling_code() -> None:
    country = only("LIMIT_SEND_COUNTRY")

    (spending,) = spendings(country, Action.SEND, ME, PhoneNumber("+12642351234"))

    assert spending.subject == "AI"  # Anguilla shares +1


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

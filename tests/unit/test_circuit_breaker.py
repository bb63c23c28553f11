"""The circuit breaker: who fails is left alone, and nobody pays for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import count, islice
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderMisconfigured,
    ProviderNotReached,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.tables import audit, verifications
from otp_app.verification.circuit_breaker import FAILURES, PAUSE, WINDOW
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, Action
from otp_app.verification.models import Channel, Flow, Status
from tests.database import connected, uses_of_limits
from tests.fakes import RIGHT, WRONG, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Reference, Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

SENDS, CHECKS = ("fake", Action.SEND), ("fake", Action.CHECK)
FAULTS = [
    ProviderUnavailable(),
    ProviderNotReached(),
    ProviderThrottled(),
    ProviderTimedOut(),
]
ANSWERS = [
    ProviderRejected(),
    NumberBusy(),
    LanguageRefused(),
    ProviderMisconfigured(for_everybody=False),
    ProviderUnavailable(for_everybody=False),
    ProviderTimedOut(for_everybody=False),
]
"""The provider works: what it refused or left unclear is this request's own."""
INDEXES = count(1000)


class Slow(FakeProvider):
    """Takes its time over each message, until it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.came, self.go_on = asyncio.Event(), asyncio.Event()

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        self.asked += 1
        self.came.set()
        await self.go_on.wait()
        return await super().start(to, channel, language)


def client(index: int) -> Client:
    return Client(Flow(f"flow-{index}"), "203.0.113.7")


async def start(service: VerificationService, index: int = 0) -> Verification:
    phone = PhoneNumber(f"+44740012{index:04}")
    return await service.start(client(index), phone, Channel.SMS)


async def outcome(action: Awaitable[object]) -> type[OtpError] | None:
    try:
        await action
    except OtpError as exc:
        return type(exc)
    return None


async def fail(service: VerificationService, provider: FakeProvider, *faults: OtpError) -> None:
    """Somebody's starts, which all go wrong."""
    provider.failures = [*faults]
    for fault in faults:
        assert await outcome(start(service, next(INDEXES))) is type(fault)


async def open_circuit(service: VerificationService, provider: FakeProvider, clock: Clock) -> None:
    """Open the circuit of sends and let its pause pass. The next start is the one try."""
    await fail(service, provider, ProviderMisconfigured())
    clock.tick(PAUSE.total_seconds())


async def before_a_slow_try(
    verifications: VerificationService, clock: Clock
) -> tuple[VerificationService, Slow]:
    """Return a service whose next start is the one try, and its provider, which is slow."""
    provider = Slow()
    service = replace(verifications, providers={"fake": provider})
    provider.go_on.set()
    await open_circuit(service, provider, clock)
    provider.go_on.clear()
    provider.came.clear()
    return service, provider


async def counted(store: SqlStore) -> list[int]:
    """Return the numbers of rows: verifications, audit entries and uses of limits."""
    async with connected(store.engine) as connection:
        queries = [select(func.count()).select_from(one) for one in (verifications, audit)]
        found = [(await connection.execute(query)).scalar_one() for query in queries]
    return [*found, await uses_of_limits(store.engine)]


@pytest.mark.parametrize("fault", FAULTS)
async def test_five_failures_in_half_a_minute_and_nobody_is_asked_any_more(
    verifications: VerificationService, provider: FakeProvider, fault: OtpError
) -> None:
    await fail(verifications, provider, *[fault] * (FAILURES - 1))
    assert verifications.failing == frozenset()

    await fail(verifications, provider, fault)

    assert verifications.failing == {SENDS}
    assert await outcome(start(verifications)) is ProviderNotReached
    assert provider.sent == []


async def test_a_refused_account_is_left_alone_at_once(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    await fail(verifications, provider, ProviderMisconfigured())

    assert verifications.failing == {SENDS}


async def test_failures_that_are_further_apart_are_no_outage(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    for _ in range(3 * FAILURES):
        await fail(verifications, provider, ProviderUnavailable())
        clock.tick(WINDOW.total_seconds() / (FAILURES - 1))

    assert verifications.failing == frozenset()


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_refusal_is_an_answer_and_no_failure(
    verifications: VerificationService, provider: FakeProvider, answer: OtpError
) -> None:
    await fail(verifications, provider, *[answer] * 2 * FAILURES)

    assert verifications.failing == frozenset()


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_try_that_is_refused_for_its_own_reasons_opens_the_way(
    verifications: VerificationService, provider: FakeProvider, clock: Clock, answer: OtpError
) -> None:
    await open_circuit(verifications, provider, clock)

    await fail(verifications, provider, answer)

    assert verifications.failing == frozenset()


async def test_what_did_not_leave_for_its_own_reasons_says_nothing_about_the_provider(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    """Too much of ours was under way: that neither opens a circuit nor closes it."""
    not_sent = ProviderNotReached(for_everybody=False)
    await fail(verifications, provider, *[not_sent] * 2 * FAILURES)
    assert verifications.failing == frozenset()

    await open_circuit(verifications, provider, clock)
    await fail(verifications, provider, not_sent)

    assert verifications.failing == {SENDS}


async def test_five_refusals_of_one_caller_between_others_stop_nobody(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    for _ in range(FAILURES):
        await fail(verifications, provider, ProviderMisconfigured(for_everybody=False))
        assert await outcome(start(verifications, next(INDEXES))) is None

    assert not verifications.is_failing


@pytest.mark.parametrize(("sends", "kept"), [(1, 5), (2, 2)])
async def test_a_refused_language_can_be_tried_again_at_once_and_costs_its_caller_only(
    verifications: VerificationService,
    provider: FakeProvider,
    sql_store: SqlStore,
    clock: Clock,
    sends: int,
    kept: int,
) -> None:
    """The uses of session and address stay; a first message adds two lists of numbers to them.

    The first of two messages has left the burst of its number meanwhile.
    """
    service = replace(verifications, limits=POLICY)
    if sends > 1:
        await start(service)
        clock.tick(31)
    before = (await counted(sql_store))[2]

    provider.failures = [LanguageRefused()]
    assert await outcome(start(service)) is LanguageRefused
    assert (await counted(sql_store))[2] == before + kept

    assert (await start(service)).sends == sends
    assert len(provider.sent) == sends


async def test_what_is_not_asked_is_not_counted_anywhere(
    verifications: VerificationService, provider: FakeProvider, sql_store: SqlStore
) -> None:
    service = replace(verifications, limits=POLICY)
    started = await start(service)
    await fail(service, provider, ProviderMisconfigured())
    before = await counted(sql_store)

    assert await outcome(start(service, 1)) is ProviderNotReached
    assert await outcome(start(service, 1)) is ProviderNotReached

    assert await counted(sql_store) == before
    assert (await service.check(client(0), started.id, RIGHT)).status is Status.APPROVED


async def test_who_waits_for_a_resend_keeps_what_is_there(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(31)
    await fail(verifications, provider, ProviderMisconfigured())

    resending = verifications.resend(client(0), started.id, Channel.VOICE)
    assert await outcome(resending) is ProviderNotReached

    assert await verifications.current(client(0).flow) == started
    assert len(provider.sent) == 1


async def test_no_guess_is_lost_to_an_outage(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    provider.failures = [ProviderMisconfigured()]
    assert await outcome(verifications.check(client(0), started.id, WRONG)) is ProviderMisconfigured
    assert verifications.failing == {CHECKS}

    for _ in range(10):
        assert (
            await outcome(verifications.check(client(0), started.id, RIGHT)) is ProviderNotReached
        )

    current = await verifications.current(client(0).flow)
    assert current is not None
    assert current.attempts_left == 4
    assert len(provider.checked) == 1


async def test_messages_and_codes_fail_apart(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    await fail(verifications, provider, ProviderMisconfigured())

    assert (await verifications.check(client(0), started.id, RIGHT)).status is Status.APPROVED


async def test_after_a_while_one_request_tries_and_its_answer_opens_the_way(
    verifications: VerificationService, clock: Clock
) -> None:
    service, provider = await before_a_slow_try(verifications, clock)

    outcomes = asyncio.as_completed([outcome(start(service, index)) for index in range(5)])
    assert [await one for one in islice(outcomes, 4)] == [ProviderNotReached] * 4
    provider.go_on.set()
    assert [await one for one in outcomes] == [None]

    assert provider.asked == 2
    assert len(provider.sent) == 1
    assert service.failing == frozenset()
    assert await outcome(start(service, 9)) is None


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_try_that_fails_is_not_repeated_before_its_time(
    verifications: VerificationService, provider: FakeProvider, clock: Clock, fault: OtpError
) -> None:
    await open_circuit(verifications, provider, clock)
    await fail(verifications, provider, fault)

    clock.tick(PAUSE.total_seconds() - 1)
    assert await outcome(start(verifications)) is ProviderNotReached
    assert provider.sent == []

    clock.tick(1)
    assert await outcome(start(verifications)) is None
    assert len(provider.sent) == 1


async def test_a_try_that_nobody_waits_for_any_more_does_not_keep_the_circuit_open(
    verifications: VerificationService, clock: Clock
) -> None:
    service, provider = await before_a_slow_try(verifications, clock)
    left = asyncio.create_task(start(service, 1))
    await provider.came.wait()
    left.cancel()
    await asyncio.wait([left])

    clock.tick(PAUSE.total_seconds())
    provider.go_on.set()

    assert await outcome(start(service, 2)) is None


async def test_what_is_over_is_canceled_whatever_else_fails(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(601)
    other = await start(verifications, 1)
    provider.failures = [ProviderMisconfigured()]
    await outcome(verifications.check(client(1), other.id, WRONG))
    assert verifications.failing == {CHECKS}

    await start(verifications)

    assert provider.canceled == [started.reference]


async def test_the_operator_hears_of_it_once_and_of_its_end(
    verifications: VerificationService,
    provider: FakeProvider,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await fail(verifications, provider, *[ProviderUnavailable()] * FAILURES)
    for index in range(3):
        await outcome(start(verifications, index))
    clock.tick(PAUSE.total_seconds())
    await start(verifications)

    out = capsys.readouterr().out
    assert out.count("provider.circuit_opened") == 1
    assert out.count("provider.circuit_closed") == 1

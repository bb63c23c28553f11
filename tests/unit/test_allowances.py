"""Every call to a vendor is counted before it leaves, and a refusal gives back no question."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from otp_app.errors import (
    CodeMismatch,
    NumberBusy,
    OtpError,
    ProviderNotReached,
    ProviderTimedOut,
    ProviderUnavailable,
    RateLimited,
    VerificationExpired,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.outbox import SqlOutbox
from otp_app.storage.tables import audit, events
from otp_app.storage.tables import verifications as table
from otp_app.verification.allowances import Allowance, Call
from otp_app.verification.background import INTERVAL, Sweeper
from otp_app.verification.budget import ASKING, BURST, CANCEL_WAIT, CANCELS, MESSAGES
from otp_app.verification.circuit_breaker import CircuitBreakerProvider
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, Action
from otp_app.verification.models import Channel, CheckOutcome, Flow, Reference, SecondStart, Status
from otp_app.verification.risk import RiskScreening
from tests.browser.server import ROOT
from tests.database import connected, uses_of_limits
from tests.fakes import RIGHT, WRONG, FakeLook, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sqlalchemy import Table

    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

    Ask = Callable[[Allowance], Awaitable[object]]

PHONE, OTHER_PHONE = PhoneNumber("+447400123456"), PhoneNumber("+447911234567")
REFERENCE = Reference("reference-1")
ME = Client(Flow("me"), "203.0.113.7")


def client(index: int) -> Client:
    return Client(Flow(f"flow-{index}"), f"198.51.100.{index}")


@pytest.fixture
def service(verifications: VerificationService) -> VerificationService:
    """The service under the whole policy."""
    return replace(verifications, limits=POLICY)


@pytest.fixture
def single(service: VerificationService, provider: FakeProvider) -> VerificationService:
    """The same, with a provider that runs one request per number."""
    provider.second_start = SecondStart.REFUSED
    return service


async def start(
    service: VerificationService, who: Client = ME, phone: PhoneNumber = PHONE
) -> Verification:
    return await service.start(who, phone, Channel.SMS)


async def outcome(action: Awaitable[object]) -> type[OtpError] | None:
    try:
        await action
    except OtpError as exc:
        return type(exc)
    return None


async def rows(store: SqlStore, of: Table) -> int:
    async with connected(store.engine) as connection:
        return int((await connection.execute(select(func.count()).select_from(of))).scalar_one())


def asks(provider: FakeProvider, look: FakeLook, clock: Clock) -> dict[Call, list[Ask]]:
    """Every way to call a vendor."""
    guarded, screening = CircuitBreakerProvider(provider, clock.now), RiskScreening(look)
    return {
        Call.NUMBER_LOOKUP: [lambda by: screening.require_acceptable(by, PHONE, clock.now())],
        Call.SEND: [
            lambda by: guarded.start(by, PHONE, Channel.SMS),
            lambda by: guarded.resend(by, REFERENCE, PHONE, Channel.SMS),
        ],
        Call.CHECK: [lambda by: guarded.check(by, REFERENCE, PHONE, RIGHT)],
        Call.CANCEL: [lambda by: guarded.cancel(by, REFERENCE)],
    }


@pytest.mark.parametrize("call", Call)
async def test_a_call_that_nothing_pays_for_does_not_leave(
    provider: FakeProvider, clock: Clock, call: Call
) -> None:
    look = FakeLook()
    for ask in asks(provider, look, clock)[call]:
        others = [one for one in Call if one is not call]
        with pytest.raises(RuntimeError, match="nothing pays for"):
            await ask(Allowance(others))

    assert (provider.calls, look.looked_at) == ([], [])


@pytest.mark.parametrize("call", Call)
async def test_a_call_that_was_paid_for_leaves_once(
    provider: FakeProvider, clock: Clock, call: Call
) -> None:
    look = FakeLook()
    ways = asks(provider, look, clock)[call]
    for ask in ways:
        allowance = Allowance([call])
        await ask(allowance)
        with pytest.raises(RuntimeError, match="nothing pays for"):
            await ask(allowance)

    assert len(provider.calls) + len(look.looked_at) == len(ways)


def test_only_the_budget_issues_allowances() -> None:
    assert [*issuers()] == ["otp_app/verification/budget.py"]


def issuers() -> Iterator[str]:
    for path in sorted((ROOT / "otp_app").rglob("*.py")):
        made = (
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        )
        if any("Allowance" in ast.unparse(node.func) for node in made):
            yield path.relative_to(ROOT).as_posix()


def test_each_limit_on_messages_is_for_asking_or_for_the_message() -> None:
    """A new scope has to be in one of the two: only the second is given back by a refusal."""
    scopes = {limit.scope for limit in POLICY if limit.action is Action.SEND}

    assert scopes == ASKING | MESSAGES
    assert not ASKING & MESSAGES
    assert BURST in {limit.name for limit in POLICY}


async def test_fifty_starts_that_are_answered_busy_are_five_calls_and_no_event(
    service: VerificationService, provider: FakeProvider, sql_store: SqlStore, clock: Clock
) -> None:
    """S2: within 15 minutes, by one client."""
    outbox = SqlOutbox(sql_store.engine, sql_store.encryption, clock.now)
    telling = replace(service, store=replace(sql_store, outbox=outbox))
    provider.failures = [NumberBusy() for _ in range(50)]

    for _ in range(50):
        assert await outcome(start(telling)) in {NumberBusy, RateLimited}
        clock.tick(17)

    assert provider.calls == [Call.SEND] * 5
    assert (await rows(sql_store, events), await rows(sql_store, audit)) == (0, 10)


async def test_a_refusal_uses_up_no_message_of_the_number_or_of_everybody(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [NumberBusy() for _ in range(12)]
    for index in range(12):
        assert await outcome(start(service, client(index))) is NumberBusy
        clock.tick(31)

    for index in range(5):
        assert await outcome(start(service, client(100 + index))) is None
        clock.tick(31)


async def test_a_number_that_was_refused_is_asked_about_again_after_half_a_minute(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    """The number's burst stays spent, whoever asks."""
    provider.failures = [NumberBusy()]
    assert await outcome(start(service)) is NumberBusy

    clock.tick(29)
    assert await outcome(start(service, client(1))) is RateLimited
    clock.tick(1)
    assert await outcome(start(service, client(1))) is None
    assert provider.calls == [Call.SEND] * 2


async def test_a_list_of_numbers_is_counted_though_each_is_busy(
    service: VerificationService, provider: FakeProvider
) -> None:
    provider.failures = [NumberBusy() for _ in range(4)]
    phones = [PhoneNumber(f"+4474{index:04}0000") for index in range(4)]

    found = [await outcome(start(service, phone=phone)) for phone in phones]

    assert found == [NumberBusy] * 3 + [RateLimited]


async def test_a_look_that_was_made_is_not_given_back_when_the_message_does_not_leave(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    look = FakeLook()
    looking = replace(service, screening=RiskScreening(look))
    provider.failures = [ProviderNotReached() for _ in range(20)]

    for _ in range(20):
        await outcome(start(looking))
        clock.tick(31)

    assert len(look.looked_at) == 5


async def test_a_resend_that_may_have_left_in_part_is_not_given_back(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    """Vonage ends the old request before it starts a new one."""
    started = await start(service)
    clock.tick(31)
    provider.failures = [ProviderNotReached()]
    assert await outcome(service.resend(ME, started.id)) is ProviderNotReached

    assert await outcome(service.resend(ME, started.id)) is RateLimited
    clock.tick(30)
    assert await outcome(service.resend(ME, started.id)) is None


async def test_what_our_store_knows_is_answered_without_a_call(
    single: VerificationService, provider: FakeProvider, sql_store: SqlStore, clock: Clock
) -> None:
    """S2: it costs the caller alone and leaves no trace but that."""
    await start(single, client(1))
    clock.tick(31)
    tables = (audit, table)
    before = [await rows(sql_store, one) for one in tables]

    found = [await outcome(start(single)) for _ in range(7)]

    assert found == [NumberBusy] * 5 + [RateLimited] * 2
    assert provider.calls == [Call.SEND]
    assert [await rows(sql_store, one) for one in tables] == before
    for index in range(2, 30):
        assert await outcome(start(single, client(index))) is NumberBusy
    resending = single.resend(client(1), await id_of(single, client(1)), Channel.SMS)
    assert await outcome(resending) is None


async def id_of(service: VerificationService, who: Client) -> str:
    current = await service.current(who.flow)
    assert current is not None
    return current.id


@pytest.mark.parametrize("end", ["approved", "given up", "out of time"])
async def test_a_number_whose_verification_is_over_is_free(
    single: VerificationService, provider: FakeProvider, clock: Clock, end: str
) -> None:
    started = await start(single, client(1))
    match end:
        case "approved":
            await single.check(client(1), started.id, RIGHT)
        case "given up":
            await single.cancel(client(1).flow)
        case _:
            clock.tick(600)
    clock.tick(31)

    assert await outcome(start(single)) is None
    assert provider.calls.count(Call.SEND) == 2


async def test_whether_a_lost_answer_runs_only_the_provider_knows(
    single: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut()]
    assert await outcome(start(single, client(1))) is ProviderTimedOut
    clock.tick(31)

    assert await outcome(start(single)) is None


async def test_another_number_and_another_provider_are_free(
    single: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    await start(single, client(1))
    clock.tick(31)
    assert await outcome(start(single, phone=OTHER_PHONE)) is None

    other = FakeProvider(name="other", second_start=SecondStart.REFUSED)
    both = replace(single, providers={"fake": provider, "other": other}, provider="other")
    assert await outcome(start(both, client(2))) is None


async def test_a_provider_that_shares_a_verification_is_asked(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    await start(service, client(1))
    clock.tick(31)

    assert await outcome(start(service)) is None
    assert provider.calls == [Call.SEND] * 2


async def test_a_flow_still_adopts_the_request_whose_answer_it_lost(
    single: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut(), NumberBusy("reference-of-the-lost-answer")]
    assert await outcome(start(single)) is ProviderTimedOut
    clock.tick(31)

    adopted = await start(single)

    await single.check(ME, adopted.id, RIGHT)
    assert provider.checked == ["reference-of-the-lost-answer"]


async def test_a_resend_that_lost_its_reference_to_another_flow_asks_nobody(
    single: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut()]
    assert await outcome(start(single)) is ProviderTimedOut
    clock.tick(31)
    await start(single, client(1))
    clock.tick(31)
    calls = len(provider.calls)

    assert await outcome(single.resend(ME, await id_of(single, ME))) is NumberBusy

    assert len(provider.calls) == calls


async def over(service: VerificationService, provider: FakeProvider) -> Verification:
    """A verification that its provider says is over."""
    started = await start(service)
    provider.answers = [CheckOutcome.EXPIRED]
    with pytest.raises(VerificationExpired):
        await service.check(ME, started.id, WRONG)
    return started


async def test_a_resend_that_the_limits_refuse_cancels_nothing(
    service: VerificationService, provider: FakeProvider, sql_store: SqlStore, clock: Clock
) -> None:
    """S4."""
    started = await over(service, provider)
    provider.calls.clear()
    before = await rows(sql_store, audit), await uses_of_limits(sql_store.engine)

    for _ in range(5):
        clock.tick(5)
        assert await outcome(service.resend(ME, started.id)) is RateLimited

    assert provider.calls == []
    after = await rows(sql_store, audit), await uses_of_limits(sql_store.engine)
    assert after == before
    clock.tick(5)
    assert await outcome(service.resend(ME, started.id)) is None
    assert provider.calls == [Call.CANCEL, Call.SEND]
    assert provider.canceled == [started.reference]


async def test_a_resend_that_the_limits_refuse_ends_nothing(
    service: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    started = await start(service)
    for index in range(1, 5):
        clock.tick(31)
        await start(service, client(index))
    clock.tick(600)
    assert await outcome(service.resend(ME, started.id)) is RateLimited

    current = await sql_store.latest(ME.flow)
    assert current is not None
    assert current.status is Status.PENDING


async def test_what_was_canceled_is_not_canceled_again(
    service: VerificationService, provider: FakeProvider, sql_store: SqlStore, clock: Clock
) -> None:
    started = await over(service, provider)
    clock.tick(31)
    await Sweeper(sql_store, service.limiter, service.providers, clock.now).sweep()
    assert provider.canceled == [started.reference]

    await service.resend(ME, started.id)

    assert provider.canceled == [started.reference]


async def test_a_message_pays_for_one_cancel_though_it_fails(
    service: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await over(service, provider)
    clock.tick(31)
    provider.calls.clear()
    provider.failures = [ProviderTimedOut(), NumberBusy(started.reference)]

    assert await outcome(service.resend(ME, started.id)) is NumberBusy

    assert provider.calls == [Call.CANCEL, Call.SEND]


async def test_a_vendor_whose_cancels_fail_for_hours_is_asked_six_times(
    service: VerificationService, provider: FakeProvider, sql_store: SqlStore, clock: Clock
) -> None:
    """By two servers, which look every few seconds."""
    servers = [Sweeper(sql_store, service.limiter, service.providers, clock.now) for _ in range(2)]
    await start(service)
    await service.cancel(ME.flow)
    clock.tick(31)
    provider.calls.clear()
    provider.failures = [ProviderUnavailable() for _ in range(1000)]
    begun, tried_at = clock.now(), list[float]()

    for wait in [INTERVAL] * 130 + [600.0] * 12:
        before = len(provider.calls)
        await asyncio.gather(*(one.sweep() for one in servers))
        tried_at += [(clock.now() - begun).total_seconds()] * (len(provider.calls) - before)
        clock.tick(wait)

    assert provider.calls == [Call.CANCEL] * CANCELS
    assert tried_at == [0, 5, 20, 65, 200, 605]


async def test_a_cancel_that_comes_through_after_failures_is_the_last(
    service: VerificationService, provider: FakeProvider, sql_store: SqlStore, clock: Clock
) -> None:
    sweeper = Sweeper(sql_store, service.limiter, service.providers, clock.now)
    started = await start(service)
    await service.cancel(ME.flow)
    clock.tick(31)
    provider.failures = [ProviderUnavailable()]

    for _ in range(3):
        await sweeper.sweep()
        clock.tick(CANCEL_WAIT.total_seconds())

    assert provider.canceled == [started.reference]


async def test_the_log_says_how_many_tries_are_left(
    service: VerificationService,
    provider: FakeProvider,
    sql_store: SqlStore,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await start(service)
    await service.cancel(ME.flow)
    clock.tick(31)
    provider.failures = [ProviderUnavailable()]

    await Sweeper(sql_store, service.limiter, service.providers, clock.now).sweep()

    (line,) = [one for one in capsys.readouterr().out.splitlines() if "cancellation.failed" in one]
    assert f"tries_left={CANCELS - 1}" in line


async def test_guesses_are_paid_for_one_by_one(
    service: VerificationService, provider: FakeProvider
) -> None:
    started = await start(service)
    provider.calls.clear()
    for _ in range(4):
        with pytest.raises(CodeMismatch):
            await service.check(ME, started.id, WRONG)

    await outcome(service.check(ME, started.id, WRONG))
    assert await outcome(service.check(ME, started.id, WRONG)) is not None

    assert provider.calls == [Call.CHECK] * 5

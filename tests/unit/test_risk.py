"""The look at a number before its first code: what stops it, and what never does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from otp_app import presentation
from otp_app.errors import (
    InvalidPhoneNumber,
    NumberUnfit,
    ProviderError,
    ProviderMisconfigured,
    ProviderNotReached,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    RateLimited,
)
from otp_app.phone import PhoneNumber
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow, Status
from otp_app.verification.risk import NumberInsight, RiskScreening, RiskSignal
from tests.fakes import RIGHT, FakeLook

if TYPE_CHECKING:
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

CLIENT = Client(Flow("flow-1"), "203.0.113.7")
PHONE, OTHER_PHONE = PhoneNumber("+447400123456"), PhoneNumber("+447400123457")
EVERYTHING = NumberInsight(sim_swapped=True, voip=True, pumping=True)
ALL = frozenset(RiskSignal)


@pytest.fixture
def look() -> FakeLook:
    return FakeLook()


@pytest.fixture
def service(verifications: VerificationService, look: FakeLook) -> VerificationService:
    """The service, with a look that blocks whatever speaks against a number."""
    return replace(verifications, screening=RiskScreening(look, blocked=ALL))


async def test_a_number_that_nothing_speaks_against_gets_its_code(
    service: VerificationService, provider: FakeProvider, look: FakeLook
) -> None:
    look.insight = NumberInsight(sim_swapped=False, voip=False, pumping=False)

    started = await service.start(CLIENT, PHONE, Channel.SMS)

    assert started.status is Status.PENDING
    assert (look.looked_at, provider.sent) == ([PHONE], [(PHONE, Channel.SMS)])


@pytest.mark.parametrize(
    ("insight", "reason"),
    [
        (NumberInsight(sim_swapped=True), "sim_swap"),
        (NumberInsight(voip=True), "voip"),
        (NumberInsight(pumping=True), "pumping"),
    ],
)
async def test_a_finding_that_blocks_stops_the_code_and_only_the_log_says_which(
    service: VerificationService,
    provider: FakeProvider,
    look: FakeLook,
    insight: NumberInsight,
    reason: str,
) -> None:
    look.insight = insight

    with (
        structlog.testing.capture_logs() as events,
        pytest.raises(NumberUnfit) as caught,
    ):
        await service.start(CLIENT, PHONE, Channel.SMS)

    assert events == [{"event": "number_lookup.blocked", "reason": reason, "log_level": "warning"}]
    assert (caught.value.status, caught.value.params) == (422, {})
    assert provider.sent == []
    assert await service.current(CLIENT.flow) is None


async def test_a_finding_that_warns_is_logged_and_the_code_is_sent(
    service: VerificationService, provider: FakeProvider, look: FakeLook
) -> None:
    look.insight = EVERYTHING
    warns = frozenset({RiskSignal.VOIP, RiskSignal.PUMPING})
    warned = replace(service, screening=RiskScreening(look, warned=warns))

    with structlog.testing.capture_logs() as events:
        await warned.start(CLIENT, PHONE, Channel.SMS)

    told = [(event["event"], event.get("reason")) for event in events]
    assert told[:2] == [("number_lookup.warned", "pumping"), ("number_lookup.warned", "voip")]
    assert provider.sent == [(PHONE, Channel.SMS)]
    assert PHONE.digits not in str(events)


async def test_a_finding_that_is_ignored_is_not_even_logged(
    service: VerificationService, look: FakeLook
) -> None:
    look.insight = EVERYTHING
    ignoring = replace(service, screening=RiskScreening(look))

    with structlog.testing.capture_logs() as events:
        await ignoring.start(CLIENT, PHONE, Channel.SMS)

    assert [event["event"] for event in events] == ["verification.sent"]


async def test_what_nobody_knows_stops_nobody(
    service: VerificationService, provider: FakeProvider
) -> None:
    await service.start(CLIENT, PHONE, Channel.SMS)

    assert len(provider.sent) == 1


@pytest.mark.parametrize(
    "failure",
    [
        ProviderTimedOut(),
        ProviderNotReached(),
        ProviderUnavailable(),
        ProviderMisconfigured(),
        ProviderThrottled(seconds=30),
        ProviderRejected(),
    ],
    ids=lambda failure: failure.key,
)
async def test_a_look_that_fails_stops_nobody_and_is_logged_once(
    service: VerificationService, provider: FakeProvider, look: FakeLook, failure: ProviderError
) -> None:
    look.failures = [failure]

    with structlog.testing.capture_logs() as events:
        await service.start(CLIENT, PHONE, Channel.SMS)

    failed = [event for event in events if event["event"] == "number_lookup.failed"]
    assert [(event["by"], event["why"]) for event in failed] == [("fake", failure.key)]
    assert (len(look.looked_at), len(provider.sent)) == (1, 1)
    assert PHONE.digits not in str(events)


@pytest.mark.parametrize(("hours", "found"), [(71, True), (72, True), (73, False), (-1, True)])
def test_a_sim_speaks_against_a_number_for_its_time_only(
    clock: Clock, hours: float, found: bool
) -> None:
    since = clock.now() - timedelta(hours=72)
    swapped_at = clock.now() - timedelta(hours=hours)

    for told in (True, False, None):
        insight = NumberInsight(sim_swapped=told, sim_swapped_at=swapped_at)
        assert (RiskSignal.SIM_SWAP in insight.signals(since)) is found


async def test_the_time_of_a_changed_sim_is_counted_by_our_clock(
    service: VerificationService, look: FakeLook, clock: Clock
) -> None:
    look.insight = NumberInsight(sim_swapped_at=clock.now())
    with pytest.raises(NumberUnfit):
        await service.start(CLIENT, PHONE, Channel.SMS)

    clock.tick(timedelta(hours=73).total_seconds())

    await service.start(CLIENT, PHONE, Channel.SMS)


async def test_a_number_is_looked_at_once_however_often_its_code_is_sent(
    service: VerificationService, provider: FakeProvider, look: FakeLook, clock: Clock
) -> None:
    started = await service.start(CLIENT, PHONE, Channel.SMS)
    look.insight = EVERYTHING
    clock.tick(30)
    await service.resend(CLIENT, started.id, Channel.SMS)
    clock.tick(60)
    await service.start(CLIENT, PHONE, Channel.VOICE)
    await service.check(CLIENT, started.id, RIGHT)

    assert (len(look.looked_at), len(provider.sent)) == (1, 3)


async def test_a_code_that_expired_is_followed_by_a_new_look(
    service: VerificationService, look: FakeLook, clock: Clock
) -> None:
    started = await service.start(CLIENT, PHONE, Channel.SMS)
    look.insight = EVERYTHING
    clock.tick(601)

    with pytest.raises(NumberUnfit):
        await service.resend(CLIENT, started.id, Channel.SMS)

    assert len(look.looked_at) == 2


async def test_a_blocked_number_leaves_the_open_verification_of_another(
    service: VerificationService, look: FakeLook
) -> None:
    started = await service.start(CLIENT, PHONE, Channel.SMS)
    look.insight = EVERYTHING
    with pytest.raises(NumberUnfit):
        await service.start(CLIENT, OTHER_PHONE, Channel.SMS)

    approved = await service.check(CLIENT, started.id, RIGHT)

    assert (approved.phone, approved.status) == (PHONE, Status.APPROVED)


async def test_a_look_is_counted_before_it_is_paid_for(
    service: VerificationService, look: FakeLook, clock: Clock
) -> None:
    limited = replace(service, limits=POLICY)
    look.insight = EVERYTHING
    with pytest.raises(NumberUnfit):
        await limited.start(CLIENT, PHONE, Channel.SMS)

    clock.tick(29)
    with pytest.raises(RateLimited):
        await limited.start(CLIENT, PHONE, Channel.SMS)

    assert len(look.looked_at) == 1


async def test_a_number_that_gets_no_code_anyway_is_not_looked_at(
    service: VerificationService, look: FakeLook
) -> None:
    with pytest.raises(InvalidPhoneNumber):
        await service.start(CLIENT, PhoneNumber("+19002345678"), Channel.SMS)

    assert look.looked_at == []


async def test_without_a_look_nobody_is_asked(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    with structlog.testing.capture_logs() as events:
        await verifications.start(CLIENT, PHONE, Channel.SMS)

    assert [event["event"] for event in events] == ["verification.sent"]
    assert len(provider.sent) == 1


def test_a_person_cannot_tell_a_finding_from_a_refusal_of_the_provider() -> None:
    errors: list[Any] = [NumberUnfit(), ProviderRejected()]

    assert len({(presentation.message(error), error.status) for error in errors}) == 1

"""The rules: what a person may do with a verification, and what it costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    CheckTimedOut,
    CodeMismatch,
    InvalidCode,
    InvalidPhoneNumber,
    NumberBusy,
    OtpError,
    PhoneProblem,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
    ResendTimedOut,
    ResendTooSoon,
    SendsExhausted,
    VerificationExpired,
    VerificationNotFound,
    VerificationReplaced,
)
from otp_app.phone import PhoneNumber
from otp_app.verification.background import Sweeper
from otp_app.verification.budget import CANCEL_WAIT
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, CheckOutcome, Flow, Reference, Status
from tests.fakes import RIGHT, WRONG, FakeProvider

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

FLOW, OTHER_FLOW = Flow("flow-1"), Flow("flow-2")
ADDRESS = "203.0.113.7"
CLIENT, OTHER_CLIENT = Client(FLOW, ADDRESS), Client(OTHER_FLOW, ADDRESS)
PHONE, OTHER_PHONE = PhoneNumber("+447400123456"), PhoneNumber("+447400123457")
LANDLINE, PREMIUM = PhoneNumber("+442079460958"), PhoneNumber("+19002345678")


async def start(
    service: VerificationService, phone: PhoneNumber = PHONE, flow: Flow = FLOW
) -> Verification:
    return await service.start(Client(flow, ADDRESS), phone, Channel.SMS)


async def guess_wrong(service: VerificationService, id_: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(CodeMismatch):
            await service.check(CLIENT, id_, WRONG)


async def test_the_right_code_verifies(verifications: VerificationService) -> None:
    started = await start(verifications)

    approved = await verifications.check(CLIENT, started.id, RIGHT)

    assert approved.status is Status.APPROVED
    current = await verifications.current(FLOW)
    assert current is not None
    assert (current.status, current.phone) == (Status.APPROVED, PHONE)


async def test_a_wrong_code_says_how_many_guesses_are_left(
    verifications: VerificationService,
) -> None:
    started = await start(verifications)

    with pytest.raises(CodeMismatch) as caught:
        await verifications.check(CLIENT, started.id, WRONG)

    assert caught.value.params["attempts_left"] == 4


async def test_five_wrong_codes_end_it_and_the_right_one_comes_too_late(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    await guess_wrong(verifications, started.id, 4)

    for code in (WRONG, RIGHT):
        with pytest.raises(AttemptsExhausted) as caught:
            await verifications.check(CLIENT, started.id, code)
        assert caught.value.params["until"] == started.expires_at
    assert len(provider.checked) == 5


async def test_after_too_many_wrong_codes_the_number_waits_until_the_old_one_expires(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    await guess_wrong(verifications, started.id, 4)
    with pytest.raises(AttemptsExhausted):
        await verifications.check(CLIENT, started.id, WRONG)

    for again in (start(verifications), verifications.resend(CLIENT, started.id, Channel.SMS)):
        with pytest.raises(AttemptsExhausted):
            await again
    clock.tick(600)
    renewed = await start(verifications)

    assert renewed.attempts_left == 5
    assert len(provider.sent) == 2


async def test_going_to_another_number_and_back_does_not_end_the_wait(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    await guess_wrong(verifications, started.id, 4)
    with pytest.raises(AttemptsExhausted):
        await verifications.check(CLIENT, started.id, WRONG)
    await start(verifications, OTHER_PHONE)

    with pytest.raises(AttemptsExhausted):
        await start(verifications)

    assert len(provider.sent) == 2


async def test_fifty_guesses_at_once_get_five_answers(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)

    guesses = [verifications.check(CLIENT, started.id, WRONG) for _ in range(50)]
    results = await asyncio.gather(*guesses, return_exceptions=True)

    assert len(provider.checked) == 5
    assert all(isinstance(result, OtpError) for result in results)


async def test_two_right_codes_at_once_verify_once(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)

    both = [verifications.check(CLIENT, started.id, RIGHT) for _ in range(2)]
    results = await asyncio.gather(*both, return_exceptions=True)

    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert sum(isinstance(result, AlreadyVerified) for result in results) == 1
    assert len(provider.checked) <= 2


async def test_a_yes_that_is_slow_is_not_overtaken_by_a_code_that_it_used_up(
    verifications: VerificationService,
) -> None:
    """Both providers say of a second right code that there is nothing (any more) to check."""

    class OneYes(FakeProvider):
        async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
            if self.checked:
                return CheckOutcome.EXPIRED
            await super().check(reference, to, code)
            for _ in range(20):  # the second check would need fewer queries to end
                await service.current(CLIENT.flow)
            return CheckOutcome.APPROVED

    service = replace(verifications, providers={"fake": OneYes()})
    started = await start(service)

    both = [service.check(CLIENT, started.id, RIGHT) for _ in range(2)]
    results = await asyncio.gather(*both, return_exceptions=True)

    assert [type(result).__name__ for result in results] == ["Verification", "AlreadyVerified"]


async def test_a_code_that_was_used_cannot_be_used_again(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    await verifications.check(CLIENT, started.id, RIGHT)

    with pytest.raises(AlreadyVerified):
        await verifications.check(CLIENT, started.id, RIGHT)
    with pytest.raises(AlreadyVerified):
        await verifications.resend(CLIENT, started.id, Channel.SMS)

    assert len(provider.checked) == 1


async def test_a_code_lives_ten_minutes_whatever_the_provider_says(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)

    clock.tick(600)

    with pytest.raises(VerificationExpired):
        await verifications.check(CLIENT, started.id, RIGHT)
    assert provider.checked == []


async def test_a_code_that_cannot_be_one_costs_no_guess(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)

    for text in ("", "12345", "abcdef", "1234567"):
        with pytest.raises(InvalidCode):
            await verifications.check(CLIENT, started.id, text)

    assert provider.checked == []
    await guess_wrong(verifications, started.id, 4)


async def test_another_browser_cannot_use_the_code(verifications: VerificationService) -> None:
    started = await start(verifications)

    with pytest.raises(VerificationNotFound):
        await verifications.check(OTHER_CLIENT, started.id, RIGHT)


async def test_a_code_does_not_verify_another_browsers_number(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    mine = await start(verifications)
    await start(verifications, OTHER_PHONE, OTHER_FLOW)

    with pytest.raises(VerificationReplaced):
        await verifications.check(OTHER_CLIENT, mine.id, RIGHT)

    assert provider.checked == []


async def test_a_second_click_sends_nothing(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    first = await start(verifications)

    second = await start(verifications)

    assert second.id == first.id
    assert len(provider.sent) == 1


async def test_twenty_clicks_at_once_send_one_message(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    clicks = [start(verifications) for _ in range(20)]

    results = await asyncio.gather(*clicks)

    assert len(provider.sent) == 1
    assert len({result.id for result in results}) == 1


async def test_a_new_code_has_to_wait_and_the_wait_grows(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)

    for wait in (30, 60, 120):
        clock.tick(wait - 1)
        with pytest.raises(ResendTooSoon):
            await verifications.resend(CLIENT, started.id, Channel.SMS)
        clock.tick(1)
        await verifications.resend(CLIENT, started.id, Channel.SMS)

    clock.tick(300)
    with pytest.raises(SendsExhausted):
        await verifications.resend(CLIENT, started.id, Channel.SMS)
    assert len(provider.sent) == 4


async def test_two_resends_at_once_send_one_message(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(30)

    both = [verifications.resend(CLIENT, started.id, Channel.SMS) for _ in range(2)]
    await asyncio.gather(*both, return_exceptions=True)

    assert len(provider.sent) == 2


async def test_a_new_code_gives_no_guesses_and_no_time_back(
    verifications: VerificationService, clock: Clock
) -> None:
    started = await start(verifications)
    await guess_wrong(verifications, started.id, 2)
    clock.tick(30)

    resent = await verifications.resend(CLIENT, started.id, Channel.VOICE)

    current = await verifications.current(FLOW)
    assert current is not None
    assert current.attempts_left == 3
    assert resent.expires_at == started.expires_at
    assert resent.channel is Channel.VOICE


async def test_after_expiry_a_new_code_is_a_new_verification(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(600)

    renewed = await verifications.resend(CLIENT, started.id, Channel.SMS)

    assert renewed.id != started.id
    assert renewed.phone == started.phone
    assert len(provider.sent) == 2


async def test_what_expired_is_ended_at_the_provider_before_a_new_code(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(600)

    await verifications.resend(CLIENT, started.id, Channel.SMS)

    assert provider.canceled == [started.reference]


async def test_an_expired_code_is_not_made_good_by_a_provider_that_still_runs_it(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(600)
    provider.failures = [ProviderNotReached(), NumberBusy(started.reference)]  # cancel, start

    with pytest.raises(NumberBusy):
        await verifications.resend(CLIENT, started.id, Channel.SMS)

    assert provider.checked == []


async def test_another_number_takes_the_place_of_the_first(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    first = await start(verifications)

    second = await start(verifications, OTHER_PHONE)

    with pytest.raises(VerificationReplaced):
        await verifications.check(CLIENT, first.id, RIGHT)
    approved = await verifications.check(CLIENT, second.id, RIGHT)
    assert approved.phone == OTHER_PHONE
    assert provider.checked == [second.reference]


async def test_what_was_given_up_is_gone(verifications: VerificationService) -> None:
    started = await start(verifications)

    await verifications.cancel(FLOW)

    assert await verifications.current(FLOW) is None
    with pytest.raises(VerificationNotFound):
        await verifications.check(CLIENT, started.id, RIGHT)


@pytest.mark.parametrize("failure", [ProviderNotReached(), ProviderRejected(), NumberBusy()])
async def test_what_certainly_was_not_sent_can_be_tried_again_at_once(
    verifications: VerificationService, provider: FakeProvider, failure: OtpError
) -> None:
    provider.failures = [failure]
    with pytest.raises(type(failure)):
        await start(verifications)

    assert await verifications.current(FLOW) is None
    await start(verifications)
    assert len(provider.sent) == 1


async def test_what_may_have_been_sent_is_not_sent_again_by_itself(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut()]
    with pytest.raises(ProviderTimedOut):
        await start(verifications)

    with pytest.raises(ResendTooSoon):
        await start(verifications)
    assert provider.sent == []
    clock.tick(30)
    await start(verifications)
    assert len(provider.sent) == 1


async def test_a_running_request_is_adopted_by_the_flow_that_lost_its_answer(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut(), NumberBusy("reference-of-the-lost-answer")]
    with pytest.raises(ProviderTimedOut):
        await start(verifications)
    clock.tick(30)

    adopted = await start(verifications)

    await verifications.check(CLIENT, adopted.id, RIGHT)
    assert provider.checked == ["reference-of-the-lost-answer"]


async def test_a_running_request_of_somebody_else_is_not_adopted(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    theirs = await start(verifications, flow=OTHER_FLOW)
    provider.failures = [NumberBusy(theirs.reference)]

    with pytest.raises(NumberBusy):
        await start(verifications)

    assert await verifications.current(FLOW) is None


async def test_a_resend_that_failed_leaves_the_old_code_good_and_no_wait(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(30)
    provider.failures = [ProviderNotReached()]
    with pytest.raises(ProviderNotReached):
        await verifications.resend(CLIENT, started.id, Channel.SMS)

    await verifications.resend(CLIENT, started.id, Channel.SMS)
    await verifications.check(CLIENT, started.id, RIGHT)


async def test_a_resend_without_an_answer_leaves_the_old_code_good_and_counts(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(30)
    provider.failures = [ProviderTimedOut()]
    with pytest.raises(ProviderTimedOut):
        await verifications.resend(CLIENT, started.id, Channel.SMS)

    with pytest.raises(ResendTooSoon):
        await verifications.resend(CLIENT, started.id, Channel.SMS)
    await verifications.check(CLIENT, started.id, RIGHT)


async def test_a_check_without_an_answer_is_counted_and_approves_nothing(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    provider.failures = [ProviderTimedOut()]
    with pytest.raises(CheckTimedOut):
        await verifications.check(CLIENT, started.id, RIGHT)

    current = await verifications.current(FLOW)
    assert current is not None
    assert (current.status, current.attempts_left) == (Status.PENDING, 4)


async def test_the_last_guess_without_an_answer_ends_it(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    started = await start(verifications)
    provider.failures = [ProviderTimedOut()] * 5
    for _ in range(4):
        with pytest.raises(CheckTimedOut):
            await verifications.check(CLIENT, started.id, RIGHT)

    with pytest.raises(AttemptsExhausted):
        await verifications.check(CLIENT, started.id, RIGHT)
    with pytest.raises(AttemptsExhausted):
        await verifications.resend(CLIENT, started.id, Channel.SMS)


async def test_a_resend_that_lost_its_reference_finds_it_with_the_next(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(30)
    provider.failures = [ResendTimedOut(), NumberBusy("reference-of-the-lost-answer")]
    with pytest.raises(ProviderTimedOut):
        await verifications.resend(CLIENT, started.id, Channel.SMS)
    clock.tick(60)

    adopted = await start(verifications)

    await verifications.check(CLIENT, adopted.id, RIGHT)
    assert provider.checked == ["reference-of-the-lost-answer"]


async def test_a_provider_that_says_it_failed_is_not_believed_for_free(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    clock.tick(30)
    provider.failures = [ProviderUnavailable()]
    with pytest.raises(ProviderUnavailable):
        await verifications.resend(CLIENT, started.id, Channel.SMS)

    with pytest.raises(ResendTooSoon):
        await verifications.resend(CLIENT, started.id, Channel.SMS)
    await verifications.check(CLIENT, started.id, RIGHT)


async def test_after_a_change_of_provider_a_new_code_comes_from_the_new_one(
    verifications: VerificationService,
) -> None:
    started = await start(verifications)
    other = FakeProvider(name="other")
    service = replace(verifications, providers={"other": other}, provider="other")

    with pytest.raises(VerificationExpired):
        await service.check(CLIENT, started.id, RIGHT)
    renewed = await service.resend(CLIENT, started.id, Channel.SMS)

    assert (renewed.provider, len(other.sent)) == ("other", 1)


async def test_an_answer_about_an_old_message_does_not_end_a_newer_one(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    started = await start(verifications)

    assert not await sql_store.close(started.id, Status.EXPIRED, Reference("an-older-one"))
    await verifications.check(CLIENT, started.id, RIGHT)


async def test_a_tab_of_an_older_number_learns_that_another_is_confirmed(
    verifications: VerificationService, clock: Clock
) -> None:
    first = await start(verifications)
    clock.tick(1)
    second = await start(verifications, OTHER_PHONE)
    await verifications.check(CLIENT, second.id, RIGHT)

    with pytest.raises(AlreadyVerified):
        await verifications.check(CLIENT, first.id, RIGHT)


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (CheckOutcome.MISMATCH, CodeMismatch),
        (CheckOutcome.EXHAUSTED, AttemptsExhausted),
        (CheckOutcome.EXPIRED, VerificationExpired),
    ],
)
async def test_only_the_providers_yes_verifies(
    verifications: VerificationService,
    provider: FakeProvider,
    outcome: CheckOutcome,
    error: type[OtpError],
) -> None:
    started = await start(verifications)
    provider.answers = [outcome]

    with pytest.raises(error):
        await verifications.check(CLIENT, started.id, RIGHT)


async def test_a_provider_that_forgives_less_decides(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    provider.max_attempts = 3

    assert (await start(verifications)).attempts_left == 3


async def test_a_verification_of_a_provider_that_is_gone_has_expired(
    verifications: VerificationService,
) -> None:
    started = await start(verifications)
    other = replace(verifications, providers={}, provider="other")

    with pytest.raises(VerificationExpired):
        await other.check(CLIENT, started.id, RIGHT)


@pytest.mark.parametrize(
    ("phone", "channel", "problem"),
    [
        (LANDLINE, Channel.SMS, PhoneProblem.LANDLINE),
        (PREMIUM, Channel.SMS, PhoneProblem.NOT_PERSONAL),
        (PREMIUM, Channel.VOICE, PhoneProblem.NOT_PERSONAL),
    ],
)
async def test_numbers_that_cannot_or_must_not_be_reached_are_refused(
    verifications: VerificationService,
    provider: FakeProvider,
    phone: PhoneNumber,
    channel: Channel,
    problem: PhoneProblem,
) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        await verifications.start(CLIENT, phone, channel)

    assert caught.value.problem is problem
    assert provider.sent == []


async def test_only_countries_that_are_served_get_codes(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    service = replace(verifications, countries=frozenset({"US", "GB"}))
    await start(service)

    for text in ("+447911123456", "+12642351234", "+31612345678"):  # Guernsey, Anguilla, NL
        with pytest.raises(InvalidPhoneNumber) as caught:
            await service.start(OTHER_CLIENT, PhoneNumber(text), Channel.SMS)
        assert caught.value.problem is PhoneProblem.NOT_SERVED

    assert len(provider.sent) == 1


async def test_a_landline_can_be_called(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    await verifications.start(CLIENT, LANDLINE, Channel.VOICE)

    assert provider.sent == [(LANDLINE, Channel.VOICE)]


async def test_what_a_browser_did_is_forgotten_half_an_hour_after_it_expired(
    verifications: VerificationService, clock: Clock
) -> None:
    started = await start(verifications)
    await verifications.check(CLIENT, started.id, RIGHT)

    clock.tick(40 * 60)
    assert await verifications.current(FLOW) is not None
    clock.tick(1)
    assert await verifications.current(FLOW) is None


async def test_the_sweeper_cancels_what_is_over_once(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    sweeper = Sweeper(sql_store, verifications.limiter, verifications.providers, clock.now)
    replaced = await start(verifications)
    expiring = await start(verifications, OTHER_PHONE)
    await sweeper.sweep()
    assert provider.canceled == []  # Vonage cancels nothing in the first 30 seconds

    clock.tick(31)
    await sweeper.sweep()
    assert provider.canceled == [replaced.reference]
    clock.tick(600)
    await sweeper.sweep()
    await sweeper.sweep()

    assert provider.canceled == [replaced.reference, expiring.reference]


async def test_what_could_not_be_canceled_is_tried_again(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    sweeper = Sweeper(sql_store, verifications.limiter, verifications.providers, clock.now)
    started = await start(verifications)
    await verifications.cancel(FLOW)
    clock.tick(31)
    provider.failures = [ProviderNotReached()]

    await sweeper.sweep()
    assert provider.canceled == []
    clock.tick(CANCEL_WAIT.total_seconds())
    await sweeper.sweep()

    assert provider.canceled == [started.reference]


async def test_an_approved_verification_is_not_canceled(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    started = await start(verifications)
    await verifications.check(CLIENT, started.id, RIGHT)
    clock.tick(700)

    await Sweeper(sql_store, verifications.limiter, verifications.providers, clock.now).sweep()

    assert provider.canceled == []

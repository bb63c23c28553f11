"""The behaviour of every provider that the domain may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.numbers import PHONE, wrong

if TYPE_CHECKING:
    from tests.contract.conftest import Service

CANCELLABLE = 31  # seconds after which Vonage lets a request be canceled


async def test_a_text_message_brings_one_code_of_the_announced_length(service: Service) -> None:
    await service.provider.start(PHONE, Channel.SMS)

    [message] = service.sent()
    assert (message.channel, message.to) == ("sms", PHONE.e164)
    assert len(message.code) == service.provider.code_length
    assert message.code.isdecimal()


@pytest.mark.parametrize("channel", [Channel.VOICE, Channel.WHATSAPP])
async def test_a_call_or_a_whatsapp_message_brings_one_code(
    service: Service, channel: Channel
) -> None:
    reference = await service.provider.start(PHONE, channel)

    [message] = service.sent()
    assert message.channel == channel
    outcome = await service.provider.check(reference, PHONE, message.code)
    assert outcome is CheckOutcome.APPROVED


async def test_the_right_code_is_approved(service: Service) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)

    outcome = await service.provider.check(reference, PHONE, service.sent()[0].code)

    assert outcome is CheckOutcome.APPROVED


async def test_a_wrong_code_is_a_mismatch_and_the_right_one_still_approved(
    service: Service,
) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    code = service.sent()[0].code

    assert await service.provider.check(reference, PHONE, wrong(code)) is CheckOutcome.MISMATCH
    assert await service.provider.check(reference, PHONE, code) is CheckOutcome.APPROVED


async def test_it_forgives_as_many_wrong_codes_as_it_says_and_no_more(service: Service) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    code = service.sent()[0].code
    for _ in range(service.provider.max_attempts):
        assert await service.provider.check(reference, PHONE, wrong(code)) is CheckOutcome.MISMATCH

    assert await service.provider.check(reference, PHONE, wrong(code)) is CheckOutcome.EXHAUSTED
    assert await service.provider.check(reference, PHONE, code) is not CheckOutcome.APPROVED


async def test_a_code_is_approved_only_once(service: Service) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    code = service.sent()[0].code
    await service.provider.check(reference, PHONE, code)

    assert await service.provider.check(reference, PHONE, code) is CheckOutcome.EXPIRED


async def test_a_canceled_code_is_worth_nothing(service: Service) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    service.clock.tick(CANCELLABLE)

    await service.provider.cancel(reference)

    code = service.sent()[0].code
    assert await service.provider.check(reference, PHONE, code) is CheckOutcome.EXPIRED


async def test_a_code_expires(service: Service) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    code = service.sent()[0].code
    service.clock.tick(service.lifetime + 1)

    assert await service.provider.check(reference, PHONE, code) is CheckOutcome.EXPIRED


@pytest.mark.parametrize("channel", Channel)
async def test_sending_again_sends_one_message_by_the_channel_asked_for(
    service: Service, channel: Channel
) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    service.clock.tick(CANCELLABLE)

    reference = await service.provider.resend(reference, PHONE, channel)

    _, message = service.sent()
    assert message.channel == channel
    outcome = await service.provider.check(reference, PHONE, message.code)
    assert outcome is CheckOutcome.APPROVED


async def test_sending_again_twilio_keeps_the_code_and_the_others_make_a_new_one(
    service: Service,
) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    service.clock.tick(CANCELLABLE)
    reference = await service.provider.resend(reference, PHONE, Channel.VOICE)

    first, second = service.sent()

    assert (first.code == second.code) is (service.name == "twilio")
    if first.code != second.code:
        outcome = await service.provider.check(reference, PHONE, first.code)
        assert outcome is CheckOutcome.MISMATCH


@pytest.mark.parametrize("channel", [Channel.VOICE, Channel.WHATSAPP])
async def test_a_new_code_after_a_call_or_by_whatsapp_can_be_a_text_message(
    service: Service, channel: Channel
) -> None:
    reference = await service.provider.start(PHONE, channel)
    service.clock.tick(CANCELLABLE)

    reference = await service.provider.resend(reference, PHONE, Channel.SMS)

    message = service.sent()[-1]
    assert message.channel == "sms"
    outcome = await service.provider.check(reference, PHONE, message.code)
    assert outcome is CheckOutcome.APPROVED


async def test_what_is_over_can_be_started_anew(service: Service) -> None:
    reference = await service.provider.start(PHONE, Channel.SMS)
    await service.provider.check(reference, PHONE, service.sent()[0].code)

    again = await service.provider.start(PHONE, Channel.SMS)

    assert again != reference
    outcome = await service.provider.check(again, PHONE, service.sent()[-1].code)
    assert outcome is CheckOutcome.APPROVED

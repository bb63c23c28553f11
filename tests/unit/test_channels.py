"""Channels: those on offer, those that reach a number, and the errors about the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    ChannelNotOffered,
    InvalidPhoneNumber,
    PhoneProblem,
    ProviderRejected,
    Refusal,
)
from otp_app.phone import PhoneNumber, regions
from otp_app.presentation import message
from otp_app.verification.channels import WITHOUT_WHATSAPP
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

SMS, VOICE, WHATSAPP = Channel.SMS, Channel.VOICE, Channel.WHATSAPP
ALL = (SMS, VOICE, WHATSAPP)
CLIENT = Client(Flow("flow-1"), "203.0.113.7")
MOBILE, LANDLINE = PhoneNumber("+447400123456"), PhoneNumber("+442079460958")
PREMIUM, CHINESE = PhoneNumber("+19002345678"), PhoneNumber("+8613123456789")


def offering(service: VerificationService, *channels: Channel) -> VerificationService:
    return replace(service, channels=channels)


def test_the_countries_without_whatsapp_are_countries() -> None:
    assert regions() >= WITHOUT_WHATSAPP


@pytest.mark.row("B20")
@pytest.mark.parametrize(
    ("phone", "channels"),
    [
        (MOBILE, ALL),
        (LANDLINE, (VOICE,)),
        (PREMIUM, ()),
        (CHINESE, (SMS, VOICE)),
        *((PhoneNumber(e164), (SMS, VOICE)) for e164 in ("+5351234567", "+989123456789")),
        *((PhoneNumber(e164), (SMS, VOICE)) for e164 in ("+8501921234567", "+963944567890")),
    ],
)
def test_of_the_channels_that_are_offered_those_that_work_for_the_number_are_told(
    verifications: VerificationService, phone: PhoneNumber, channels: Sequence[Channel]
) -> None:
    assert offering(verifications, *ALL).channels_for(phone) == channels


def test_channels_keep_the_order_in_which_they_are_offered(
    verifications: VerificationService,
) -> None:
    assert offering(verifications, WHATSAPP, SMS).channels_for(MOBILE) == (WHATSAPP, SMS)


async def test_whatsapp_is_not_offered_unless_somebody_says_so(
    verifications: VerificationService, provider: FakeProvider
) -> None:
    with pytest.raises(ChannelNotOffered) as caught:
        await verifications.start(CLIENT, MOBILE, WHATSAPP)

    assert message(caught.value) == "Choose “Text message” or “Call me”"
    assert provider.sent == []


@pytest.mark.parametrize("channel", ALL)
async def test_a_code_goes_by_the_channel_that_is_asked_for(
    verifications: VerificationService, provider: FakeProvider, channel: Channel
) -> None:
    started = await offering(verifications, *ALL).start(CLIENT, MOBILE, channel)

    assert started.channel is channel
    assert provider.sent == [(MOBILE, channel)]


@pytest.mark.parametrize(
    ("offered", "phone", "sent_by"),
    [
        ((SMS, VOICE), MOBILE, SMS),
        ((WHATSAPP, SMS), MOBILE, WHATSAPP),
        ((WHATSAPP, SMS), CHINESE, SMS),
        ((SMS, VOICE), LANDLINE, VOICE),
    ],
)
async def test_who_names_no_channel_gets_the_first_that_reaches_the_number(
    verifications: VerificationService,
    offered: Sequence[Channel],
    phone: PhoneNumber,
    sent_by: Channel,
) -> None:
    started = await offering(verifications, *offered).start(CLIENT, phone)

    assert started.channel is sent_by


@pytest.mark.parametrize(
    ("offered", "phone", "asked", "problem", "words"),
    [
        (ALL, LANDLINE, SMS, PhoneProblem.LANDLINE, "or choose “Call me”"),
        (ALL, LANDLINE, WHATSAPP, PhoneProblem.LANDLINE, "or choose “Call me”"),
        ((SMS, WHATSAPP), LANDLINE, SMS, PhoneProblem.NOT_PERSONAL, "this kind of number"),
        (ALL, CHINESE, WHATSAPP, PhoneProblem.NO_WHATSAPP, "China. Choose “Text message” or"),
        ((WHATSAPP,), CHINESE, WHATSAPP, PhoneProblem.NOT_SERVED, "codes to China"),
        (ALL, PREMIUM, VOICE, PhoneProblem.NOT_PERSONAL, "this kind of number"),
    ],
)
async def test_what_a_number_cannot_take_is_refused_with_what_it_can(
    verifications: VerificationService,
    provider: FakeProvider,
    offered: Sequence[Channel],
    phone: PhoneNumber,
    asked: Channel,
    problem: PhoneProblem,
    words: str,
) -> None:
    with pytest.raises(InvalidPhoneNumber) as caught:
        await offering(verifications, *offered).start(CLIENT, phone, asked)

    assert caught.value.problem is problem
    assert words in message(caught.value)
    assert provider.sent == []


@pytest.mark.parametrize(
    ("offered", "refusal", "words"),
    [
        (ALL, Refusal.CHANNEL, "Choose “Call me” or “WhatsApp”, or try again later"),
        (ALL, Refusal.LANDLINE, "or choose “Call me”"),
        ((SMS, WHATSAPP), Refusal.LANDLINE, "Use a different number"),
        ((SMS,), Refusal.CHANNEL, "Use a different number"),
        (ALL, Refusal.COUNTRY, "Use a different number"),
    ],
)
async def test_what_a_provider_refuses_is_told_with_what_else_there_is(
    verifications: VerificationService,
    provider: FakeProvider,
    offered: Sequence[Channel],
    refusal: Refusal,
    words: str,
) -> None:
    provider.failures = [ProviderRejected(refusal)]

    with pytest.raises(ProviderRejected) as caught:
        await offering(verifications, *offered).start(CLIENT, MOBILE, SMS)

    assert caught.value.refusal is refusal
    assert words in message(caught.value)


async def test_a_code_is_sent_again_as_before_unless_another_way_is_named(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    service = offering(verifications, *ALL)
    started = await service.start(CLIENT, MOBILE, WHATSAPP)

    clock.tick(30)
    again = await service.resend(CLIENT, started.id)
    clock.tick(60)
    await service.resend(CLIENT, started.id, VOICE)

    assert again.channel is WHATSAPP
    assert [channel for _, channel in provider.sent] == [WHATSAPP, WHATSAPP, VOICE]


async def test_a_channel_that_is_no_longer_offered_gives_way_to_the_first(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    started = await offering(verifications, *ALL).start(CLIENT, MOBILE, WHATSAPP)
    clock.tick(30)

    with pytest.raises(ChannelNotOffered):
        await verifications.resend(CLIENT, started.id, WHATSAPP)
    await verifications.resend(CLIENT, started.id)

    assert [channel for _, channel in provider.sent] == [WHATSAPP, SMS]


async def test_a_refused_resend_says_what_else_there_is(
    verifications: VerificationService, provider: FakeProvider, clock: Clock
) -> None:
    service = offering(verifications, *ALL)
    started = await service.start(CLIENT, MOBILE, SMS)
    clock.tick(30)
    provider.failures = [ProviderRejected(Refusal.CHANNEL)]

    with pytest.raises(ProviderRejected) as caught:
        await service.resend(CLIENT, started.id, WHATSAPP)

    assert caught.value.params["channels"] == (SMS, VOICE)

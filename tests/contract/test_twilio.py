"""The behaviour that only the Twilio provider has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otp_app.errors import (
    NumberBusy,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderTimedOut,
    Refusal,
)
from otp_app.providers.twilio.provider import TwilioProvider
from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.conftest import WHATSAPP_NUMBER, make_twilio
from tests.contract.numbers import OTHER_PHONE, PHONE, wrong
from tests.emulator import TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, Answer, Drop, Emulator, Html
from tests.emulator.faults import Empty, WrongJson

if TYPE_CHECKING:
    from tests.emulator import Fault
    from tests.logs import Lines

SID = "VE" + "0" * 32
TEMPLATE_SID = "HJ" + "0" * 32
STARTED = {"sid": SID, "to": PHONE.e164, "status": "pending", "valid": False}


async def test_a_start_asks_for_the_number_the_channel_and_the_language_and_no_more(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    await twilio.start(PHONE, Channel.VOICE)

    assert emulator.requests[-1].body == {"To": PHONE.e164, "Channel": "call", "Locale": "en"}


async def test_whatsapp_is_a_channel_of_its_own(twilio: TwilioProvider, emulator: Emulator) -> None:
    reference = await twilio.start(PHONE, Channel.WHATSAPP)

    assert emulator.requests[-1].body == {"To": PHONE.e164, "Channel": "whatsapp", "Locale": "en"}
    assert await twilio.resend(reference, PHONE, Channel.SMS) == reference
    assert [message.channel for message in emulator.messages] == ["whatsapp", "sms"]


async def test_a_service_without_a_whatsapp_sender_stops_the_app_that_offers_it(
    emulator: Emulator,
) -> None:
    emulator.twilio.whatsapp_sender = None

    with pytest.raises(ProviderMisconfigured):
        await make_twilio(emulator.url, by_whatsapp=True).open()


@pytest.mark.parametrize("by_whatsapp", [True, False])
async def test_a_sender_is_needed_only_where_whatsapp_is_offered(
    emulator: Emulator, *, by_whatsapp: bool
) -> None:
    emulator.twilio.whatsapp_sender = WHATSAPP_NUMBER if by_whatsapp else None
    provider = make_twilio(emulator.url, by_whatsapp=by_whatsapp)

    await provider.open()

    assert (await provider.start(PHONE, Channel.SMS)).startswith("VE")
    await provider.aclose()


async def test_whatsapp_that_is_not_set_up_leaves_the_other_ways(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    emulator.twilio.whatsapp_sender = None

    with pytest.raises(ProviderRejected) as caught:
        await twilio.start(PHONE, Channel.WHATSAPP)

    assert caught.value.refusal is Refusal.CHANNEL


async def test_texts_alone_have_a_template(emulator: Emulator) -> None:
    emulator.twilio.templates.add(TEMPLATE_SID)
    provider = make_twilio(emulator.url, template_sid=TEMPLATE_SID)
    await provider.open()

    for channel in (Channel.SMS, Channel.VOICE, Channel.WHATSAPP):
        await provider.start(PHONE, channel)

    asked = [request.body.get("TemplateSid") for request in emulator.requests[-3:]]
    assert asked == [TEMPLATE_SID, None, None]
    await provider.aclose()


async def test_a_template_that_is_not_there_is_the_operators_to_mend(
    emulator: Emulator, production_log: Lines
) -> None:
    provider = make_twilio(emulator.url, template_sid=TEMPLATE_SID)
    await provider.open()

    with pytest.raises(ProviderRejected) as caught:
        await provider.start(PHONE, Channel.SMS)

    assert caught.value.refusal is Refusal.CHANNEL
    assert emulator.messages == []
    [line] = production_log.named("provider.error_returned")
    assert (line["level"], line["vendor_code"]) == ("error", 60228)
    assert line["mend"].startswith("check TWILIO_TEMPLATE_SID")
    await provider.start(PHONE, Channel.VOICE)
    await provider.aclose()


@pytest.mark.parametrize(
    ("tag", "spoken"), [("en-US", "en"), ("en-GB", "en-GB"), ("es-MX", "es"), ("de", "de")]
)
async def test_a_language_goes_by_the_name_that_twilio_has_for_it(
    emulator: Emulator, tag: str, spoken: str
) -> None:
    provider = make_twilio(emulator.url, locale=tag)
    await provider.open()

    await provider.start(PHONE, Channel.SMS)

    assert emulator.requests[-1].body["Locale"] == spoken
    await provider.aclose()


@pytest.mark.parametrize(
    ("language", "spoken"),
    [
        ("pl", "pl"),
        ("pt-BR", "pt-BR"),
        ("zh-Hans", "zh"),
        ("en", "en-GB"),  # the operator's English
        ("tlh", "en-GB"),
        ("", "en-GB"),
    ],
)
async def test_a_message_is_in_the_persons_language_if_twilio_has_it(
    emulator: Emulator, language: str, spoken: str
) -> None:
    provider = make_twilio(emulator.url, locale="en-GB")
    await provider.open()

    reference = await provider.start(PHONE, Channel.SMS, language)
    await provider.resend(reference, PHONE, Channel.VOICE, language)

    assert [request.body["Locale"] for request in emulator.requests[-2:]] == [spoken, spoken]
    await provider.aclose()


async def test_sending_again_keeps_the_reference_over_channels(
    twilio: TwilioProvider,
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)

    assert await twilio.resend(reference, PHONE, Channel.VOICE) == reference
    assert await twilio.resend(reference, PHONE, Channel.SMS) == reference


async def test_codes_are_as_long_as_the_service_makes_them(emulator: Emulator) -> None:
    emulator.twilio.code_length = 8
    provider = make_twilio(emulator.url)
    await provider.open()

    await provider.start(PHONE, Channel.SMS)

    assert provider.code_length == len(emulator.messages[0].code) == 8
    await provider.aclose()


async def test_a_service_with_short_codes_stops_the_app(emulator: Emulator) -> None:
    emulator.twilio.code_length = 5

    with pytest.raises(ProviderMisconfigured):
        await make_twilio(emulator.url).open()


@pytest.mark.parametrize("sid", ["VA123", "../Services", "AC" + "0" * 32, ""])
async def test_a_service_that_cannot_be_one_stops_the_app(emulator: Emulator, sid: str) -> None:
    provider = TwilioProvider(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, sid, emulator.url, "en")

    with pytest.raises(ProviderMisconfigured):
        await provider.open()

    assert emulator.requests == []


@pytest.mark.parametrize(
    "fault",
    [Drop(), Html(502), Empty(), WrongJson(), WrongJson({}), WrongJson({"code_length": "many"})],
)
async def test_a_service_that_cannot_be_read_is_taken_for_twilios_default(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.fail("twilio.service", fault)
    provider = make_twilio(emulator.url)

    await provider.open()

    assert provider.code_length == 6
    await provider.start(PHONE, Channel.SMS)
    await provider.aclose()


async def test_a_region_of_the_environment_does_not_move_the_base_url(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_REGION", "ie1")
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    provider = make_twilio(emulator.url)
    await provider.open()

    await provider.start(PHONE, Channel.SMS)

    assert emulator.count("twilio.start") == 1
    await provider.aclose()


@pytest.mark.parametrize("status", [200, 201])
async def test_both_documented_statuses_of_an_approval_are_one(
    twilio: TwilioProvider, emulator: Emulator, status: int
) -> None:
    emulator.twilio.check_status = status
    reference = await twilio.start(PHONE, Channel.SMS)

    outcome = await twilio.check(reference, PHONE, emulator.messages[0].code)

    assert outcome is CheckOutcome.APPROVED


@pytest.mark.parametrize(
    "change",
    [
        {"status": "APPROVED"},
        {"status": "approved "},
        {"status": None},
        {"status": True},
        {"status": ["approved"]},
        {"status": "completed"},
        {"sid": SID},
        {"sid": None},
        {"to": OTHER_PHONE.e164},
        {"to": PHONE.digits},
        {"to": None},
    ],
    ids=str,
)
async def test_an_approval_of_anything_but_this_proves_nothing(
    twilio: TwilioProvider, emulator: Emulator, change: dict[str, Any]
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    approval = {"sid": reference, "to": PHONE.e164, "status": "approved", "valid": True}
    emulator.fail("twilio.check", Answer(200, {**approval, **change}))

    with pytest.raises(ProviderTimedOut):
        await twilio.check(reference, PHONE, emulator.messages[0].code)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("pending", CheckOutcome.MISMATCH),
        ("max_attempts_reached", CheckOutcome.EXHAUSTED),
        ("canceled", CheckOutcome.EXPIRED),
        ("deleted", CheckOutcome.EXPIRED),
        ("failed", CheckOutcome.EXPIRED),
        ("expired", CheckOutcome.EXPIRED),
    ],
)
async def test_a_documented_status_counts_even_if_the_answer_claims_to_be_valid(
    twilio: TwilioProvider, emulator: Emulator, status: str, outcome: CheckOutcome
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    answer = {"sid": reference, "to": PHONE.e164, "status": status, "valid": True}
    emulator.fail("twilio.check", Answer(200, answer))

    assert await twilio.check(reference, PHONE, emulator.messages[0].code) is outcome


async def test_a_code_does_not_prove_another_number(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)

    with pytest.raises(ProviderTimedOut):
        await twilio.check(reference, OTHER_PHONE, emulator.messages[0].code)


@pytest.mark.parametrize(
    "change",
    [
        {"sid": None},
        {"sid": "../../Services"},
        {"sid": "VE" + "0" * 31},
        {"sid": 7},
        {"to": OTHER_PHONE.e164},
        {"to": None},
        {"status": "approved"},
        {"status": "canceled"},
        {"status": None},
    ],
    ids=str,
)
async def test_a_start_that_is_not_exactly_this_may_have_sent(
    twilio: TwilioProvider, emulator: Emulator, change: dict[str, Any]
) -> None:
    emulator.fail("twilio.start", Answer(201, {**STARTED, **change}))

    with pytest.raises(ProviderTimedOut):
        await twilio.start(PHONE, Channel.SMS)


@pytest.mark.parametrize("change", [{"status": "pending"}, {"sid": SID}, {"status": None}], ids=str)
async def test_a_cancel_that_did_not_cancel_says_so(
    twilio: TwilioProvider, emulator: Emulator, change: dict[str, Any]
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    emulator.fail("twilio.cancel", Answer(200, {"sid": reference, "status": "canceled", **change}))

    with pytest.raises(ProviderTimedOut):
        await twilio.cancel(reference)


async def test_after_too_many_wrong_codes_the_number_is_busy_until_they_expire(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    code = wrong(emulator.messages[0].code)
    for _ in range(twilio.max_attempts + 1):
        await twilio.check(reference, PHONE, code)

    with pytest.raises(NumberBusy):
        await twilio.start(PHONE, Channel.SMS)

    emulator.clock.tick(601)
    await twilio.start(PHONE, Channel.SMS)

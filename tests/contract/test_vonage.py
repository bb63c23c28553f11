"""The behaviour that only the Vonage provider has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otp_app.errors import (
    NumberBusy,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.phone import PhoneNumber
from otp_app.providers.vonage.client import TokenCachingAuth
from otp_app.providers.vonage.provider import VonageProvider
from otp_app.verification.models import Channel, CheckOutcome, Reference
from tests.contract.conftest import WHATSAPP_NUMBER
from tests.contract.numbers import OTHER_PHONE, PHONE
from tests.emulator import (
    VONAGE_API_KEY,
    VONAGE_API_SECRET,
    VONAGE_APPLICATION_ID,
    Answer,
    Drop,
    Emulator,
    Hang,
    vonage_error,
    vonage_private_key,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.emulator import Fault
    from tests.logs import Lines

OTHER_ID = "00000000-0000-4000-8000-000000000001"
THIRD_PHONE = PhoneNumber("+14155552672")
CANCELLABLE = 31  # seconds
SMS, VOICE, WHATSAPP = Channel.SMS, Channel.VOICE, Channel.WHATSAPP
TEMPLATE_ID = "8f35a1a7-eb2f-4552-8fdf-fffdaee41bc9"
TEXT_THEN_CALL = [{"to": PHONE.digits, "channel": "sms"}, {"to": PHONE.digits, "channel": "voice"}]
BY_WHATSAPP = [{"to": PHONE.digits, "from": WHATSAPP_NUMBER, "channel": "whatsapp"}]


def made(emulator: Emulator, **settings: str | bool) -> VonageProvider:
    values: dict[str, Any] = {"brand": "otp_app", "locale": "en-US"}
    values |= {"api_key": VONAGE_API_KEY, "api_secret": VONAGE_API_SECRET, **settings}
    return VonageProvider(base_url=emulator.url, **values)


@pytest.mark.parametrize(
    ("channel", "workflow"),
    [(SMS, TEXT_THEN_CALL), (VOICE, TEXT_THEN_CALL[1:]), (WHATSAPP, BY_WHATSAPP)],
)
async def test_a_start_asks_for_six_digits_and_steps_that_wait_for_the_person(
    vonage: VonageProvider, emulator: Emulator, channel: Channel, workflow: list[dict[str, str]]
) -> None:
    await vonage.start(PHONE, channel)

    assert emulator.requests[-1].body == {
        "brand": "otp_app",
        "locale": "en-us",
        "workflow": workflow,
        "code_length": 6,
        "channel_timeout": 900,
    }


async def test_a_whatsapp_message_is_never_followed_by_anything(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    await vonage.start(PHONE, WHATSAPP)

    emulator.clock.tick(2000)

    assert [message.channel for message in emulator.messages] == ["whatsapp"]


async def test_without_calls_a_text_is_never_followed_by_one(emulator: Emulator) -> None:
    provider = made(emulator, calls=False)
    await provider.open()

    await provider.start(PHONE, SMS)
    emulator.clock.tick(2000)

    assert [message.channel for message in emulator.messages] == ["sms"]
    await provider.aclose()


async def test_without_a_whatsapp_number_nothing_is_sent_that_way(emulator: Emulator) -> None:
    provider = made(emulator)
    await provider.open()

    with pytest.raises(ProviderRejected) as caught:
        await provider.start(PHONE, WHATSAPP)

    assert caught.value.refusal is Refusal.CHANNEL
    assert emulator.requests == []
    await provider.aclose()


async def test_a_number_the_sdk_does_not_take_is_refused_by_whatsapp_too(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    with pytest.raises(ProviderRejected) as caught:
        await vonage.start(PhoneNumber("+12345"), WHATSAPP)

    assert caught.value.refusal is Refusal.NUMBER
    assert emulator.requests == []


async def test_texts_alone_are_in_the_operators_own_words(emulator: Emulator) -> None:
    provider = made(emulator, template_id=TEMPLATE_ID, whatsapp_from=WHATSAPP_NUMBER)
    emulator.vonage.templates.add(TEMPLATE_ID)
    await provider.open()

    for channel, phone in [(SMS, PHONE), (VOICE, OTHER_PHONE), (WHATSAPP, THIRD_PHONE)]:
        await provider.start(phone, channel)

    asked = [request.body.get("template_id") for request in emulator.requests]
    assert asked == [TEMPLATE_ID, None, None]
    await provider.aclose()


async def test_words_that_are_not_there_are_the_operators_to_mend(
    emulator: Emulator, production_log: Lines
) -> None:
    provider = made(emulator, template_id=OTHER_ID)
    await provider.open()

    with pytest.raises(ProviderRejected) as caught:
        await provider.start(PHONE, SMS)

    assert caught.value.refusal is Refusal.CHANNEL
    assert emulator.messages == []
    [line] = production_log.named("provider.error_returned")
    assert (line["level"], line["vendor_code"]) == ("error", "invalid-params")
    assert line["mend"].startswith("check VONAGE_TEMPLATE_ID")
    await provider.start(PHONE, VOICE)
    await provider.aclose()


async def test_nobody_is_called_while_their_code_lives(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    await vonage.start(PHONE, SMS)

    emulator.clock.tick(600)

    assert len(emulator.messages) == 1


@pytest.mark.parametrize(
    ("tag", "spoken"),
    [("en-US", "en-us"), ("en-GB", "en-gb"), ("en", "en-us"), ("es-AR", "es-es"), ("de", "de-de")],
)
async def test_it_speaks_the_nearest_language_that_vonage_does(
    emulator: Emulator, tag: str, spoken: str
) -> None:
    provider = made(emulator, locale=tag)
    await provider.open()

    await provider.start(PHONE, SMS)

    assert emulator.requests[-1].body["locale"] == spoken
    await provider.aclose()


@pytest.mark.parametrize(
    ("language", "spoken"),
    [
        ("ar", "ar-xa"),
        ("nl", "nl-nl"),
        ("pt-BR", "pt-br"),
        ("zh-Hans", "zh-cn"),
        ("es", "es-mx"),  # the operator's Spanish
        ("pl", "es-mx"),  # not known to be spoken
        ("", "es-mx"),
    ],
)
async def test_a_message_is_in_the_persons_language_if_vonage_speaks_it(
    emulator: Emulator, language: str, spoken: str
) -> None:
    provider = made(emulator, locale="es-MX")
    await provider.open()

    reference = await provider.start(PHONE, SMS, language)
    assert emulator.requests[-1].body["locale"] == spoken
    emulator.clock.tick(60)
    await provider.resend(reference, PHONE, SMS, language)

    assert emulator.requests[-1].body["locale"] == spoken
    await provider.aclose()


async def test_a_call_after_a_text_is_the_same_requests_next_step(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    reference = await vonage.start(PHONE, SMS)

    assert await vonage.resend(reference, PHONE, VOICE) == reference

    assert [message.channel for message in emulator.messages] == ["sms", "voice"]
    assert emulator.count("vonage.start") == 1


async def test_a_call_after_a_call_is_a_new_request(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    reference = await vonage.start(PHONE, VOICE)
    emulator.clock.tick(CANCELLABLE)

    assert await vonage.resend(reference, PHONE, VOICE) != reference

    assert [message.channel for message in emulator.messages] == ["voice", "voice"]


async def test_a_text_after_a_request_that_is_over_is_a_new_request(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    over = Reference(OTHER_ID)

    reference = await vonage.resend(over, PHONE, SMS)

    assert reference != over
    assert [message.channel for message in emulator.messages] == ["sms"]


@pytest.mark.parametrize("channel", Channel)
async def test_what_cannot_be_canceled_any_more_sends_nothing(
    vonage: VonageProvider, emulator: Emulator, channel: Channel
) -> None:
    reference = await vonage.start(PHONE, SMS)
    emulator.clock.tick(CANCELLABLE)
    await vonage.resend(reference, PHONE, VOICE)
    vonage._cancel_window._started.clear()  # as after half a minute

    with pytest.raises(ProviderRejected) as caught:
        await vonage.resend(reference, PHONE, channel)

    assert caught.value.refusal is Refusal.CHANNEL
    assert len(emulator.messages) == 2


async def test_what_cannot_be_canceled_yet_sends_nothing_and_lives(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    reference = await vonage.start(PHONE, SMS)

    with pytest.raises(ProviderRejected):
        await vonage.resend(reference, PHONE, SMS)

    assert emulator.count("vonage.start") == 1
    outcome = await vonage.check(reference, PHONE, emulator.messages[0].code)
    assert outcome is CheckOutcome.APPROVED


async def test_a_cancel_that_comes_too_early_is_not_taken_for_done(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    reference = await vonage.start(PHONE, SMS)
    with pytest.raises(ProviderRejected):
        await vonage.cancel(reference)

    emulator.clock.tick(CANCELLABLE)
    await vonage.cancel(reference)

    emulator.clock.tick(2000)
    assert len(emulator.messages) == 1


@pytest.mark.parametrize("fault", [vonage_error(409, "conflict"), Answer(400, {})])
async def test_a_text_is_not_sent_again_when_the_old_request_will_not_end(
    vonage: VonageProvider, emulator: Emulator, fault: Fault
) -> None:
    reference = await vonage.start(PHONE, SMS)
    emulator.fail("vonage.cancel", fault)

    with pytest.raises((ProviderRejected, ProviderUnavailable)):
        await vonage.resend(reference, PHONE, SMS)

    assert len(emulator.messages) == 1


@pytest.mark.parametrize("fault", [Drop(), Hang(5)])
async def test_when_the_old_request_may_or_may_not_have_ended_nothing_was_sent(
    hasty_vonage: VonageProvider, emulator: Emulator, fault: Fault
) -> None:
    reference = await hasty_vonage.start(PHONE, SMS)
    emulator.clock.tick(CANCELLABLE)
    emulator.fail("vonage.cancel", fault)

    with pytest.raises(ProviderUnavailable):
        await hasty_vonage.resend(reference, PHONE, SMS)

    assert len(emulator.messages) == 1


async def test_a_call_whose_end_is_unknown_may_have_been_made(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    reference = await vonage.start(PHONE, SMS)
    emulator.fail("vonage.next", Drop())

    with pytest.raises(ProviderTimedOut):
        await vonage.resend(reference, PHONE, VOICE)

    assert emulator.count("vonage.next") == 1
    assert emulator.count("vonage.start") == 1


async def test_somebody_elses_request_in_between_is_busy(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    reference = await vonage.start(PHONE, SMS)
    emulator.clock.tick(CANCELLABLE)
    emulator.fail("vonage.start", vonage_error(409, "concurrent", request_id=OTHER_ID))

    with pytest.raises(NumberBusy) as caught:
        await vonage.resend(reference, PHONE, SMS)

    assert caught.value.reference == OTHER_ID


@pytest.mark.parametrize(
    "change",
    [
        {"status": "COMPLETED"},
        {"status": "approved"},
        {"status": "pending"},
        {"status": None},
        {"status": True},
        {"request_id": OTHER_ID},
        {"request_id": None},
    ],
    ids=str,
)
async def test_an_approval_of_anything_but_this_proves_nothing(
    vonage: VonageProvider, emulator: Emulator, change: dict[str, Any]
) -> None:
    reference = await vonage.start(PHONE, SMS)
    approval = {"request_id": reference, "status": "completed"}
    emulator.fail("vonage.check", Answer(200, {**approval, **change}))

    with pytest.raises(ProviderTimedOut):
        await vonage.check(reference, PHONE, emulator.messages[0].code)


@pytest.mark.parametrize("request_id", ["../../v2/verify", "", None, 7, OTHER_ID + "/x"])
async def test_a_start_without_a_request_may_have_sent(
    vonage: VonageProvider, emulator: Emulator, request_id: object
) -> None:
    emulator.fail("vonage.start", Answer(202, {"request_id": request_id}))

    with pytest.raises(ProviderTimedOut):
        await vonage.start(PHONE, SMS)


async def test_a_start_that_says_too_much_may_have_sent(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    emulator.fail("vonage.start", Answer(202, f'{{"request_id": "{OTHER_ID}"}}' + " " * 100_000))

    with pytest.raises(ProviderTimedOut):
        await vonage.start(PHONE, SMS)


async def test_a_number_the_sdk_does_not_take_is_refused_before_anything_is_asked(
    vonage: VonageProvider, emulator: Emulator
) -> None:
    with pytest.raises(ProviderRejected) as caught:
        await vonage.start(PhoneNumber("+12345"), SMS)

    assert caught.value.refusal is Refusal.NUMBER
    assert emulator.requests == []


async def test_an_application_signs_one_token_for_many_calls(emulator: Emulator) -> None:
    provider = made(
        emulator, application_id=VONAGE_APPLICATION_ID, private_key=vonage_private_key()
    )
    await provider.open()
    reference = await provider.start(PHONE, SMS)
    await provider.check(reference, PHONE, "000000")
    await provider.check(reference, PHONE, emulator.messages[0].code)

    [token] = {request.headers["authorization"] for request in emulator.requests}
    assert token.startswith("Bearer ")
    await provider.aclose()


@pytest.mark.parametrize("seconds", [600, -3600], ids=["ten minutes on", "clock set back"])
async def test_an_application_signs_anew_when_its_token_grows_old(
    emulator: Emulator, seconds: float
) -> None:
    provider = made(
        emulator, application_id=VONAGE_APPLICATION_ID, private_key=vonage_private_key()
    )
    await provider.open()
    await provider.start(PHONE, SMS)
    auth = provider._api._auth
    assert isinstance(auth, TokenCachingAuth)
    auth._signed_at -= seconds

    await provider.start(PhoneNumber("+14155552672"), SMS)

    assert len({request.headers["authorization"] for request in emulator.requests}) == 2
    await provider.aclose()


@pytest.mark.parametrize("form", ["one line", "file", "file without a suffix"])
async def test_the_key_may_be_pem_on_one_line_or_in_a_file(
    emulator: Emulator, tmp_path: Path, form: str
) -> None:
    key = vonage_private_key()
    path = tmp_path / ("vonage.key" if form == "file" else "vonage")
    path.write_text(key)
    setting = key.replace("\n", "\\n") if form == "one line" else str(path)
    provider = made(emulator, application_id=VONAGE_APPLICATION_ID, private_key=setting)
    await provider.open()

    await provider.start(PHONE, SMS)

    await provider.aclose()


@pytest.mark.parametrize(
    "settings",
    [
        {"application_id": VONAGE_APPLICATION_ID, "private_key": "/no/such/file"},
        # pragma: allowlist nextline secret
        {"application_id": VONAGE_APPLICATION_ID, "private_key": "-----BEGIN RSA PRIVATE KEY-----"},
        {
            "application_id": VONAGE_APPLICATION_ID,
            # pragma: allowlist nextline secret
            "private_key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        },
        {"api_secret": ""},
        {"brand": "a name that is too long"},
        {"brand": ""},
        {"locale": "tlh"},
    ],
    ids=str,
)
async def test_settings_that_cannot_work_stop_the_app(
    emulator: Emulator, settings: dict[str, str]
) -> None:
    with pytest.raises(ProviderMisconfigured):
        await made(emulator, **settings).open()


async def test_wrong_credentials_are_the_operators_to_mend(emulator: Emulator) -> None:
    provider = made(emulator, api_secret="not-it")
    await provider.open()

    with pytest.raises(ProviderMisconfigured):
        await provider.start(PHONE, SMS)

    await provider.aclose()

"""Every error of Twilio's dictionary that can answer us, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    NumberBusy,
    OtpError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.conftest import make_twilio
from tests.contract.numbers import PHONE
from tests.contract.observing import kind_of, words_of
from tests.emulator import TWILIO_ERRORS, Answer, Emulator, twilio_error

if TYPE_CHECKING:
    from otp_app.providers.twilio import TwilioProvider

NUMBER, LANDLINE = (ProviderRejected, Refusal.NUMBER), (ProviderRejected, Refusal.LANDLINE)
COUNTRY, CHANNEL = (ProviderRejected, Refusal.COUNTRY), (ProviderRejected, Refusal.CHANNEL)
BUSY, THROTTLED = (NumberBusy,), (ProviderThrottled,)
BROKEN, DOWN, UNKNOWN = (ProviderMisconfigured,), (ProviderUnavailable,), (ProviderTimedOut,)

ANY = {20003: BROKEN, 20429: THROTTLED, 20500: DOWN, 20503: DOWN}

START = {
    **ANY,
    20404: BROKEN,
    21211: NUMBER,
    21408: COUNTRY,
    21608: BROKEN,
    21610: CHANNEL,
    21614: LANDLINE,
    60200: NUMBER,
    60202: BUSY,
    60203: THROTTLED,
    60204: BROKEN,
    60205: LANDLINE,
    60206: BROKEN,
    60212: BUSY,
    60214: BROKEN,
    60217: BROKEN,
    60220: COUNTRY,
    60222: BROKEN,
    60223: CHANNEL,
    60224: BROKEN,
    60226: BROKEN,
    60227: CHANNEL,
    60228: BROKEN,
    60229: BROKEN,
    60238: COUNTRY,
    60243: BROKEN,
    60252: BROKEN,
    60331: CHANNEL,
    60408: BROKEN,
    60410: CHANNEL,
    60412: NUMBER,
    60550: CHANNEL,
    60602: BROKEN,
    60605: COUNTRY,
    68008: CHANNEL,
}
CHECK = {**ANY, 60200: UNKNOWN, 60221: UNKNOWN}
CHECK_OUTCOMES = {20404: CheckOutcome.EXPIRED, 60202: CheckOutcome.EXHAUSTED}
CANCEL = {**ANY, 60200: DOWN}
SERVICE = {20003: BROKEN, 20404: BROKEN}


def codes(operation: str) -> list[int]:
    return [error.code for error in TWILIO_ERRORS if operation in error.operations]


def test_the_tables_here_name_every_documented_error() -> None:
    assert set(codes("twilio.start")) == set(START)
    assert set(codes("twilio.check")) == {*CHECK, *CHECK_OUTCOMES}
    assert set(codes("twilio.cancel")) == {*CANCEL, 20404}


@pytest.mark.parametrize("code", codes("twilio.start"))
async def test_a_refused_start_is_told_as_what_it_is(
    twilio: TwilioProvider, emulator: Emulator, code: int
) -> None:
    emulator.fail("twilio.start", twilio_error(code, message=f"refused {PHONE.e164}"))

    with pytest.raises(OtpError) as caught:
        await twilio.start(PHONE, Channel.SMS)

    assert kind_of(caught.value) == START[code]
    assert PHONE.digits not in words_of(caught.value)
    assert emulator.count("twilio.start") == 1


@pytest.mark.parametrize("code", CHECK)
async def test_a_refused_check_is_told_as_what_it_is(
    twilio: TwilioProvider, emulator: Emulator, code: int
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    emulator.fail("twilio.check", twilio_error(code, message=f"no {reference}"))

    with pytest.raises(OtpError) as caught:
        await twilio.check(reference, PHONE, emulator.messages[0].code)

    assert kind_of(caught.value) == CHECK[code]
    assert reference not in words_of(caught.value)


@pytest.mark.parametrize(("code", "outcome"), CHECK_OUTCOMES.items())
async def test_a_check_of_what_is_over_is_an_answer(
    twilio: TwilioProvider, emulator: Emulator, code: int, outcome: CheckOutcome
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    emulator.fail("twilio.check", twilio_error(code))

    assert await twilio.check(reference, PHONE, emulator.messages[0].code) is outcome


@pytest.mark.parametrize("code", CANCEL)
async def test_a_refused_cancel_is_told_as_what_it_is(
    twilio: TwilioProvider, emulator: Emulator, code: int
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    emulator.fail("twilio.cancel", twilio_error(code))

    with pytest.raises(OtpError) as caught:
        await twilio.cancel(reference)

    assert kind_of(caught.value) == CANCEL[code]


async def test_canceling_what_is_over_is_no_error(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    reference = await twilio.start(PHONE, Channel.SMS)
    emulator.fail("twilio.cancel", twilio_error(20404))

    await twilio.cancel(reference)


@pytest.mark.parametrize("code", SERVICE)
async def test_a_service_that_refuses_us_stops_the_app(emulator: Emulator, code: int) -> None:
    emulator.fail("twilio.service", twilio_error(code))

    with pytest.raises(ProviderMisconfigured):
        await make_twilio(emulator.url).open()


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("7", 7),
        ("10000", 60),
        ("0", 1),
        ("-5", 30),
        ("soon", 30),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 30),
        ("9" * 5000, 30),
        (None, 30),
    ],
)
async def test_it_passes_the_wait_on_within_reason(
    twilio: TwilioProvider, emulator: Emulator, retry_after: str | None, seconds: int
) -> None:
    emulator.fail("twilio.start", twilio_error(20429, retry_after=retry_after))

    with pytest.raises(ProviderThrottled) as caught:
        await twilio.start(PHONE, Channel.SMS)

    assert caught.value.params == {"seconds": seconds}


async def test_an_error_in_the_new_form_is_read_by_its_code(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    body = {"type": "https://www.twilio.com/errors", "title": "Blocked", "status": 200}
    emulator.fail("twilio.start", Answer(403, {**body, "code": 60605}))

    with pytest.raises(ProviderRejected) as caught:
        await twilio.start(PHONE, Channel.SMS)

    assert caught.value.refusal is Refusal.COUNTRY


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, {"code": 69999}), DOWN),
        (Answer(400, {"code": [60200]}), DOWN),
        (Answer(404, "<html>not here</html>"), DOWN),
        (Answer(401, "<html>who?</html>"), BROKEN),
        (Answer(402, {}), BROKEN),
        (Answer(403, {"code": 69998}), BROKEN),
        (Answer(429, None), THROTTLED),
        (Answer(500, "oops"), DOWN),
        (Answer(500, None), UNKNOWN),
        (Answer(503, "[" * 60000), DOWN),
        (Answer(504, "<html>gateway timeout</html>"), UNKNOWN),
    ],
    ids=lambda value: f"{value.status} {str(value.body)[:16]}" if isinstance(value, Answer) else "",
)
async def test_what_no_document_lists_is_judged_by_its_status(
    twilio: TwilioProvider, emulator: Emulator, answer: Answer, expected: tuple[object, ...]
) -> None:
    emulator.fail("twilio.start", answer)

    with pytest.raises(OtpError) as caught:
        await twilio.start(PHONE, Channel.SMS)

    assert kind_of(caught.value) == expected

"""Every error of Twilio's dictionary that can answer us, and what it comes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app.errors import LanguageRefused, ProviderMisconfigured
from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.conftest import make_twilio
from tests.contract.numbers import PHONE
from tests.contract.observing import (
    BROKEN,
    BUSY,
    CHANNEL,
    COUNTRY,
    DOWN,
    LANDLINE,
    NOT_DONE,
    NUMBER,
    SETTING,
    THROTTLED,
    UNCLEAR,
    UNKNOWN,
    Kind,
    assert_cancel_fails,
    assert_check_fails,
    assert_start_fails,
    error_of,
    kind_of,
)
from tests.emulator import TWILIO_ERRORS, Answer, Emulator, twilio_error

if TYPE_CHECKING:
    from otp_app.providers.twilio.provider import TwilioProvider

ANY = {
    10001: BROKEN,
    20003: BROKEN,
    20005: BROKEN,
    20429: THROTTLED,
    20500: DOWN,
    20503: DOWN,
    90010: BROKEN,
    575001: BROKEN,
}

START = {
    **ANY,
    20404: SETTING,
    21211: NUMBER,
    21219: NUMBER,
    21408: COUNTRY,
    21608: NUMBER,
    21610: CHANNEL,
    21614: LANDLINE,
    25109: THROTTLED,
    60200: NUMBER,
    60201: CHANNEL,
    60202: BUSY,
    60203: BUSY,
    60204: CHANNEL,
    60205: LANDLINE,
    60206: SETTING,
    60212: BUSY,
    60214: CHANNEL,
    60217: CHANNEL,
    60220: COUNTRY,
    60222: CHANNEL,
    60223: CHANNEL,
    60224: CHANNEL,
    60226: COUNTRY,
    60227: CHANNEL,
    60228: CHANNEL,
    60229: CHANNEL,
    60238: COUNTRY,
    60243: SETTING,
    60252: CHANNEL,
    60331: CHANNEL,
    60408: CHANNEL,
    60410: CHANNEL,
    60412: NUMBER,
    60550: CHANNEL,
    60602: CHANNEL,
    60605: COUNTRY,
    68008: CHANNEL,
    572005: NUMBER,
    573005: NUMBER,
}
OF_THE_LANGUAGE = {20404, 60201, 60224, 60229, 60252, 60331}
CHECK = {**ANY, 60200: UNCLEAR, 60221: UNCLEAR}
CHECK_OUTCOMES = {20404: CheckOutcome.EXPIRED, 60202: CheckOutcome.EXHAUSTED}
CANCEL = {**ANY, 60200: NOT_DONE}
SERVICE = {10001: BROKEN, 20003: BROKEN, 20404: BROKEN}


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
    answer = twilio_error(code, message=f"refused {PHONE.e164}")

    await assert_start_fails(twilio, emulator, answer, START[code])


@pytest.mark.parametrize("code", codes("twilio.start"))
async def test_only_a_refused_language_has_another_one_to_try(
    twilio: TwilioProvider, emulator: Emulator, code: int
) -> None:
    emulator.fail("twilio.start", twilio_error(code))

    error = await error_of(twilio.start(PHONE, Channel.SMS, "de"))

    is_refused = isinstance(error, LanguageRefused)
    assert is_refused is (code in OF_THE_LANGUAGE)
    assert is_refused or kind_of(error) == START[code]
    assert emulator.count("twilio.start") == 1


@pytest.mark.parametrize("code", CHECK)
async def test_a_refused_check_is_told_as_what_it_is(
    twilio: TwilioProvider, emulator: Emulator, code: int
) -> None:
    def answer(reference: str) -> Answer:
        return twilio_error(code, message=f"no {reference}")

    await assert_check_fails(twilio, emulator, answer, CHECK[code])


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
    await assert_cancel_fails(twilio, emulator, twilio_error(code), CANCEL[code])


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

    error = await error_of(twilio.start(PHONE, Channel.SMS))

    assert (kind_of(error), error.params) == (THROTTLED, {"seconds": seconds})


async def test_an_error_in_the_new_form_is_read_by_its_code(
    twilio: TwilioProvider, emulator: Emulator
) -> None:
    body = {"type": "https://www.twilio.com/errors", "title": "Blocked", "status": 200}
    emulator.fail("twilio.start", Answer(403, {**body, "code": 60605}))

    assert kind_of(await error_of(twilio.start(PHONE, Channel.SMS))) == COUNTRY


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(400, {"code": 69999}), CHANNEL),
        (Answer(400, {"code": 21612}), CHANNEL),
        (Answer(400, {"code": [60200]}), CHANNEL),
        (Answer(404, "<html>not here</html>"), CHANNEL),
        (Answer(401, "<html>who?</html>"), BROKEN),
        (Answer(401, {"code": 69997}), CHANNEL),
        (Answer(402, {}), BROKEN),
        (Answer(403, {"code": 69998}), CHANNEL),
        (Answer(403, {"code": 403, "message": "Forbidden"}), BROKEN),
        (Answer(403, {"title": "Forbidden for this number"}), CHANNEL),
        (Answer(429, None), THROTTLED),
        (Answer(429, {"code": 69996}), CHANNEL),
        (Answer(500, "oops"), DOWN),
        (Answer(500, None), UNKNOWN),
        (Answer(503, "[" * 60000), DOWN),
        (Answer(504, "<html>gateway timeout</html>"), UNKNOWN),
    ],
    ids=lambda value: f"{value.status} {str(value.body)[:16]}" if isinstance(value, Answer) else "",
)
async def test_what_no_document_lists_is_judged_by_its_status(
    twilio: TwilioProvider, emulator: Emulator, answer: Answer, expected: Kind
) -> None:
    emulator.fail("twilio.start", answer)

    assert kind_of(await error_of(twilio.start(PHONE, Channel.SMS))) == expected

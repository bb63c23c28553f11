"""Looks at numbers: real SDKs, and services that tell, refuse, break and hang."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import structlog

from otp_app.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderNotReached,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
)
from otp_app.phone import PhoneNumber
from otp_app.providers.twilio.lookup import TwilioNumberLookup
from otp_app.providers.vonage.lookup import VonageNumberLookup
from otp_app.verification.risk import NumberInsight, RiskSignal
from tests import emulator as known
from tests.contract.numbers import OTHER_PHONE, PHONE
from tests.contract.observing import SOON, arrived, words_of
from tests.contract.test_faults import NOT_SENT, PERHAPS_SENT, SLOW
from tests.emulator import (
    Answer,
    DropBefore,
    Emulator,
    Hang,
    Line,
    Redirect,
    WrongJson,
    twilio_error,
    vonage_error,
    vonage_private_key,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from otp_app.verification.risk import NumberLookup
    from tests.emulator import Fault

NUMBER = PhoneNumber("+447700900124")
ALL = frozenset(RiskSignal)
HASTE = 0.5  # seconds
FAULTS = {**PERHAPS_SENT, **NOT_SENT}


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


def make_twilio(
    url: str, wanted: frozenset[RiskSignal] = ALL, seconds: float = 10.0, in_flight: int = 8
) -> TwilioNumberLookup:
    credentials = known.TWILIO_ACCOUNT_SID, known.TWILIO_AUTH_TOKEN
    return TwilioNumberLookup(*credentials, url, wanted, seconds, in_flight)


def make_vonage(
    url: str,
    wanted: frozenset[RiskSignal] = ALL,
    seconds: float = 10.0,
    in_flight: int = 8,
    key: str = "",
) -> VonageNumberLookup:
    recent = timedelta(hours=72)
    return VonageNumberLookup(
        known.VONAGE_APPLICATION_ID,
        key or vonage_private_key(),
        url,
        wanted,
        recent,
        seconds,
        in_flight,
    )


MAKERS: dict[str, Callable[..., NumberLookup]] = {"twilio": make_twilio, "vonage": make_vonage}
OPERATIONS = {"twilio": "twilio.look", "vonage": "vonage.look"}


@pytest_asyncio.fixture(params=MAKERS)
async def look(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[NumberLookup]:
    made = MAKERS[request.param](emulator.url)
    await made.open()
    yield made
    await made.aclose()


@pytest_asyncio.fixture(params=MAKERS)
async def hasty(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[NumberLookup]:
    made = MAKERS[request.param](emulator.url, seconds=HASTE)
    await made.open()
    yield made
    await made.aclose()


async def test_of_an_ordinary_mobile_nothing_speaks_against_it(
    look: NumberLookup, emulator: Emulator
) -> None:
    insight = await look.lookup(NUMBER)

    assert insight.voip is False
    assert insight.signals(ago(72)) == frozenset()
    assert emulator.count(OPERATIONS[look.name]) == 1


@pytest.mark.parametrize(("hours", "found"), [(1, True), (71, True), (73, False), (5000, False)])
async def test_a_sim_counts_as_swapped_by_the_time_it_was(
    look: NumberLookup, emulator: Emulator, hours: float, found: bool
) -> None:
    emulator.lines[NUMBER.e164] = Line(sim_swapped_at=ago(hours))

    insight = await look.lookup(NUMBER)

    assert (RiskSignal.SIM_SWAP in insight.signals(ago(72))) is found


@pytest.mark.parametrize(("hours", "found"), [(1, True), (5000, False)])
async def test_where_the_carrier_tells_no_time_the_service_says_whether_it_was_of_late(
    look: NumberLookup, emulator: Emulator, hours: float, found: bool
) -> None:
    emulator.lines[NUMBER.e164] = Line(sim_swapped_at=ago(hours), tells_date=False)

    insight = await look.lookup(NUMBER)

    assert (insight.sim_swapped_at, insight.sim_swapped) == (None, found)


@pytest.mark.parametrize(
    ("line", "found"),
    [(Line("voip"), True), (Line("fixed_voip"), False), (Line("landline"), False)],
)
async def test_voip_is_what_has_neither_sim_nor_address(
    look: NumberLookup, emulator: Emulator, line: Line, found: bool
) -> None:
    emulator.lines[NUMBER.e164] = line

    assert (await look.lookup(NUMBER)).voip is found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (Line(pumping_risk="high"), True),
        (Line(pumping_risk="moderate"), False),
        (Line(is_blocked=True), True),
    ],
)
async def test_pumping_is_what_twilio_blocks_or_puts_in_its_worst_category(
    emulator: Emulator, line: Line, found: bool
) -> None:
    emulator.lines[NUMBER.e164] = line
    look = make_twilio(emulator.url)
    await look.open()

    assert (await look.lookup(NUMBER)).pumping is found

    await look.aclose()


async def test_what_nobody_has_data_of_is_unknown_and_the_log_says_why(
    look: NumberLookup, emulator: Emulator
) -> None:
    emulator.lines[NUMBER.e164] = Line("voip", sim_swapped_at=ago(1), is_known=False)

    with structlog.testing.capture_logs() as events:
        insight = await look.lookup(NUMBER)

    assert (insight.sim_swapped, insight.sim_swapped_at, insight.voip) == (None, None, None)
    told = [(event["event"], event["of"], event["why"]) for event in events]
    why = {"twilio": 60600, "vonage": "NO_COVERAGE"}[look.name]
    assert told == [
        ("number_lookup.signal_missing", "sim_swap", why),
        ("number_lookup.signal_missing", "voip", why),
    ]


@pytest.mark.parametrize("name", MAKERS)
async def test_only_what_is_wanted_is_asked_for(emulator: Emulator, name: str) -> None:
    emulator.lines[NUMBER.e164] = Line("voip", sim_swapped_at=ago(1))
    look = MAKERS[name](emulator.url, frozenset({RiskSignal.VOIP}))
    await look.open()

    insight = await look.lookup(NUMBER)

    assert insight.signals(ago(72)) == {RiskSignal.VOIP}
    [request] = emulator.requests
    assert "swap" not in f"{request.query}{request.body}"
    await look.aclose()


async def test_where_nobody_pumps_twilio_is_not_asked_about_it(emulator: Emulator) -> None:
    for wanted, fields in ((ALL, ["line_type_intelligence,sim_swap"]), ({RiskSignal.PUMPING}, [])):
        emulator.reset()
        look = make_twilio(emulator.url, frozenset(wanted))
        await look.open()

        assert (await look.lookup(PHONE)).pumping is None

        assert [request.query["Fields"] for request in emulator.requests] == fields
        await look.aclose()


async def test_the_time_that_counts_is_what_vonage_is_asked_for(emulator: Emulator) -> None:
    look = make_vonage(emulator.url)
    await look.open()
    await look.lookup(NUMBER)

    [request] = emulator.requests
    assert request.body["insights"] == {"sim_swap": {"period": 72}, "original_carrier": {}}
    assert request.body["phone_number"] == NUMBER.digits
    await look.aclose()


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_look_that_breaks_is_a_failure_and_is_not_repeated(
    look: NumberLookup, emulator: Emulator, fault: Fault
) -> None:
    emulator.fail(OPERATIONS[look.name], fault, times=None)

    with pytest.raises(ProviderError) as caught:
        await look.lookup(NUMBER)

    assert emulator.count(OPERATIONS[look.name]) == 1
    assert NUMBER.digits not in words_of(caught.value)


@pytest.mark.parametrize("fault", SLOW.values(), ids=SLOW)
async def test_a_look_ends_in_its_time_however_the_answer_comes(
    hasty: NumberLookup, emulator: Emulator, fault: Fault
) -> None:
    emulator.fail(OPERATIONS[hasty.name], fault, times=None)

    async with asyncio.timeout(SOON):
        with pytest.raises(ProviderTimedOut):
            await hasty.lookup(NUMBER)

    assert emulator.count(OPERATIONS[hasty.name]) == 1


REFUSALS = {
    "twilio": {
        "credentials": (twilio_error(20003), ProviderMisconfigured),
        "forbidden": (Answer(403, {}), ProviderMisconfigured),
        "throttled": (twilio_error(20429), ProviderThrottled),
        "failed": (Answer(500, {"code": 20500, "status": 500}), ProviderUnavailable),
    },
    "vonage": {
        "credentials": (vonage_error(401, "unauthorized"), ProviderMisconfigured),
        "no money": (vonage_error(402, "low-balance"), ProviderMisconfigured),
        "parameters": (vonage_error(422, "invalid-params"), ProviderUnavailable),
        "throttled": (vonage_error(429, "throttled"), ProviderThrottled),
        "failed": (vonage_error(500, "internal-error"), ProviderUnavailable),
        "not there": (Answer(404, {"title": "Not Found"}), ProviderMisconfigured),
    },
}


@pytest.mark.parametrize(
    ("name", "refusal"), [(name, refusal) for name in REFUSALS for refusal in REFUSALS[name]]
)
async def test_a_refusal_says_whose_fault_it_is(
    emulator: Emulator, name: str, refusal: str
) -> None:
    answer, error = REFUSALS[name][refusal]
    emulator.fail(OPERATIONS[name], answer)
    look = MAKERS[name](emulator.url)
    await look.open()

    with pytest.raises(error):
        await look.lookup(NUMBER)

    await look.aclose()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirection_is_not_followed(
    look: NumberLookup, emulator: Emulator, status: int
) -> None:
    emulator.fail(OPERATIONS[look.name], Redirect(f"{emulator.url}/elsewhere", status), times=None)

    with pytest.raises(ProviderUnavailable):
        await look.lookup(NUMBER)

    assert len(emulator.requests) == 1


async def test_a_service_that_is_down_is_a_failure(look: NumberLookup, emulator: Emulator) -> None:
    emulator.stop()

    with pytest.raises(ProviderNotReached):
        await look.lookup(NUMBER)


async def test_twilios_answer_must_be_of_the_number_that_was_asked_for(emulator: Emulator) -> None:
    look = make_twilio(emulator.url)
    await look.open()
    emulator.fail("twilio.look", WrongJson({"phone_number": OTHER_PHONE.e164, "valid": True}))

    with pytest.raises(ProviderTimedOut):
        await look.lookup(NUMBER)

    await look.aclose()


@pytest.mark.parametrize(
    "package",
    [
        {"sim_swap": []},
        {"sim_swap": {"last_sim_swap": "yes", "error_code": None}},
        {"sim_swap": {"last_sim_swap": {"swapped_in_period": "true"}}},
        {"sim_swap": {"last_sim_swap": {"last_sim_swap_date": "yesterday"}}},
        {"sim_swap": {"last_sim_swap": {"last_sim_swap_date": "2026-01-01T00:00:00"}}},
        {"sim_swap": {"error_code": "canary"}},
        {"line_type_intelligence": {"type": ["nonFixedVoip"]}},
        {"line_type_intelligence": {"type": "unknown"}},
        {"sms_pumping_risk": True},
        {"sms_pumping_risk": {"error_code": 60600, "number_blocked": True}},
    ],
)
async def test_what_twilio_does_not_document_is_unknown(
    emulator: Emulator, package: dict[str, object]
) -> None:
    look = make_twilio(emulator.url)
    await look.open()
    emulator.fail("twilio.look", WrongJson({"phone_number": NUMBER.e164, **package}))

    with structlog.testing.capture_logs() as events:
        assert await look.lookup(NUMBER) == NumberInsight()

    assert "canary" not in str(events)
    await look.aclose()


@pytest.mark.parametrize(
    "insights",
    [
        {},
        {"sim_swap": {"status": {"code": "SUPPLIER_ERROR"}, "is_swapped": True}},
        {"sim_swap": {"status": {"code": "OK"}}},
        {"original_carrier": {"status": {"code": "NEW_CODE"}, "network_type": "VIRTUAL"}},
        {"original_carrier": {"status": {"code": "OK"}}},
    ],
)
async def test_what_vonage_does_not_tell_is_unknown(
    emulator: Emulator, insights: dict[str, object]
) -> None:
    look = make_vonage(emulator.url)
    await look.open()
    emulator.fail("vonage.look", WrongJson({"insights": insights}))

    assert await look.lookup(NUMBER) == NumberInsight()

    await look.aclose()


async def test_a_time_without_a_zone_is_vonages_own_utc(emulator: Emulator) -> None:
    look = make_vonage(emulator.url)
    await look.open()
    swap = {"status": {"code": "OK"}, "latest_sim_swap_at": "2026-01-01T00:00:00"}
    emulator.fail("vonage.look", WrongJson({"insights": {"sim_swap": swap}}))

    assert (await look.lookup(NUMBER)).sim_swapped_at == datetime(2026, 1, 1, tzinfo=UTC)

    await look.aclose()


async def test_a_problem_with_a_200_is_a_failure(emulator: Emulator) -> None:
    look = make_vonage(emulator.url)
    await look.open()
    emulator.fail("vonage.look", WrongJson({"title": "Not Found", "detail": NUMBER.digits}))

    with pytest.raises(ProviderTimedOut) as caught:
        await look.lookup(NUMBER)

    assert NUMBER.digits not in words_of(caught.value)
    await look.aclose()


NO_KEY = "-----BEGIN PRIVATE KEY-----\nx"  # pragma: allowlist secret


@pytest.mark.parametrize("key", ["/nowhere/vonage.key", NO_KEY])
async def test_a_key_that_cannot_sign_is_found_at_the_start(key: str) -> None:
    with pytest.raises(ProviderMisconfigured):
        await make_vonage("http://127.0.0.1:9", key=key).open()


@pytest.mark.parametrize("name", MAKERS)
async def test_other_credentials_are_refused(
    emulator: Emulator, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "TWILIO_AUTH_TOKEN", "0" * 32)
    monkeypatch.setattr(known, "VONAGE_APPLICATION_ID", "00000000-0000-4000-8000-00000000000f")
    wrong = MAKERS[name](emulator.url)
    await wrong.open()

    with pytest.raises(ProviderMisconfigured):
        await wrong.lookup(NUMBER)

    await wrong.aclose()


@pytest.mark.parametrize("name", MAKERS)
async def test_a_full_bulkhead_refuses_at_once(emulator: Emulator, name: str) -> None:
    look = MAKERS[name](emulator.url, seconds=HASTE, in_flight=2)
    await look.open()
    emulator.fail(OPERATIONS[name], Hang(5), times=None)
    looking = [asyncio.create_task(look.lookup(NUMBER)) for _ in range(2)]
    await arrived(emulator, OPERATIONS[name], 2)

    with pytest.raises(ProviderNotReached):
        await look.lookup(NUMBER)

    outcomes = await asyncio.gather(*looking, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {ProviderTimedOut}
    await look.aclose()


@pytest.mark.parametrize("fault", [None, DropBefore(), WrongJson({})], ids=["fine", "gone", "odd"])
async def test_the_number_is_not_logged(
    look: NumberLookup, emulator: Emulator, caplog: pytest.LogCaptureFixture, fault: Fault | None
) -> None:
    caplog.set_level(logging.INFO)
    if fault:
        emulator.fail(OPERATIONS[look.name], fault)

    with structlog.testing.capture_logs() as events:
        await asyncio.gather(look.lookup(NUMBER), return_exceptions=True)

    assert NUMBER.digits not in f"{events} {caplog.text}"

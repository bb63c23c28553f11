"""One caller's refusals, whatever they are, stop nobody else: real SDKs behind real circuits."""

from __future__ import annotations

import asyncio
import shutil
from itertools import count, islice
from string import ascii_lowercase
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from sqlalchemy import select

from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderNotReached,
    ProviderRejected,
    Refusal,
)
from otp_app.phone import PhoneNumber
from otp_app.providers.error_tables import (
    ACCOUNT,
    REMEMBERED,
    THROTTLED,
    UNAVAILABLE,
    RefusedLanguages,
)
from otp_app.providers.twilio import client as twilio_refusals
from otp_app.providers.vendor_input import UNNAMED
from otp_app.providers.vonage import requests
from otp_app.providers.vonage.provider import VonageProvider
from otp_app.storage.engine import open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlStore
from otp_app.storage.tables import Stage, audit
from otp_app.verification.circuit_breaker import FAILURES, CircuitBreaker
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, Action
from otp_app.verification.models import Channel, Flow
from otp_app.verification.service import VerificationService
from tests.contract.conftest import MAKERS
from tests.database import connected
from tests.emulator import TWILIO_ERRORS, Answer, Hang, Html, vonage_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
    from pathlib import Path

    from otp_app.providers.error_tables import ErrorFactory, ErrorTable
    from otp_app.verification.models import Verification
    from otp_app.verification.ports import Provider
    from tests.emulator import Emulator, Fault
    from tests.logs import Lines

    Serve = Callable[[str], Awaitable[VerificationService]]
    """Makes the service on a provider, by its name."""

SECRET = b"canary-secret-canary-secret-canary-secret"
SMS, VOICE = Channel.SMS, Channel.VOICE
TABLES = {"twilio": twilio_refusals.START, "vonage": requests.START}
COUNTED = (THROTTLED, UNAVAILABLE)
"""Rows that are for everybody; a single one of them may be a bad line."""

UNLISTED = {
    "a code that no table has": Answer(400, {"code": 21612}),
    "one under 401": Answer(401, {"code": 69997}),
    "one under 403": Answer(403, {"code": 69998}),
    "one under 429": Answer(429, {"code": 69999}),
    "no JSON": Answer(400, "<html>bad request</html>"),
    "nothing": Answer(404, None),
}
"""4xx about one request, as Twilio or a gateway might answer."""

OF_VONAGE = {
    "the language": vonage_error(
        422, "invalid-params", invalid_parameters=[{"name": "locale", "reason": "Invalid"}]
    ),
    "the template": vonage_error(
        422, "invalid-params", invalid_parameters=[{"name": "template_id", "reason": "Invalid"}]
    ),
    "the number": vonage_error(
        422, "invalid-params", invalid_parameters=[{"name": "to", "reason": "Invalid"}]
    ),
    "the channel": vonage_error(
        422, "invalid-params", invalid_parameters=[{"name": "workflow", "reason": "Invalid"}]
    ),
    "a setting": vonage_error(
        422, "invalid-params", invalid_parameters=[{"name": "brand", "reason": "Invalid"}]
    ),
    "something that no table has": Answer(403, {"title": "Not for this network"}),
}

_STATUS_OF = {error.code: error.status for error in TWILIO_ERRORS}
_numbers = count(2000)


@pytest_asyncio.fixture
async def store(migrated: Path, tmp_path: Path) -> AsyncIterator[SqlStore]:
    engine = open_engine(f"sqlite:///{shutil.copy(migrated, tmp_path)}")
    yield SqlStore(engine, PhoneEncryption(SECRET))
    await engine.dispose()


def service_of(provider: Provider, store: SqlStore, emulator: Emulator) -> VerificationService:
    """The service, of whose limits only one message to a number in 30 seconds holds."""
    limits = [one for one in POLICY if one.name == "LIMIT_SEND_NUMBER_BURST"]
    return VerificationService(
        store,
        SqlLimiter(store.engine, SECRET),
        {provider.name: provider},
        provider.name,
        emulator.clock.now,
        limits=limits,
    )


def rows_of(table: ErrorTable) -> Iterator[tuple[Hashable, ErrorFactory]]:
    """Every row that is one; where the body decides, `OF_VONAGE` has the bodies."""
    for name, row in table.rows.items():
        if not callable(row):
            yield name, row


def answer_to(name: Hashable) -> Answer:
    """An answer that has *name*, as `VendorError.names` gives it."""
    match name:
        case int() if name >= 1000:
            body = {"code": name, "message": "refused", "status": _STATUS_OF[name]}
            return Answer(_STATUS_OF[name], body)
        case int():
            return Answer(name, {"type": "https://developer.vonage.com/api-errors#whatever"})
        case (int() as status, str() as word) if word == UNNAMED:
            return Answer(status, "<html>no</html>")
        case (int() as status, str() as word):
            return Answer(status, {"type": f"https://developer.vonage.com/api-errors#{word}"})
        case _:
            raise AssertionError(name)


CASES = [(vendor, name, row) for vendor, table in TABLES.items() for name, row in rows_of(table)]
ALONE = [case for case in CASES if case[2] not in (ACCOUNT, *COUNTED)]
OTHERS = [("twilio", one) for one in UNLISTED.values()] + [
    ("vonage", one) for one in OF_VONAGE.values()
]


OF_CHECKS = [*OTHERS[:-1], ("vonage", vonage_error(409, "no-code"))]
"""A check has no channel and no template, so at Vonage a 403 to it is about the account."""


async def start(
    service: VerificationService, language: str, channel: Channel = SMS, phone: str = ""
) -> Verification:
    """A start by a browser of its own, to a number that is new if none is given."""
    index = next(_numbers)
    client = Client(Flow(f"flow-{index}"), "203.0.113.7", language=language)
    return await service.start(client, PhoneNumber(phone or f"+1415555{index}"), channel)


async def outcome(action: Awaitable[object]) -> type[OtpError] | None:
    try:
        await action
    except OtpError as exc:
        return type(exc)
    return None


@pytest_asyncio.fixture
async def serve(emulator: Emulator, store: SqlStore) -> AsyncIterator[Serve]:
    opened: list[Provider] = []

    async def served(vendor: str) -> VerificationService:
        provider = MAKERS[vendor](emulator.url, languages=aging(emulator))
        await provider.open()
        opened.append(provider)
        return service_of(provider, store, emulator)

    yield served
    for provider in opened:
        await provider.aclose()


def aging(emulator: Emulator) -> Callable[[str, str], RefusedLanguages]:
    """A memory that grows older with the emulator's clock."""

    def made(provider: str, fallback: str) -> RefusedLanguages:
        def seconds() -> float:
            return emulator.clock.now().timestamp()

        return RefusedLanguages(provider, fallback, monotonic=seconds)

    return made


def ids(value: object) -> str:
    return f"{value.status} {str(value.body)[-40:]}" if isinstance(value, Answer) else str(value)


@pytest.mark.parametrize(
    ("vendor", "name", "row"), CASES, ids=[f"{vendor} {name}" for vendor, name, _ in CASES]
)
async def test_what_a_german_caller_is_refused_keeps_no_english_one_from_a_code(
    serve: Serve,
    emulator: Emulator,
    vendor: str,
    name: Hashable,
    row: ErrorFactory,
) -> None:
    """Each row of each table, once; a new row is here by itself."""
    service = await serve(vendor)
    emulator.fail(f"{vendor}.start", answer_to(name))
    assert await outcome(start(service, "de")) is not None

    refused = await outcome(start(service, "en"))

    if row is ACCOUNT:
        assert refused is ProviderNotReached
        assert service.is_failing
        assert emulator.count(f"{vendor}.start") == 1
    else:
        assert refused is None
        assert not service.is_failing
        assert len(emulator.messages) == 1
        assert emulator.count(f"{vendor}.start") == 2


@pytest.mark.parametrize(
    ("vendor", "answer"),
    [*((vendor, answer_to(name)) for vendor, name, _ in ALONE), *OTHERS],
    ids=ids,
)
async def test_no_number_of_refusals_of_one_caller_opens_a_circuit(
    serve: Serve,
    emulator: Emulator,
    vendor: str,
    answer: Answer,
) -> None:
    """Five at the same moment, as in an outage, from one address."""
    service = await serve(vendor)
    emulator.fail(f"{vendor}.start", answer, times=FAILURES)
    for _ in range(FAILURES):
        assert await outcome(start(service, "de")) not in (None, ProviderNotReached)

    assert not service.is_failing
    assert await outcome(start(service, "en")) is None
    assert len(emulator.messages) == 1


@pytest.mark.parametrize("vendor", MAKERS)
@pytest.mark.parametrize("fault", [Html(500), Html(502), Answer(429, None)], ids=ids)
async def test_five_failures_that_are_for_everybody_open_it(
    serve: Serve,
    emulator: Emulator,
    vendor: str,
    fault: Fault,
) -> None:
    service = await serve(vendor)
    emulator.fail(f"{vendor}.start", fault, times=None)

    for _ in range(FAILURES):
        assert not service.is_failing
        assert await outcome(start(service, "de")) is not None

    assert service.failing == {(vendor, Action.SEND)}
    assert await outcome(start(service, "en")) is ProviderNotReached
    assert emulator.count(f"{vendor}.start") == FAILURES


@pytest.mark.parametrize("vendor", MAKERS)
async def test_credentials_that_are_refused_open_it_at_once(
    serve: Serve, emulator: Emulator, vendor: str
) -> None:
    service = await serve(vendor)
    refused = Answer(401, {"code": 20003}) if vendor == "twilio" else Answer(401, {"title": "No"})
    emulator.fail(f"{vendor}.start", refused)

    await outcome(start(service, "de"))

    assert service.is_failing


@pytest.mark.parametrize(("vendor", "answer"), OF_CHECKS, ids=ids)
async def test_checks_that_are_refused_open_no_circuit_either(
    serve: Serve,
    emulator: Emulator,
    vendor: str,
    answer: Answer,
) -> None:
    service = await serve(vendor)
    for _ in range(FAILURES):
        started = await start(service, "de")
        emulator.fail(f"{vendor}.check", answer)
        checking = service.check(Client(started.flow, "203.0.113.7"), started.id, "000000")
        assert await outcome(checking) not in (None, ProviderNotReached)

    assert service.failing == frozenset()


async def test_answers_about_another_number_open_no_circuit(
    serve: Serve, emulator: Emulator
) -> None:
    """Some countries' numbers have two forms, and Twilio may answer in the other one."""
    service = await serve("twilio")
    body = {"sid": "VE" + "0" * 32, "to": "+5215555555555", "status": "pending"}
    emulator.fail("twilio.start", Answer(201, body), times=FAILURES)
    for _ in range(FAILURES):
        await outcome(start(service, "de"))

    assert await outcome(start(service, "en")) is None


@pytest.mark.parametrize("vendor", MAKERS)
async def test_more_requests_than_fit_at_once_open_no_circuit(
    emulator: Emulator, vendor: str
) -> None:
    """A full bulkhead is a limit of the app and not a failure of the provider."""
    provider = MAKERS[vendor](emulator.url)
    await provider.open()
    circuit = CircuitBreaker(vendor, Action.SEND, emulator.clock.now)
    emulator.fail(f"{vendor}.start", Hang(2), times=None)
    room = 4

    def ask() -> Awaitable[object]:
        return circuit.call(lambda: provider.start(PhoneNumber("+14155552671"), SMS))

    outcomes = asyncio.as_completed([outcome(ask()) for _ in range(room + FAILURES)])
    first = [await one for one in islice(outcomes, FAILURES)]

    assert first == [ProviderNotReached] * FAILURES
    assert not circuit.is_open
    for one in outcomes:
        await one
    await provider.aclose()


async def test_after_five_messages_the_number_alone_is_busy(
    serve: Serve, emulator: Emulator
) -> None:
    """60203: for up to ten minutes, which is no matter of thirty seconds."""
    service = await serve("twilio")
    emulator.twilio.max_sends = 1
    for _ in range(FAILURES):
        sent = await start(service, "en")
        emulator.clock.tick(31)
        another = start(service, "en", phone=sent.phone.e164)
        assert await outcome(another) is NumberBusy
    assert emulator.count("twilio.start") == 2 * FAILURES

    assert await outcome(start(service, "en")) is None


@pytest.mark.parametrize(("channel", "code"), [(SMS, 21608), (VOICE, 21219), (SMS, 572005)])
async def test_a_trial_account_refuses_one_number_and_says_what_to_do(
    serve: Serve,
    emulator: Emulator,
    production_log: Lines,
    channel: Channel,
    code: int,
) -> None:
    service = await serve("twilio")
    emulator.fail("twilio.start", answer_to(code))

    with pytest.raises(ProviderRejected) as caught:
        await start(service, "en", channel)

    assert caught.value.refusal is Refusal.NUMBER
    [line] = production_log.named("provider.error_returned")
    assert line["vendor_code"] == code
    assert line["mend"] == "trial account: verify this number at Twilio first"
    assert await outcome(start(service, "en", channel)) is None


@pytest.mark.parametrize(
    ("vendor", "answer", "vendor_code", "detail"),
    [
        ("twilio", Answer(400, {"code": 21612}), 21612, "refused_channel 400 21612"),
        ("twilio", Answer(400, {"code": 672005}), 672005, "refused_channel 400 672005"),
        ("twilio", Answer(400, {"code": 14155552671}), "", "refused_channel 400"),
        ("twilio", Answer(403, "<html>no</html>"), "", "provider_misconfigured 403"),
        ("vonage", vonage_error(412, "network-not-supported"), None, None),
        ("vonage", Answer(400, {"title": "No +14155552671 here"}), "", "refused_channel 400"),
    ],
    ids=ids,
)
async def test_the_providers_code_is_in_the_log_and_in_the_audit(
    serve: Serve,
    emulator: Emulator,
    store: SqlStore,
    production_log: Lines,
    vendor: str,
    answer: Answer,
    vendor_code: int | str | None,
    detail: str | None,
) -> None:
    service = await serve(vendor)
    emulator.fail(f"{vendor}.start", answer)

    await outcome(start(service, "en"))

    [line] = production_log.named("provider.error_returned")
    assert line["vendor_code"] == ("precondition-failed" if vendor_code is None else vendor_code)
    async with connected(store.engine) as connection:
        query = select(audit.c.detail).where(audit.c.stage == Stage.ANSWERED)
        [recorded] = (await connection.execute(query)).scalars()
    assert recorded == (detail or "refused_number 412 precondition-failed")


# A language that the provider does not have


@pytest.fixture(params=MAKERS)
def vendor(request: pytest.FixtureRequest, emulator: Emulator) -> str:
    """Each provider, at which the operator's template has no German."""
    emulator.twilio.untranslated = {"de"}
    emulator.vonage.untranslated = {"de-de"}
    return str(request.param)


def locales(emulator: Emulator) -> list[str]:
    """The first two letters of the languages that were asked for, in turn."""
    asked = [request for request in emulator.requests if request.operation.endswith(".start")]
    return [str(request.body.get("Locale", request.body.get("locale")))[:2] for request in asked]


async def test_a_refused_language_sends_nothing_and_the_next_try_is_in_the_fallback(
    serve: Serve, emulator: Emulator, vendor: str
) -> None:
    """At once, by the same person, under the limit of one message to a number in 30 seconds."""
    service = await serve(vendor)
    client, phone = Client(Flow("mine"), "203.0.113.7", language="de"), PhoneNumber("+14155552671")

    with pytest.raises(LanguageRefused):
        await service.start(client, phone, SMS)
    assert emulator.messages == []
    assert locales(emulator) == ["de"]

    await service.start(client, phone, SMS)

    assert locales(emulator) == ["de", "en"]
    assert len(emulator.messages) == 1


async def test_everybody_else_in_that_language_gets_the_fallback_without_an_error(
    serve: Serve, emulator: Emulator, vendor: str
) -> None:
    service = await serve(vendor)
    await outcome(start(service, "de"))

    for _ in range(3):
        assert await outcome(start(service, "de")) is None

    assert locales(emulator) == ["de", "en", "en", "en"]


async def test_other_channels_and_languages_keep_theirs(
    serve: Serve, emulator: Emulator, vendor: str
) -> None:
    service = await serve(vendor)
    await outcome(start(service, "de"))
    emulator.twilio.untranslated = emulator.vonage.untranslated = set()

    for language, channel in (("de", VOICE), ("fr", SMS), ("de", SMS)):
        await start(service, language, channel)

    assert locales(emulator) == ["de", "de", "fr", "en"]


async def test_a_refusal_is_forgotten_so_that_a_mended_template_is_used_again(
    serve: Serve, emulator: Emulator, vendor: str
) -> None:
    service = await serve(vendor)
    await outcome(start(service, "de"))
    emulator.twilio.untranslated = emulator.vonage.untranslated = set()

    emulator.clock.tick(REMEMBERED - 1)
    await start(service, "de")
    emulator.clock.tick(1)
    await start(service, "de")

    assert locales(emulator) == ["de", "en", "de"]


async def test_a_refused_language_when_it_is_sent_again_is_no_end_of_it(
    serve: Serve, emulator: Emulator, vendor: str
) -> None:
    """The template is broken between two messages of one verification."""
    emulator.twilio.untranslated = emulator.vonage.untranslated = set()
    service = await serve(vendor)
    started = await start(service, "de")
    client = Client(started.flow, "203.0.113.7", language="de")
    emulator.clock.tick(31)
    emulator.twilio.untranslated, emulator.vonage.untranslated = {"de"}, {"de-de"}

    with pytest.raises(LanguageRefused):
        await service.resend(client, started.id, SMS)
    if isinstance(provider := service.providers[vendor], VonageProvider):
        provider._cancel_window._started.clear()  # as half a minute after the start
    sent = await service.resend(client, started.id, SMS)

    assert sent.id == started.id
    assert sent.sends == 2
    assert locales(emulator) == ["de", "de", "en"]
    code = emulator.messages[-1].code
    assert await outcome(service.check(client, started.id, code)) is None


async def test_the_operator_hears_which_language_is_missing_and_where(
    serve: Serve,
    emulator: Emulator,
    production_log: Lines,
    vendor: str,
) -> None:
    service = await serve(vendor)
    for _ in range(3):
        await outcome(start(service, "de"))

    [line] = production_log.named("provider.language_refused")
    assert line["level"] == "error"
    assert (line["provider"], line["channel"], line["seconds"]) == (vendor, "sms", REMEMBERED)
    assert (line["language"][:2], line["fallback"][:2]) == ("de", "en")
    assert len(emulator.messages) == 2


@pytest.fixture
def tags(request: pytest.FixtureRequest) -> list[str]:
    """Return all languages of two letters: each with one of three endings, at night with all."""
    languages = [f"{first}{second}" for first in ascii_lowercase for second in ascii_lowercase]
    endings = ("", "-XX", "-Latn")
    if request.config.getoption("nightly"):
        return [f"{one}{ending}" for one in languages for ending in endings]
    return [f"{one}{endings[place % 3]}" for place, one in enumerate(languages)]


async def test_what_is_remembered_is_bounded_by_the_providers_own_languages(
    emulator: Emulator, vendor: str, tags: list[str]
) -> None:
    """Callers may name any language; hundreds of tags come to those that the provider has."""
    memories: list[RefusedLanguages] = []
    refusals: list[tuple[str, str, str]] = []

    def remembering(provider: str, fallback: str) -> RefusedLanguages:
        memories.append(RefusedLanguages(provider, fallback, lambda *one: refusals.append(one)))
        return memories[-1]

    provider = MAKERS[vendor](emulator.url, languages=remembering)
    await provider.open()
    emulator.fail(
        f"{vendor}.start",
        Answer(400, {"code": 60229}) if vendor == "twilio" else OF_VONAGE["the language"],
        times=None,
    )
    for tag in tags:
        with pytest.raises(OtpError):
            await provider.start(PhoneNumber("+14155552671"), SMS, tag)

    [memory] = memories
    assert 10 < len(memory._until) < 50
    assert len(refusals) == len(memory._until)
    await provider.aclose()

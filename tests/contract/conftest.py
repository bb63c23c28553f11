"""The providers as they are, on the emulator: real SDKs, real HTTP, no mocks."""

from __future__ import annotations

import functools
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from otp_app.providers.console import ConsoleProvider
from otp_app.providers.transport import TIMEOUTS, Timeouts
from otp_app.providers.twilio.provider import TwilioProvider
from otp_app.providers.vonage.provider import VonageProvider
from tests import emulator as known
from tests.contract.numbers import PHONE
from tests.emulator import Clock, Emulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otp_app.verification.ports import Provider

WHATSAPP_NUMBER = "447700900321"  # twelve digits, which the SDK does not take

HASTY = Timeouts(send=1.0, check=0.8, connect=0.7)
"""For services that hang, so that they do not hold the tests up."""


@dataclass(frozen=True)
class Sent:
    """A message as the person gets it."""

    channel: str
    to: str
    code: str


@dataclass(frozen=True)
class Service:
    """A provider, the service behind it and what that has sent."""

    name: str
    provider: Provider
    clock: Clock
    lifetime: float
    sent: Callable[[], list[Sent]]


@pytest.fixture(autouse=True, scope="session")
def _key_is_read_once() -> Iterator[None]:
    """Keep the private key in memory. PyJWT needs 43 ms to check it, for each provider anew."""
    with pytest.MonkeyPatch.context() as patch:
        load = functools.cache(load_pem_private_key)
        patch.setattr("jwt.algorithms.load_pem_private_key", load)
        yield


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Both services; afterwards every request must have obeyed their official documents."""
    with Emulator() as services:
        services.vonage.whatsapp_number = services.twilio.whatsapp_sender = WHATSAPP_NUMBER
        yield services
        assert services.violations == []


def make_twilio(
    url: str,
    timeouts: Timeouts = TIMEOUTS,
    locale: str = "en-US",
    in_flight: int = 4,
    **more: Any,  # noqa: ANN401 - whatever the provider takes
) -> TwilioProvider:
    return TwilioProvider(
        known.TWILIO_ACCOUNT_SID,
        known.TWILIO_AUTH_TOKEN,
        known.TWILIO_SERVICE_SID,
        url,
        locale,
        timeouts=timeouts,
        in_flight=in_flight,
        **more,
    )


def make_vonage(
    url: str,
    timeouts: Timeouts = TIMEOUTS,
    in_flight: int = 4,
    **more: Any,  # noqa: ANN401 - likewise
) -> VonageProvider:
    return VonageProvider(
        "otp_app",
        url,
        "en-US",
        api_key=known.VONAGE_API_KEY,
        api_secret=known.VONAGE_API_SECRET,
        whatsapp_from=WHATSAPP_NUMBER,
        timeouts=timeouts,
        in_flight=in_flight,
        **more,
    )


MAKERS: dict[str, Callable[..., Provider]] = {
    "twilio": make_twilio,
    "vonage": make_vonage,
}


@pytest_asyncio.fixture
async def twilio(emulator: Emulator) -> AsyncIterator[TwilioProvider]:
    provider = make_twilio(emulator.url)
    await provider.open()
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture
async def vonage(emulator: Emulator) -> AsyncIterator[VonageProvider]:
    provider = make_vonage(emulator.url)
    await provider.open()
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture
async def hasty_vonage(emulator: Emulator) -> AsyncIterator[VonageProvider]:
    provider = make_vonage(emulator.url, HASTY)
    await provider.open()
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture(params=MAKERS)
async def vendor(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Provider]:
    """Each provider with a service behind it."""
    provider = MAKERS[request.param](emulator.url, TIMEOUTS)
    await provider.open()
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture(params=MAKERS)
async def hasty(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Provider]:
    """Each provider with a service behind it, soon out of patience."""
    provider = MAKERS[request.param](emulator.url, HASTY)
    await provider.open()
    yield provider
    await provider.aclose()


@pytest_asyncio.fixture(params=["console", *MAKERS])
async def service(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Service]:
    """Each provider there is."""
    made = (
        _console(emulator.clock) if request.param == "console" else _real(request.param, emulator)
    )
    await made.provider.open()
    yield made
    await made.provider.aclose()


def _real(name: str, emulator: Emulator) -> Service:
    def sent() -> list[Sent]:
        return [Sent(item.channel, item.to, item.code) for item in emulator.messages]

    lifetime = {"twilio": 600, "vonage": 1800}[name]
    return Service(name, MAKERS[name](emulator.url, TIMEOUTS), emulator.clock, lifetime, sent)


def _console(clock: Clock) -> Service:
    out = io.StringIO()

    def sent() -> list[Sent]:
        lines = re.findall(r"  ☎  (.*?) +to •••\d{3} — .*(\d{6})", out.getvalue())
        channels = {"Text message": "sms", "Phone call": "voice", "WhatsApp": "whatsapp"}
        return [Sent(channels[name], PHONE.e164, code) for name, code in lines]

    return Service("console", ConsoleProvider(b"s" * 32, clock.now, out), clock, 600, sent)

"""The composition root: what the settings say is what runs."""

from __future__ import annotations

import asyncio
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import structlog

from otp_app import services
from otp_app.bootstrap import running
from otp_app.config import SettingsError, load_settings
from otp_app.errors import NumberUnfit
from otp_app.phone import PhoneNumber
from otp_app.verification import background
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow, Status
from tests import emulator as known
from tests.contract.observing import arrived
from tests.emulator import Emulator, Hang, Hold, Line
from tests.receiver import Backend, new_secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLIENT = Client(Flow("flow-1"), "203.0.113.7")
PHONE, OTHER_PHONE = PhoneNumber("+447400123456"), PhoneNumber("+447400123457")
TWILIO = {
    "NUMBER_LOOKUP": "twilio",
    "TWILIO_ACCOUNT_SID": known.TWILIO_ACCOUNT_SID,
    "TWILIO_AUTH_TOKEN": known.TWILIO_AUTH_TOKEN,
}
WHATSAPP_NUMBER = "447700900321"
TEMPLATE_SID = "HJ" + "0" * 32
TEMPLATE_ID = "8f35a1a7-eb2f-4552-8fdf-fffdaee41bc9"
SENDERS = {
    "twilio": {
        "OTP_PROVIDER": "twilio",
        "TWILIO_ACCOUNT_SID": known.TWILIO_ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": known.TWILIO_AUTH_TOKEN,
        "TWILIO_VERIFY_SERVICE_SID": known.TWILIO_SERVICE_SID,
        "TWILIO_TEMPLATE_SID": TEMPLATE_SID,
    },
    "vonage": {
        "OTP_PROVIDER": "vonage",
        "VONAGE_API_KEY": known.VONAGE_API_KEY,
        "VONAGE_API_SECRET": known.VONAGE_API_SECRET,
        "VONAGE_WHATSAPP_FROM": WHATSAPP_NUMBER,
        "VONAGE_TEMPLATE_ID": TEMPLATE_ID,
    },
}
VONAGE = {"NUMBER_LOOKUP": "vonage", "VONAGE_APPLICATION_ID": known.VONAGE_APPLICATION_ID}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as services_:
        yield services_
        assert services_.violations == []


@pytest.fixture(autouse=True)
def _surroundings(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, tmp_path: Path
) -> Iterator[None]:
    """A database of its own; afterwards the logging is as it was."""
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/otp.db")
    monkeypatch.setenv("TWILIO_LOOKUPS_BASE_URL", emulator.url)
    monkeypatch.setenv("VONAGE_INSIGHTS_BASE_URL", emulator.url)
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)
    structlog.reset_defaults()


async def test_the_terminal_shows_where_the_simulated_phone_is_and_its_token_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """S13."""
    tokens = set[str]()
    for _ in range(2):
        async with running(load_settings(None)):
            phone = services.current().simulated_phone
            assert phone is not None
        written = capsys.readouterr().out
        assert written.count(f"http://localhost:3000/phone?token={phone.token}\n") == 1
        assert written.count(phone.token) == 1
        tokens.add(phone.token)

    assert [len(token) for token in tokens] == [32, 32]


async def start() -> Status:
    return (await services.current().verifications.start(CLIENT, PHONE, Channel.SMS)).status


def environment(name: str) -> dict[str, str]:
    return (
        TWILIO if name == "twilio" else VONAGE | {"VONAGE_PRIVATE_KEY": known.vonage_private_key()}
    )


@pytest.mark.parametrize("name", ["twilio", "vonage"])
async def test_a_look_that_is_set_stops_a_number_and_gives_everything_back(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, name: str
) -> None:
    for setting, value in environment(name).items():
        monkeypatch.setenv(setting, value)
    emulator.lines[PHONE.e164] = Line(sim_swapped_at=datetime.now(UTC))

    async with running(load_settings(None)):
        with pytest.raises(NumberUnfit):
            await start()

    assert emulator.count(f"{name}.look") == 1
    assert not [thread for thread in map(str, threading.enumerate()) if "-look" in thread]


@pytest.mark.parametrize("name", ["twilio", "vonage"])
async def test_a_look_that_hangs_is_over_in_its_time_and_the_code_is_sent(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, name: str
) -> None:
    for setting, value in (environment(name) | {"NUMBER_LOOKUP_TIMEOUT": "0.2"}).items():
        monkeypatch.setenv(setting, value)
    emulator.fail(f"{name}.look", Hang(60), times=None)

    async with running(load_settings(None)):
        assert await start() is Status.PENDING


async def test_a_backend_that_is_set_is_told_of_an_approval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], emulator: Emulator
) -> None:
    monkeypatch.setattr(background, "INTERVAL", 0.01)
    secret = new_secret()
    with Backend() as backend:
        account = {"TWILIO_BASE_URL": emulator.url, "OTP_PROVIDER": "twilio"} | {
            name: value for name, value in TWILIO.items() if name != "NUMBER_LOOKUP"
        }
        account["TWILIO_VERIFY_SERVICE_SID"] = known.TWILIO_SERVICE_SID
        settings = {"WEBHOOK_URL": backend.url, "WEBHOOK_SECRETS": secret}
        for setting, value in (account | settings).items():
            monkeypatch.setenv(setting, value)
        async with running(load_settings(None)):
            service = services.current().verifications
            started = await service.start(CLIENT, PHONE, Channel.SMS)
            code = emulator.messages[-1].code
            await service.check(CLIENT, started.id, code)
            await asyncio.to_thread(backend.wait_for, 1)

        (post,) = backend.posts
    told = post.verified(secret)
    assert (told["type"], told["data"]["phone"]) == ("verification.approved", PHONE.e164)
    assert started.reference
    sent = f"{post.path} {post.headers} {post.body.decode()}"
    assert not [text for text in (started.reference, code, CLIENT.flow) if text in sent]
    out = capsys.readouterr().out
    assert not [text for text in (PHONE.digits, secret, backend.url) if text in out]


async def test_a_stop_waits_for_a_send_whose_page_is_gone(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator
) -> None:
    """F25: the server closes the sockets first, then ends the lifespan."""
    account = {"TWILIO_BASE_URL": emulator.url, "OTP_PROVIDER": "twilio"} | {
        name: value for name, value in TWILIO.items() if name != "NUMBER_LOOKUP"
    }
    account["TWILIO_VERIFY_SERVICE_SID"] = known.TWILIO_SERVICE_SID
    for setting, value in account.items():
        monkeypatch.setenv(setting, value)
    released = threading.Event()
    emulator.fail("twilio.start", Hold(released))

    async with running(load_settings(None)):
        page = asyncio.create_task(start())
        await arrived(emulator, "twilio.start", 1)
        page.cancel()
        await asyncio.wait([page])
        asyncio.get_running_loop().call_soon(released.set)  # during the stop

    assert page.cancelled()
    async with running(load_settings(None)):
        current = await services.current().verifications.current(CLIENT.flow)
        assert current
        assert current.status is Status.PENDING
        code = emulator.messages[-1].code
        await services.current().verifications.check(CLIENT, current.id, code)
    assert len(emulator.messages) == 1


@pytest.mark.parametrize("name", ["twilio", "vonage"])
async def test_channels_and_words_that_are_set_are_those_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator, name: str
) -> None:
    emulator.twilio.whatsapp_sender = emulator.vonage.whatsapp_number = WHATSAPP_NUMBER
    emulator.twilio.templates.add(TEMPLATE_SID)
    emulator.vonage.templates.add(TEMPLATE_ID)
    base_url = {f"{name.upper()}_BASE_URL": emulator.url}
    for setting, value in (base_url | SENDERS[name] | {"CHANNELS": "whatsapp,sms"}).items():
        monkeypatch.setenv(setting, value)

    async with running(load_settings(None)):
        service = services.current().verifications
        await service.start(CLIENT, PHONE)
        await service.start(replace(CLIENT, flow=Flow("flow-2")), OTHER_PHONE, Channel.SMS)

    by_whatsapp, by_text = (one.body for one in emulator.requests if "start" in one.operation)
    assert [message.channel for message in emulator.messages] == ["whatsapp", "sms"]
    assert not {TEMPLATE_SID, TEMPLATE_ID} & {str(value) for value in by_whatsapp.values()}
    assert {TEMPLATE_SID, TEMPLATE_ID} & {str(value) for value in by_text.values()}
    assert len(by_text.get("workflow", [by_text])) == 1  # no call after it


async def test_whatsapp_without_a_sender_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, emulator: Emulator
) -> None:
    for setting, value in (SENDERS["twilio"] | {"TWILIO_BASE_URL": emulator.url}).items():
        monkeypatch.setenv(setting, value)
    monkeypatch.setenv("CHANNELS", "sms,whatsapp")

    with pytest.raises(SettingsError) as caught:
        async with running(load_settings(None)):
            raise AssertionError("it started")

    assert "WhatsApp sender if CHANNELS has whatsapp" in str(caught.value)


async def test_without_a_look_nobody_is_asked(emulator: Emulator) -> None:
    async with running(load_settings(None)):
        assert await start() is Status.PENDING

    assert emulator.requests == []


async def test_a_key_that_cannot_look_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, value in (VONAGE | {"VONAGE_PRIVATE_KEY": "/nowhere/canary.key"}).items():
        monkeypatch.setenv(setting, value)
    monkeypatch.setenv("OTP_PROVIDER", "console")

    with pytest.raises(SettingsError) as caught:
        async with running(load_settings(None)):
            raise AssertionError("it started")

    assert "VONAGE_PRIVATE_KEY" in str(caught.value)
    assert "canary" not in str(caught.value)

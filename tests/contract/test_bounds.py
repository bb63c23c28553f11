"""A slow service does not block the event loop or the checks, nor keep a connection for good."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING

import pytest
import structlog

from otp_app.errors import OtpError, ProviderTimedOut, ProviderUnavailable
from otp_app.phone import PhoneNumber
from otp_app.providers.transport import Timeouts
from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.conftest import MAKERS
from tests.contract.numbers import PHONE
from tests.contract.observing import arrived
from tests.emulator import Emulator, Hang, Html, Trickle, WrongJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otp_app.verification.ports import Provider

PATIENT = Timeouts(send=30.0, check=30.0, connect=10.0)
"""With these a call that has to wait for those that hang waits longer than the test."""

TURNS = 10  # of the event loop in a second; a call that blocks it leaves it one
MANY = [PhoneNumber(f"+1415555{n:04}") for n in range(1000, 1004)]


async def turns_until_done(tasks: Sequence[asyncio.Task[object]]) -> int:
    """Return the number of consecutive sleeps of 10 ms until the first of *tasks* has ended."""
    turns = 0
    while not any(task.done() for task in tasks):
        await asyncio.sleep(0.01)
        turns += 1
    return turns


async def outcome_of(sending: asyncio.Task[object]) -> type[OtpError] | None:
    try:
        await sending
    except OtpError as exc:
        return type(exc)
    return None


async def hanging(tasks: Sequence[asyncio.Task[object]]) -> int:
    """Return the number of *tasks* that are still waiting after each had a chance to run."""
    await asyncio.sleep(0)
    return sum(not task.done() for task in tasks)


def cut_connections(emulator: Emulator) -> None:
    """End what hangs: the services hang up, and take new connections."""
    emulator.stop()
    emulator.start()


@pytest.mark.parametrize("fault", [Hang(5), Trickle(5)], ids=["hanging", "trickling"])
async def test_the_event_loop_goes_on_while_a_service_is_slow(
    hasty: Provider, emulator: Emulator, fault: Hang | Trickle
) -> None:
    emulator.fail(f"{hasty.name}.start", fault, times=None)
    sending = [asyncio.create_task(hasty.start(number, Channel.SMS)) for number in MANY]

    assert await turns_until_done(sending) > TURNS

    assert {await outcome_of(task) for task in sending} == {ProviderTimedOut}


@pytest.mark.parametrize("vendor", MAKERS)
async def test_checks_go_on_while_sends_hang(vendor: str, emulator: Emulator) -> None:
    provider = MAKERS[vendor](emulator.url, PATIENT)
    await provider.open()
    reference = await provider.start(PHONE, Channel.SMS)
    code = emulator.messages[0].code
    emulator.fail(f"{vendor}.start", Hang(30), times=None)
    sending = [asyncio.create_task(provider.start(number, Channel.SMS)) for number in MANY]
    await arrived(emulator, f"{vendor}.start", 1 + len(MANY))

    assert await provider.check(reference, PHONE, code) is CheckOutcome.APPROVED

    assert await hanging(sending)
    emulator.stop()  # cuts the connections
    await asyncio.gather(*sending, return_exceptions=True)
    await provider.aclose()


@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_full_bulkhead_refuses_at_once(vendor: str, emulator: Emulator) -> None:
    provider = MAKERS[vendor](emulator.url, PATIENT, in_flight=2)
    await provider.open()
    emulator.fail(f"{vendor}.start", Hang(30), times=None)
    sending = [asyncio.create_task(provider.start(number, Channel.SMS)) for number in MANY[:2]]
    await arrived(emulator, f"{vendor}.start", 2)

    with pytest.raises(ProviderUnavailable):
        await provider.start(PHONE, Channel.SMS)

    assert await hanging(sending) == 2
    cut_connections(emulator)
    assert [await outcome_of(task) for task in sending] == [ProviderTimedOut] * 2
    assert emulator.count(f"{vendor}.start") == 2
    emulator.heal()
    await provider.start(PHONE, Channel.SMS)
    await provider.aclose()


async def test_closing_gives_everything_back(hasty: Provider, emulator: Emulator) -> None:
    await asyncio.gather(*(hasty.start(number, Channel.SMS) for number in MANY))
    emulator.fail(f"{hasty.name}.start", Hang(5), times=None)
    with pytest.raises(ProviderTimedOut):
        await hasty.start(PHONE, Channel.SMS)

    await hasty.aclose()

    with pytest.raises(ProviderUnavailable):
        await hasty.start(PHONE, Channel.SMS)
    assert not [name for name in map(str, threading.enumerate()) if "vonage" in name]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    "fault", [None, Hang(5), Html(502), WrongJson({})], ids=["fine", "hanging", "page", "wrong"]
)
async def test_nothing_of_ours_is_logged_that_is_anybodys(
    hasty: Provider, emulator: Emulator, caplog: pytest.LogCaptureFixture, fault: Hang | None
) -> None:
    caplog.set_level(logging.INFO)
    reference = await hasty.start(PHONE, Channel.SMS)
    code = emulator.messages[0].code
    if fault:
        emulator.fail(f"{hasty.name}.start", fault)
        emulator.fail(f"{hasty.name}.check", fault)

    with structlog.testing.capture_logs() as events:
        await asyncio.gather(
            hasty.start(PHONE, Channel.VOICE),
            hasty.check(reference, PHONE, code),
            return_exceptions=True,
        )

    logged = f"{events} {caplog.text}"
    for secret in (PHONE.digits, code, reference, emulator.url):
        assert secret not in logged

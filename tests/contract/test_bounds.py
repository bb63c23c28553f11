"""What a slow service cannot take from us: the event loop, the checks, a thread for good."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest
import structlog

from otp_app.errors import OtpError, ProviderTimedOut, ProviderUnavailable
from otp_app.phone import PhoneNumber
from otp_app.providers.vonage import THREADS, WAITING
from otp_app.verification.models import Channel, CheckOutcome
from tests.contract.conftest import HASTY, make_twilio
from tests.contract.numbers import PHONE
from tests.contract.observing import arrived
from tests.emulator import Emulator, Hang, Html, Trickle, WrongJson

if TYPE_CHECKING:
    from otp_app.providers.vonage import VonageProvider
    from otp_app.verification.ports import Provider

AT_ONCE = 0.4  # seconds, on a busy machine; what waits or blocks takes all of its deadline
MANY = [PhoneNumber(f"+1415555{n:04}") for n in range(1000, 1000 + THREADS + WAITING)]


async def worst_lag(seconds: float) -> float:
    """How late the event loop came at worst to what was due every 10 ms."""
    worst, ends = 0.0, time.monotonic() + seconds
    while (before := time.monotonic()) < ends:
        await asyncio.sleep(0.01)
        worst = max(worst, time.monotonic() - before - 0.01)
    return worst


async def outcome_of(sending: asyncio.Task[object]) -> type[OtpError] | None:
    try:
        await sending
    except OtpError as exc:
        return type(exc)
    return None


@pytest.mark.parametrize("fault", [Hang(5), Trickle(5)], ids=["hanging", "trickling"])
async def test_the_event_loop_goes_on_while_a_service_is_slow(
    hasty: Provider, emulator: Emulator, fault: Hang | Trickle
) -> None:
    emulator.fail(f"{hasty.name}.start", fault, times=None)
    sending = [asyncio.create_task(hasty.start(number, Channel.SMS)) for number in MANY[:4]]

    assert await worst_lag(HASTY.send) < AT_ONCE

    assert {await outcome_of(task) for task in sending} == {ProviderTimedOut}


async def test_checks_go_on_while_sends_hang(hasty: Provider, emulator: Emulator) -> None:
    reference = await hasty.start(PHONE, Channel.SMS)
    code = emulator.messages[0].code
    emulator.fail(f"{hasty.name}.start", Hang(5), times=None)
    sending = [asyncio.create_task(hasty.start(number, Channel.SMS)) for number in MANY]
    await arrived(emulator, f"{hasty.name}.start", 4)

    began = time.monotonic()
    assert await hasty.check(reference, PHONE, code) is CheckOutcome.APPROVED
    assert time.monotonic() - began < AT_ONCE

    await asyncio.gather(*sending, return_exceptions=True)


async def test_twilio_refuses_at_once_what_is_too_much(emulator: Emulator) -> None:
    provider = make_twilio(emulator.url, HASTY, in_flight=2)
    await provider.open()
    emulator.fail("twilio.start", Hang(5), times=None)
    sending = [asyncio.create_task(provider.start(number, Channel.SMS)) for number in MANY[:2]]
    await arrived(emulator, "twilio.start", 2)

    began = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        await provider.start(PHONE, Channel.SMS)
    assert time.monotonic() - began < AT_ONCE

    assert [await outcome_of(task) for task in sending] == [ProviderTimedOut] * 2
    assert emulator.count("twilio.start") == 2
    emulator.heal()
    await provider.start(PHONE, Channel.SMS)
    await provider.aclose()


async def test_vonage_refuses_at_once_what_is_too_much(
    hasty_vonage: VonageProvider, emulator: Emulator
) -> None:
    emulator.fail("vonage.start", Hang(5), times=None)
    sending = [asyncio.create_task(hasty_vonage.start(number, Channel.SMS)) for number in MANY]
    await arrived(emulator, "vonage.start", THREADS)

    began = time.monotonic()
    with pytest.raises(ProviderUnavailable):
        await hasty_vonage.start(PHONE, Channel.SMS)
    assert time.monotonic() - began < AT_ONCE

    emulator.heal()
    outcomes = [await outcome_of(task) for task in sending]
    assert outcomes[:THREADS] == [ProviderTimedOut] * THREADS
    assert emulator.count("vonage.start") >= THREADS + outcomes[THREADS:].count(None)


async def test_vonage_never_sends_what_was_still_waiting_when_its_time_was_over(
    hasty_vonage: VonageProvider, emulator: Emulator
) -> None:
    blocked = threading.Event()
    lane = hasty_vonage._sends._executor
    workers = [lane.submit(blocked.wait) for _ in range(THREADS)]

    try:
        with pytest.raises(ProviderUnavailable):
            await hasty_vonage.start(PHONE, Channel.SMS)
    finally:
        blocked.set()

    assert all(worker.result() for worker in workers)
    assert lane.submit(lambda: "the next in the queue").result() == "the next in the queue"
    assert emulator.requests == []


async def test_vonage_takes_its_thread_back_from_an_answer_that_does_not_end(
    hasty_vonage: VonageProvider, emulator: Emulator
) -> None:
    emulator.fail("vonage.start", Trickle(30), times=None)
    with pytest.raises(ProviderTimedOut):
        await hasty_vonage.start(PHONE, Channel.SMS)

    await asyncio.sleep(AT_ONCE)

    assert hasty_vonage._sends._calls == set()


async def test_closing_gives_everything_back(hasty: Provider, emulator: Emulator) -> None:
    await asyncio.gather(*(hasty.start(number, Channel.SMS) for number in MANY[:4]))
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

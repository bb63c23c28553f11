"""The phone of local work: what arrives on it, and what each of its switches makes go wrong."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime

import pytest

from otp_app.errors import (
    ProviderError,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.phone import PhoneNumber
from otp_app.providers.console import ConsoleProvider
from otp_app.providers.simulated_phone import MAX_MESSAGES, SILENCE, SimulatedPhone, Trouble
from otp_app.verification.models import Channel, CheckOutcome
from tests.emulator import Clock

PHONE = PhoneNumber("+447400123456")
FAILURES = [
    (Trouble.DOWN, ProviderUnavailable),
    (Trouble.THROTTLED, ProviderThrottled),
    (Trouble.TIMED_OUT, ProviderTimedOut),
]


class Local:
    """The console, its phone, a terminal, and time that passes when somebody waits."""

    def __init__(self) -> None:
        self.clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
        self.waits: list[float] = []
        self.out = io.StringIO()
        self.phone = SimulatedPhone(self.clock.now, self._wait)
        self.console = ConsoleProvider(b"s" * 32, self.clock.now, self.out, self.phone)

    async def _wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.tick(seconds)

    @property
    def codes(self) -> list[str]:
        return [message.code for message in self.phone.messages]


@pytest.fixture
def local() -> Local:
    return Local()


@pytest.mark.parametrize("channel", Channel)
async def test_what_is_sent_arrives_at_once(local: Local, channel: Channel) -> None:
    reference = await local.console.start(PHONE, channel)

    [message] = local.phone.messages
    assert (message.channel, message.ending) == (channel, "456")
    assert message.arrives_at == local.clock.now()
    outcome = await local.console.check(reference, PHONE, message.code)
    assert outcome is CheckOutcome.APPROVED


async def test_the_newest_message_comes_first_and_old_ones_are_forgotten(local: Local) -> None:
    for _ in range(MAX_MESSAGES + 1):
        await local.console.start(PHONE, Channel.SMS)
        local.clock.tick(1)

    sent = re.findall(r"\d{6}", local.out.getvalue())
    assert local.codes == sent[:0:-1]


async def test_the_terminal_says_where_the_phone_is(local: Local) -> None:
    await local.console.start(PHONE, Channel.SMS)

    assert f"your code is {local.codes[0]} (open /phone to see it)\n" in local.out.getvalue()


async def test_a_late_message_arrives_when_its_time_has_come(local: Local) -> None:
    local.phone.trouble, local.phone.delay = Trouble.LATE, 30
    await local.console.start(PHONE, Channel.SMS)
    local.phone.trouble = Trouble.NONE

    local.clock.tick(29)
    assert local.codes == []
    local.clock.tick(1)
    assert len(local.codes) == 1


async def test_a_late_message_comes_after_one_that_was_sent_later(local: Local) -> None:
    local.phone.trouble = Trouble.LATE
    await local.console.start(PHONE, Channel.SMS)
    local.phone.trouble = Trouble.NONE
    await local.console.start(PHONE, Channel.VOICE)
    local.clock.tick(local.phone.delay)

    assert [message.channel for message in local.phone.messages] == [Channel.SMS, Channel.VOICE]


async def test_a_lost_message_was_sent_and_never_arrives(local: Local) -> None:
    local.phone.trouble = Trouble.LOST

    reference = await local.console.start(PHONE, Channel.SMS)

    [code] = re.findall(r"\d{6}", local.out.getvalue())
    local.clock.tick(500)
    assert local.codes == []
    assert await local.console.check(reference, PHONE, code) is CheckOutcome.APPROVED


async def test_a_landline_refuses_texts_and_takes_calls(local: Local) -> None:
    local.phone.trouble = Trouble.LANDLINE

    with pytest.raises(ProviderRejected) as refused:
        await local.console.start(PHONE, Channel.SMS)
    await local.console.start(PHONE, Channel.VOICE)

    assert refused.value.refusal is Refusal.LANDLINE
    assert [message.channel for message in local.phone.messages] == [Channel.VOICE]


async def test_every_code_is_answered_wrong_until_there_are_no_more_guesses(local: Local) -> None:
    reference = await local.console.start(PHONE, Channel.SMS)
    local.phone.trouble = Trouble.WRONG_CODE

    outcomes = [await local.console.check(reference, PHONE, local.codes[0]) for _ in range(6)]

    assert outcomes == [CheckOutcome.MISMATCH] * 5 + [CheckOutcome.EXHAUSTED]


async def test_every_code_is_answered_expired(local: Local) -> None:
    reference = await local.console.start(PHONE, Channel.SMS)
    local.phone.trouble = Trouble.EXPIRED

    outcome = await local.console.check(reference, PHONE, local.codes[0])

    assert outcome is CheckOutcome.EXPIRED


@pytest.mark.parametrize(("trouble", "failure"), FAILURES)
async def test_a_provider_in_trouble_sends_nothing_and_checks_nothing(
    local: Local, trouble: Trouble, failure: type[ProviderError]
) -> None:
    reference = await local.console.start(PHONE, Channel.SMS)
    before = local.out.getvalue()
    local.phone.trouble = trouble

    for question in (
        local.console.start(PHONE, Channel.SMS),
        local.console.resend(reference, PHONE, Channel.VOICE),
        local.console.check(reference, PHONE, local.codes[0]),
    ):
        with pytest.raises(failure) as failed:
            await question
        assert type(failed.value) is failure

    assert local.out.getvalue() == before
    assert len(local.codes) == 1


@pytest.mark.parametrize("trouble", [Trouble.LANDLINE, *(trouble for trouble, _ in FAILURES)])
async def test_a_resend_that_fails_leaves_the_code_good(local: Local, trouble: Trouble) -> None:
    reference = await local.console.start(PHONE, Channel.SMS)
    local.phone.trouble = trouble
    with pytest.raises(ProviderError):
        await local.console.resend(reference, PHONE, Channel.SMS)
    local.phone.trouble = Trouble.NONE

    outcome = await local.console.check(reference, PHONE, local.codes[0])

    assert outcome is CheckOutcome.APPROVED


async def test_only_a_provider_that_does_not_answer_keeps_people_waiting(local: Local) -> None:
    for trouble in Trouble:
        local.phone.trouble = trouble
        try:
            await local.console.start(PHONE, Channel.SMS)
        except ProviderError:
            continue

    assert local.waits == [SILENCE]

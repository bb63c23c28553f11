"""The behaviour that only the console provider has."""

from __future__ import annotations

import io
import re

import pytest

from otp_app.errors import ProviderUnavailable
from otp_app.providers.console import ConsoleProvider
from otp_app.verification.models import Channel, CheckOutcome, Reference
from tests.contract.numbers import OTHER_PHONE, PHONE, wrong
from tests.emulator import Clock

SECRET = b"s" * 32


class Terminal(io.StringIO):
    """Somewhere a person looks."""

    def isatty(self) -> bool:
        return True


def made(out: io.TextIOBase, clock: Clock | None = None) -> ConsoleProvider:
    return ConsoleProvider(SECRET, (clock or Clock()).now, out)  # type: ignore[arg-type]


def code_in(out: io.StringIO) -> str:
    return str(re.findall(r"\d{6}", out.getvalue())[-1])


@pytest.mark.parametrize(
    ("channel", "line"),
    [
        (Channel.SMS, "\n  ☎  Text message to •••671 — your code is {code}\n\n"),
        (Channel.VOICE, "\n  ☎  Phone call   to •••671 — your code is {code}\n\n"),
        (Channel.WHATSAPP, "\n  ☎  WhatsApp     to •••671 — your code is {code}\n\n"),
    ],
)
async def test_a_message_stands_apart_and_shows_the_end_of_the_number_only(
    channel: Channel, line: str
) -> None:
    out = io.StringIO()

    await made(out).start(PHONE, channel)

    assert out.getvalue() == line.format(code=code_in(out))


async def test_on_a_terminal_the_code_is_bold() -> None:
    out = Terminal()

    await made(out).start(PHONE, Channel.SMS)

    assert re.search(r"\x1b\[1m\d{6}\x1b\[0m\n", out.getvalue())


async def test_a_terminal_that_cannot_write_the_signs_still_shows_the_code() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, "ascii")

    await made(out).start(PHONE, Channel.SMS)

    assert re.search(rb"your code is \d{6}\n", raw.getvalue())


async def test_a_terminal_that_is_closed_sends_nothing() -> None:
    out = io.StringIO()
    out.close()

    with pytest.raises(ProviderUnavailable):
        await made(out).start(PHONE, Channel.SMS)


async def test_a_code_survives_a_restart_of_the_server() -> None:
    out, clock = io.StringIO(), Clock()
    reference = await made(out, clock).start(PHONE, Channel.SMS)

    outcome = await made(out, clock).check(reference, PHONE, code_in(out))

    assert outcome is CheckOutcome.APPROVED


async def test_a_code_is_for_its_number_and_its_reference_only() -> None:
    out = io.StringIO()
    provider = made(out)
    reference = await provider.start(PHONE, Channel.SMS)
    code = code_in(out)
    other = await provider.start(OTHER_PHONE, Channel.SMS)

    assert await provider.check(reference, OTHER_PHONE, code) is CheckOutcome.MISMATCH
    assert await provider.check(other, PHONE, code) is CheckOutcome.MISMATCH


async def test_a_reference_cannot_be_given_a_longer_life() -> None:
    out, clock = io.StringIO(), Clock()
    provider = made(out, clock)
    nonce, expiry, seal = (await provider.start(PHONE, Channel.SMS)).split(":")
    clock.tick(601)

    forged = Reference(f"{nonce}:{int(expiry) + 600}:{seal}")

    assert await provider.check(forged, PHONE, code_in(out)) is CheckOutcome.MISMATCH


@pytest.mark.parametrize("reference", ["", "::", "a:b:c", "a:²:c", "00:99999999999999999999:00"])
async def test_what_is_no_reference_is_over(reference: str) -> None:
    outcome = await made(io.StringIO()).check(Reference(reference), PHONE, "123456")

    assert outcome is CheckOutcome.EXPIRED


async def test_sending_again_ends_the_code_before() -> None:
    out = io.StringIO()
    provider = made(out)
    first = await provider.start(PHONE, Channel.SMS)
    code = code_in(out)

    await provider.resend(first, PHONE, Channel.SMS)

    assert await provider.check(first, PHONE, code) is CheckOutcome.EXPIRED


async def test_it_forgets_what_has_expired() -> None:
    out, clock = io.StringIO(), Clock()
    provider = made(out, clock)
    for _ in range(5):
        reference = await provider.start(PHONE, Channel.SMS)
        await provider.check(reference, PHONE, wrong(code_in(out)))
    clock.tick(601)

    await provider.start(PHONE, Channel.SMS)

    assert provider._tallies == {}

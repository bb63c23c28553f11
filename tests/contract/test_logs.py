"""The logs of the SDKs at level DEBUG, the most verbose one."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import OtpError
from otp_app.verification.models import Channel, Reference
from tests import emulator as known
from tests.browser.recorder import Text
from tests.browser.sweep import Secrets
from tests.contract.conftest import make_twilio, make_vonage
from tests.contract.numbers import PHONE, wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from otp_app.verification.ports import Provider
    from tests.emulator import Emulator
    from tests.logs import Lines

CREDENTIALS = (
    known.TWILIO_AUTH_TOKEN,
    known.TWILIO_SERVICE_SID,
    known.TWILIO_ACCOUNT_SID,
    known.VONAGE_API_SECRET,
)


async def journey(provider: Provider, emulator: Emulator) -> Secrets:
    """All that can be asked, refused and answered; returns what nobody may read of it."""
    await provider.open()
    reference = await provider.start(PHONE, Channel.SMS)
    code = emulator.messages[-1].code
    await provider.check(reference, PHONE, wrong(code))
    unknown = Reference(reference[:-1] + ("0" if reference[-1] != "0" else "1"))
    for refused in (
        provider.start(PHONE, Channel.SMS),
        provider.check(unknown, PHONE, code),
        provider.cancel(unknown),
    ):
        with suppress(OtpError):
            await refused
    await provider.check(reference, PHONE, code)
    await provider.aclose()
    codes = [message.code for message in emulator.messages]
    return Secrets([PHONE.e164], [*codes, wrong(code)], [reference, unknown, *CREDENTIALS])


@pytest.mark.parametrize("make", [make_twilio, make_vonage])
async def test_an_sdk_at_debug_tells_no_secret(
    emulator: Emulator,
    debug_log: Lines,
    make: Callable[[str], Provider],
) -> None:
    secrets = await journey(make(emulator.url), emulator)

    assert "asyncio" in {line["logger"] for line in debug_log.read()}
    assert secrets.found_in([Text("log", line) for line in debug_log.text.splitlines()]) == []

"""The behaviour of a provider that can be observed from outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.verification.models import Channel
from tests.contract.numbers import PHONE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.verification.ports import Provider
    from tests.emulator import Answer, Emulator

Kind = tuple[object, ...]
"""An error in the table of a test: see `kind_of`."""

ONE_REQUEST = "one request"

NUMBER, LANDLINE = (ProviderRejected, Refusal.NUMBER), (ProviderRejected, Refusal.LANDLINE)
COUNTRY, CHANNEL = (ProviderRejected, Refusal.COUNTRY), (ProviderRejected, Refusal.CHANNEL)
BUSY, THROTTLED = (NumberBusy,), (ProviderThrottled,)
BROKEN, DOWN, UNKNOWN = (ProviderMisconfigured,), (ProviderUnavailable,), (ProviderTimedOut,)
LANGUAGE, SETTING = (LanguageRefused, ONE_REQUEST), (ProviderMisconfigured, ONE_REQUEST)
UNCLEAR, NOT_DONE = (ProviderTimedOut, ONE_REQUEST), (ProviderUnavailable, ONE_REQUEST)

SOON = 3.5  # seconds
"""Bounds calls whose deadline is a second or less. A busy machine may add two and a half; without
that deadline the call would take the four seconds or more that production gives it."""


def kind_of(error: OtpError) -> Kind:
    """Return the class of *error* and its refusal, as the table of a test has them.

    In place of a refusal, `ONE_REQUEST` stands for a cause that is in this request alone.
    """
    if isinstance(error, ProviderRejected):
        return type(error), error.refusal
    if isinstance(error, ProviderError) and not error.for_everybody:
        return type(error), ONE_REQUEST
    return (type(error),)


def words_of(error: OtpError) -> str:
    """All that an error says when it is shown or logged."""
    if isinstance(error, NumberBusy) and error.reference:
        assert error.reference not in f"{error!r}"
    return f"{error} {error!r} {error.params}"


async def error_of(call: Awaitable[object]) -> OtpError:
    """Await *call*, which has to fail, and return its error."""
    with pytest.raises(OtpError) as caught:
        await call
    return caught.value


async def assert_start_fails(
    provider: Provider, emulator: Emulator, answer: Answer, expected: Kind
) -> None:
    """Check that a start with the response *answer* raises *expected* after one call.

    The error does not have the number, even if *answer* has it.
    """
    operation = f"{provider.name}.start"
    emulator.fail(operation, answer)

    error = await error_of(provider.start(PHONE, Channel.SMS))

    assert kind_of(error) == expected
    assert PHONE.digits not in words_of(error)
    assert emulator.count(operation) == 1


async def assert_check_fails(
    provider: Provider, emulator: Emulator, answer: Callable[[str], Answer], expected: Kind
) -> None:
    """Check that a check raises *expected*. *answer* makes the response from the reference.

    The error does not have the reference, even if the response has it.
    """
    reference = await provider.start(PHONE, Channel.SMS)
    emulator.fail(f"{provider.name}.check", answer(reference))

    error = await error_of(provider.check(reference, PHONE, emulator.messages[0].code))

    assert kind_of(error) == expected
    assert reference not in words_of(error)


async def assert_cancel_fails(
    provider: Provider, emulator: Emulator, answer: Answer, expected: Kind
) -> None:
    """Check that a cancel with the response *answer* raises *expected*."""
    reference = await provider.start(PHONE, Channel.SMS)
    emulator.fail(f"{provider.name}.cancel", answer)

    assert kind_of(await error_of(provider.cancel(reference))) == expected


async def arrived(emulator: Emulator, operation: str, count: int) -> None:
    """Wait until so many requests are at the service."""
    await come_true(lambda: emulator.count(operation) >= count)


async def come_true(condition: Callable[[], bool]) -> None:
    """Wait until *condition*, which another thread decides, holds. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread has no event of this loop
            await asyncio.sleep(0.005)

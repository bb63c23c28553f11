"""The behaviour of a provider that can be observed from outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from otp_app.errors import NumberBusy, OtpError, ProviderError, ProviderRejected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.emulator import Emulator


ONE_REQUEST = "one request"
SOON = 3.5  # seconds
"""Bounds calls whose deadline is a second or less. A busy machine may add two and a half; without
that deadline the call would take the four seconds or more that production gives it."""


def kind_of(error: OtpError) -> tuple[object, ...]:
    """An error as a test's table writes it.

    Its class; its refusal if it has one, or `ONE_REQUEST` if its cause is in this request alone.
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


async def arrived(emulator: Emulator, operation: str, count: int) -> None:
    """Wait until so many requests are at the service."""
    await come_true(lambda: emulator.count(operation) >= count)


async def come_true(condition: Callable[[], bool]) -> None:
    """Wait until *condition*, which another thread decides, holds. Raises TimeoutError."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a thread has no event of this loop
            await asyncio.sleep(0.005)

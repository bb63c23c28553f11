"""A simulated phone for development: it gets the console's codes, or simulates a failure."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from hmac import compare_digest
from itertools import count
from typing import TYPE_CHECKING

from otp_app import routes
from otp_app.errors import (
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.identity.cookies import cookie_value
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from otp_app.errors import ProviderError
    from otp_app.phone import PhoneNumber

MAX_MESSAGES = 20  # messages; more than anybody reads through
DELAYS = (10, 30, 120, 660)  # seconds; the last one is longer than a code lives
PAUSE = 30  # seconds of the `Retry-After` of `Trouble.THROTTLED`
SILENCE = 3.0  # seconds without a response; shorter than every deadline of a `Provider`


class Trouble(StrEnum):
    """The failure that the phone simulates. There is one at a time."""

    NONE = "none"
    LATE = "late"
    LOST = "lost"
    LANDLINE = "landline"
    WRONG_CODE = "wrong_code"
    EXPIRED = "expired"
    DOWN = "down"
    THROTTLED = "throttled"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True)
class Message:
    """A message with a code.

    Attributes:
        number: counts the messages from 1.
        channel: the way that the code was sent.
        ending: the last digits of the phone number, which the app shows as well.
        code: the code.
        language: the BCP 47 tag of the person's language.
        arrives_at: the time from which the message is shown.
    """

    number: int
    channel: Channel
    ending: str
    code: str
    language: str
    arrives_at: datetime


class SimulatedPhone:
    """One phone for all numbers. The newest messages are kept in the memory of this process.

    Attributes:
        trouble: the failure that is simulated from now on.
        delay: seconds until a message arrives, for `Trouble.LATE`.
        token: opens the page of the phone to a browser that may be on another machine.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.trouble = Trouble.NONE
        self.delay = DELAYS[0]
        self.token = secrets.token_urlsafe(24)
        self._now = now
        self._sleep = sleep
        self._numbers = count(1)
        self._messages: deque[Message] = deque(maxlen=MAX_MESSAGES)

    def is_token(self, given: str) -> bool:
        """True if *given* is the token. Compares in constant time."""
        return compare_digest(given.encode(), self.token.encode())

    def is_opened_by(self, cookies: str) -> bool:
        """True if the `Cookie` header *cookies* has the token."""
        return self.is_token(cookie_value(cookies, routes.PHONE_COOKIE))

    @property
    def messages(self) -> list[Message]:
        """The messages that have arrived, the newest first."""
        arrived = [message for message in self._messages if message.arrives_at <= self._now()]
        return sorted(arrived, key=lambda message: message.arrives_at, reverse=True)

    def receive(self, channel: Channel, to: PhoneNumber, code: str, language: str = "") -> None:
        """Keep the message: for now, for later with `Trouble.LATE`, not at all with `LOST`."""
        if self.trouble is Trouble.LOST:
            return
        delay = timedelta(seconds=self.delay if self.trouble is Trouble.LATE else 0)
        arrives_at = self._now() + delay
        number = next(self._numbers)
        self._messages.append(Message(number, channel, to.ending, code, language, arrives_at))

    async def require_way(self, channel: Channel) -> None:
        """Raise the error of a provider that fails to send, if `trouble` is such a failure.

        Raises:
            ProviderRejected: the number is a landline, which gets no messages.
            ProviderUnavailable: the provider is down, or has too many requests.
            ProviderTimedOut: there was no response within `SILENCE` seconds.
        """
        await self.require_answer()
        if self.trouble is Trouble.LANDLINE and channel is not Channel.VOICE:
            raise ProviderRejected(Refusal.LANDLINE)

    async def require_answer(self) -> None:
        """Raise the error of a provider that fails every request, if `trouble` is such a failure.

        Raises:
            ProviderUnavailable: the provider is down, or has too many requests.
            ProviderTimedOut: there was no response within `SILENCE` seconds.
        """
        if failure := failure_of(self.trouble):
            if isinstance(failure, ProviderTimedOut):
                await self._sleep(SILENCE)
            raise failure


def failure_of(trouble: Trouble) -> ProviderError | None:
    """Return the error of every request to a provider in *trouble*.

    None if the trouble is not the provider's: a late message, say, or a wrong code.
    """
    match trouble:
        case Trouble.DOWN:
            return ProviderUnavailable()
        case Trouble.THROTTLED:
            return ProviderThrottled(seconds=PAUSE)
        case Trouble.TIMED_OUT:
            return ProviderTimedOut()
        case _:
            return None

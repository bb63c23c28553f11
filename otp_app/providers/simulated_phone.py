"""A phone for local work: gets what the console sends, unless something goes wrong on the way."""

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
from otp_app.cookies import cookie_value
from otp_app.errors import (
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from otp_app.errors import ProviderError
    from otp_app.phone import PhoneNumber

KEPT = 20  # messages, more than anybody looks through
DELAYS = (10, 30, 120, 660)  # seconds; the last one is longer than a code lives
PAUSE = 30  # seconds that a provider with too many requests asks for
SILENCE = 3.0  # seconds without an answer: less than a `Provider` may take for anything


class Trouble(StrEnum):
    """What goes wrong, one thing at a time."""

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
    """What arrives, at a moment of its own. Of the number it has what the app shows as well.

    *language* is a BCP 47 tag, of the person who asked for it.
    """

    number: int
    channel: Channel
    ending: str
    code: str
    language: str
    arrives_at: datetime


class SimulatedPhone:
    """Everybody's phone. Keeps the newest messages, in this process's memory.

    Attributes:
        trouble: what goes wrong from now on.
        delay: seconds, for `Trouble.LATE`.
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
        self._messages: deque[Message] = deque(maxlen=KEPT)

    def is_token(self, given: str) -> bool:
        """True if *given* is the token. Compares in constant time."""
        return compare_digest(given.encode(), self.token.encode())

    def is_opened_by(self, cookies: str) -> bool:
        """True if the `Cookie` header *cookies* has the token."""
        return self.is_token(cookie_value(cookies, routes.PHONE_COOKIE))

    @property
    def messages(self) -> list[Message]:
        """Those that have arrived, the newest first."""
        arrived = [message for message in self._messages if message.arrives_at <= self._now()]
        return sorted(arrived, key=lambda message: message.arrives_at, reverse=True)

    def receive(self, channel: Channel, to: PhoneNumber, code: str, language: str = "") -> None:
        """Take what was sent, now or late; or never, if it gets lost."""
        if self.trouble is Trouble.LOST:
            return
        delay = timedelta(seconds=self.delay if self.trouble is Trouble.LATE else 0)
        arrives_at = self._now() + delay
        number = next(self._numbers)
        self._messages.append(Message(number, channel, to.ending, code, language, arrives_at))

    async def require_way(self, channel: Channel) -> None:
        """Fail as a provider that is asked to send would. Nothing is sent.

        Raises:
            ProviderRejected: a landline gets no messages.
            ProviderUnavailable: it is down, or has too many requests.
            ProviderTimedOut: after a while without an answer.
        """
        await self.require_answer()
        if self.trouble is Trouble.LANDLINE and channel is not Channel.VOICE:
            raise ProviderRejected(Refusal.LANDLINE)

    async def require_answer(self) -> None:
        """Fail as a provider that is asked anything would. Raises as `require_way`."""
        if failure := failure_of(self.trouble):
            if isinstance(failure, ProviderTimedOut):
                await self._sleep(SILENCE)
            raise failure


def failure_of(trouble: Trouble) -> ProviderError | None:
    """What a provider in *trouble* answers to everything, if it is the provider's."""
    match trouble:
        case Trouble.DOWN:
            return ProviderUnavailable()
        case Trouble.THROTTLED:
            return ProviderThrottled(seconds=PAUSE)
        case Trouble.TIMED_OUT:
            return ProviderTimedOut()
        case _:
            return None

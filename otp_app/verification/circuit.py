"""A circuit breaker before each provider: nobody waits for one that fails, or loses a guess to it.

One circuit for messages, one for codes. While it is open nothing leaves and nothing is counted;
every `PAUSE` one real request may try. Cancels pass: a message that nobody wants must be stopped,
and one that cannot be canceled must not hold the others up.

It counts for this process: each finds out for itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog

from otp_app.errors import (
    NumberBusy,
    ProviderMisconfigured,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
)
from otp_app.verification.limits import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import Channel, CheckOutcome, Reference
    from otp_app.verification.ports import Provider

_T = TypeVar("_T")

FAILURES = 5
"""So many in `WINDOW` are an outage. A bad line is one or two, as nothing is asked twice."""

WINDOW = timedelta(seconds=30)
"""Six deadlines of a send, which is 5 s: enough for people who wait for theirs one by one."""

PAUSE = timedelta(seconds=15)
"""Between two tries of an open circuit: half of the wait that a person has after a message."""

log = structlog.get_logger(__name__)


@dataclass
class Circuit:
    """Closed, questions go through. Open, one in `PAUSE` does, until one is answered."""

    provider: str
    action: Action
    now: Callable[[], datetime]
    _failed: deque[datetime] = field(default_factory=lambda: deque(maxlen=FAILURES))
    _next_try: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the provider is taken to be failing."""
        return self._next_try is not None

    def require(self) -> None:
        """Refuse what would not be asked. Raises ProviderNotReached."""
        if self._next_try and self.now() < self._next_try:
            raise ProviderNotReached

    async def ask(self, question: Callable[[], Awaitable[_T]]) -> _T:
        """Put *question*, once, if it is worth it. A refusal is an answer too."""
        self.require()
        if self.is_open:
            self._next_try = self.now() + PAUSE  # whatever becomes of this one, the next waits
        try:
            answer = await question()
        except (ProviderRejected, NumberBusy):
            self._close()
            raise
        except (ProviderUnavailable, ProviderTimedOut) as exc:
            self._fail(at_once=isinstance(exc, ProviderMisconfigured))
            raise
        self._close()
        return answer

    def _fail(self, *, at_once: bool) -> None:
        now = self.now()
        self._failed.append(now)
        is_outage = len(self._failed) == FAILURES and self._failed[0] > now - WINDOW
        if not self.is_open and (at_once or is_outage):
            self._next_try = now + PAUSE
            log.error("provider.failing", provider=self.provider, operation=self.action)

    def _close(self) -> None:
        if self.is_open:
            self._next_try = None
            self._failed.clear()
            log.info("provider.recovered", provider=self.provider, operation=self.action)


class Guarded:
    """A provider behind its circuits. Raises as `Provider` does."""

    def __init__(self, provider: Provider, now: Callable[[], datetime]) -> None:
        self._provider = provider
        self._circuits = {
            action: Circuit(provider.name, action, now) for action in (Action.SEND, Action.CHECK)
        }

    @property
    def code_length(self) -> int:
        """Digits of its codes."""
        return self._provider.code_length

    @property
    def max_attempts(self) -> int:
        """Wrong codes it forgives."""
        return self._provider.max_attempts

    @property
    def shares_codes(self) -> bool:
        """True if all flows that verify one number at the same time get one reference."""
        return self._provider.shares_codes

    @property
    def failing(self) -> frozenset[Action]:
        """What it is not asked for just now, but for a try."""
        return frozenset(action for action, one in self._circuits.items() if one.is_open)

    def require(self, action: Action) -> None:
        """Refuse early, before anything is counted. Raises ProviderNotReached."""
        self._circuits[action].require()

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send a code."""
        send = self._circuits[Action.SEND]
        return await send.ask(lambda: self._provider.start(to, channel, language))

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send it again."""
        send = self._circuits[Action.SEND]
        return await send.ask(lambda: self._provider.resend(reference, to, channel, language))

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Ask whether *code* is right."""
        check = self._circuits[Action.CHECK]
        return await check.ask(lambda: self._provider.check(reference, to, code))

    async def cancel(self, reference: Reference) -> None:
        """End it, however its provider does."""
        await self._provider.cancel(reference)

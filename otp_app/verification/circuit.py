"""A circuit breaker before each provider: nobody waits for one that fails, or loses a guess to it.

Each provider has one circuit for messages and one for codes. While a circuit is open nothing leaves
and nothing is counted; one real request in `PAUSE` may try. Cancels pass: a message that nobody
wants must be stopped, and a cancel that fails must not hold up other requests.

A circuit counts only what is the same for everybody, `ProviderError.for_everybody`. A refusal that
depends on the number, country, channel or language of a request opens no circuit: otherwise the
caller who chooses them could stop all others.

A circuit belongs to one process.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog

from otp_app.errors import (
    NumberBusy,
    ProviderError,
    ProviderMisconfigured,
    ProviderNotReached,
)
from otp_app.verification.budget import Call
from otp_app.verification.limits import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.phone import PhoneNumber
    from otp_app.verification.budget import Allowance
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
        """Ask *question* once, unless the circuit is open.

        A refusal is an answer: the provider works. A failure for everybody is counted, and a
        refused account opens the circuit at once. A request that did not leave for a reason of its
        own says nothing about the provider.

        Raises:
            ProviderNotReached: the circuit is open.
            NumberBusy, ProviderError: as *question*.
        """
        self.require()
        if self.is_open:
            self._next_try = self.now() + PAUSE  # whatever becomes of this one, the next waits
        try:
            answer = await question()
        except NumberBusy:
            self._close()
            raise
        except ProviderError as exc:
            if exc.for_everybody:
                self._fail(at_once=isinstance(exc, ProviderMisconfigured))
            elif not isinstance(exc, ProviderNotReached):
                self._close()
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
    """A provider behind its circuits. Every call to it passes here and uses up an allowance.

    Raises as `Provider` does.
    """

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
    def one_request_per_number(self) -> bool:
        """Whether it refuses a number that it is verifying already."""
        return self._provider.one_request_per_number

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

    async def start(
        self, allowance: Allowance, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a code."""
        send = self._circuits[Action.SEND]
        allowance.use(Call.SEND)
        try:
            return await send.ask(lambda: self._provider.start(to, channel, language))
        except ProviderNotReached:
            # A start is one request, and it did not leave: the circuit is open, too many calls are
            # under way, or no connection came about. No caller can choose that. A flood of starts
            # can fill the lanes, but then nothing leaves, and the fifth failure in 30 seconds opens
            # the circuit, before which nothing is counted or written.
            allowance.give_back(Call.SEND)
            raise

    async def resend(
        self,
        allowance: Allowance,
        reference: Reference,
        to: PhoneNumber,
        channel: Channel,
        language: str = "",
    ) -> Reference:
        """Send it again. This may be several requests, so the call counts as made in any case."""
        send = self._circuits[Action.SEND]
        allowance.use(Call.SEND)
        return await send.ask(lambda: self._provider.resend(reference, to, channel, language))

    async def check(
        self, allowance: Allowance, reference: Reference, to: PhoneNumber, code: str
    ) -> CheckOutcome:
        """Ask whether *code* is right."""
        check = self._circuits[Action.CHECK]
        allowance.use(Call.CHECK)
        return await check.ask(lambda: self._provider.check(reference, to, code))

    async def cancel(self, allowance: Allowance, reference: Reference) -> None:
        """End it, however its provider does."""
        allowance.use(Call.CANCEL)
        await self._provider.cancel(reference)

"""A circuit breaker for each provider: an outage costs people neither time nor guesses.

Each provider has one circuit for messages and one for checks. While a circuit is open, no request
is sent and nothing is counted. Once in `PAUSE` the circuit is half-open: one real request goes
through as a trial. Cancels bypass the circuits, because an unwanted message must be stopped and a
failed cancel must not block other requests.

A circuit counts only failures that affect every request (`ProviderError.for_everybody`). A refusal
that depends on the number, country, channel or language of a request does not count. Otherwise a
client could choose these to block all other clients.

Each process has its own circuits.
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
from otp_app.verification.allowances import Call
from otp_app.verification.limits import Action

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.phone import PhoneNumber
    from otp_app.verification.allowances import Allowance
    from otp_app.verification.models import Channel, CheckOutcome, Reference, SecondStart
    from otp_app.verification.ports import Provider

_T = TypeVar("_T")

FAILURES = 5
"""Failures within `WINDOW` that open a circuit. A bad connection causes one or two, because no
request is retried."""

WINDOW = timedelta(seconds=30)
"""Period in which failures are counted: six timeouts of a send, 5 s each. `FAILURES` requests that
time out one after the other fit into it."""

PAUSE = timedelta(seconds=15)
"""Time between two trials of an open circuit: half of the wait after a first message."""

log = structlog.get_logger(__name__)


@dataclass
class CircuitBreaker:
    """A circuit breaker for one action of one provider.

    A closed circuit lets every call through. An open circuit lets one call through in each `PAUSE`
    and closes when such a call succeeds.
    """

    provider: str
    action: Action
    now: Callable[[], datetime]
    _failed: deque[datetime] = field(default_factory=lambda: deque(maxlen=FAILURES))
    _next_try: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether the provider is considered to be down."""
        return self._next_try is not None

    def require(self) -> None:
        """Reject a call that would not be made.

        Raises:
            ProviderNotReached: the circuit is open and the next trial is not yet due.
        """
        if self._next_try and self.now() < self._next_try:
            raise ProviderNotReached

    async def call(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Call *call* once, unless the circuit is open.

        A refusal counts as a success, because the provider responded. A failure that affects every
        request is counted, and a misconfigured account opens the circuit at once. A request that
        was not sent for a reason of its own changes nothing.

        Raises:
            ProviderNotReached: the circuit is open.
            NumberBusy, ProviderError: the error of *call*.
        """
        self.require()
        if self.is_open:
            self._next_try = self.now() + PAUSE  # no second trial while this one is under way
        try:
            answer = await call()
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
            log.error("provider.circuit_opened", provider=self.provider, operation=self.action)

    def _close(self) -> None:
        if self.is_open:
            self._next_try = None
            self._failed.clear()
            log.info("provider.circuit_closed", provider=self.provider, operation=self.action)


class CircuitBreakerProvider:
    """A provider behind its circuit breakers. Every call uses up a part of an `Allowance`.

    The methods raise the errors of `Provider`, and `ProviderNotReached` while a circuit is open.
    """

    def __init__(self, provider: Provider, now: Callable[[], datetime]) -> None:
        self._provider = provider
        self._circuits = {
            action: CircuitBreaker(provider.name, action, now)
            for action in (Action.SEND, Action.CHECK)
        }

    @property
    def code_length(self) -> int:
        """Number of digits in a code."""
        return self._provider.code_length

    @property
    def max_attempts(self) -> int:
        """Number of guesses at one verification, by the provider's documentation."""
        return self._provider.max_attempts

    @property
    def second_start(self) -> SecondStart:
        """The effect of a start for a number that the provider is already verifying."""
        return self._provider.second_start

    @property
    def failing(self) -> frozenset[Action]:
        """The actions whose circuit is open."""
        return frozenset(action for action, one in self._circuits.items() if one.is_open)

    def require(self, action: Action) -> None:
        """Reject *action* early, before anything is counted.

        Raises:
            ProviderNotReached: the circuit is open and the next trial is not yet due.
        """
        self._circuits[action].require()

    async def start(
        self, allowance: Allowance, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a code. A start that certainly was not sent gives its allowance back."""
        send = self._circuits[Action.SEND]
        allowance.use(Call.SEND)
        try:
            return await send.call(lambda: self._provider.start(to, channel, language))
        except ProviderNotReached:
            # A start is one request, and it was not sent: the circuit is open, the bulkhead is full
            # or no connection could be made. A client cannot cause this at will. A flood of starts
            # can fill the bulkhead, but then nothing is sent, and the fifth failure in 30 seconds
            # opens the circuit. An open circuit rejects a start before it is counted or written.
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
        """Send a code again. The call may be several requests, so its allowance is always used."""
        send = self._circuits[Action.SEND]
        allowance.use(Call.SEND)
        return await send.call(lambda: self._provider.resend(reference, to, channel, language))

    async def check(
        self, allowance: Allowance, reference: Reference, to: PhoneNumber, code: str
    ) -> CheckOutcome:
        """Check *code*."""
        check = self._circuits[Action.CHECK]
        allowance.use(Call.CHECK)
        return await check.call(lambda: self._provider.check(reference, to, code))

    async def cancel(self, allowance: Allowance, reference: Reference) -> None:
        """Cancel at the provider, even while a circuit is open."""
        allowance.use(Call.CANCEL)
        await self._provider.cancel(reference)

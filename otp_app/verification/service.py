"""The operations on a verification: start, resend, check and cancel."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import structlog

from otp_app.errors import InputError, InvalidPhoneNumber, PhoneProblem
from otp_app.verification.audit import Audit
from otp_app.verification.budget import Budget
from otp_app.verification.channels import channels_for, require_channel, suggest_alternatives
from otp_app.verification.checking import Checker
from otp_app.verification.circuit_breaker import CircuitBreakerProvider
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Policy, Status
from otp_app.verification.planning import Planner, VerificationFinder
from otp_app.verification.risk import RiskScreening
from otp_app.verification.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Observer
    from otp_app.verification.client import Client
    from otp_app.verification.limits import Action, Limit
    from otp_app.verification.models import Flow, Verification
    from otp_app.verification.ports import Limiter, Provider
    from otp_app.verification.store import VerificationStore

log = structlog.get_logger(__name__)

FINISH = 6.0
"""Seconds that a stop waits for operations under way. A provider responds or times out in 5 s, and
Docker kills a container after 10 s."""


@dataclass(frozen=True)
class VerificationService:
    """The use cases of the domain, shared by the pages and the API.

    A message or a guess is counted in the store before the provider is called, so a failure in
    between cannot be used to repeat it for free.
    """

    store: VerificationStore
    limiter: Limiter
    providers: Mapping[str, Provider]
    provider: str
    """Name of the provider for new verifications. An open one stays with its provider."""

    now: Callable[[], datetime]
    policy: Policy = field(default_factory=Policy)
    limits: Sequence[Limit] = POLICY
    countries: frozenset[str] = frozenset()
    """ISO 3166-1 codes of the countries that codes are sent to. Empty means all countries."""

    channels: Sequence[Channel] = (Channel.SMS, Channel.VOICE)
    """Channels for codes, in the order in which they are offered."""

    screening: RiskScreening = field(default_factory=RiskScreening)
    """Number lookup before the first code of a verification."""

    observers: Sequence[Observer] = ()
    """Callbacks for every provider call that ends."""

    _turns: WeakValueDictionary[Flow, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _under_way: set[asyncio.Task[Verification]] = field(default_factory=set)

    async def current(self, flow: Flow) -> Verification | None:
        """Return the browser's verification, open or recently ended. No provider is called."""
        return await self.store.read(lambda tx: self._finder.current(tx, flow))

    def code_length(self, verification: Verification) -> int:
        """Return the number of digits in the code of *verification*."""
        provider = self.providers.get(verification.provider, self.providers[self.provider])
        return provider.code_length

    def channels_for(self, phone: PhoneNumber) -> Sequence[Channel]:
        """Return the offered channels by which *phone* can receive a code, in order."""
        return channels_for(phone, self.channels)

    def default_channel(self, phone: PhoneNumber) -> Channel:
        """Return the default channel: the first one that reaches *phone*, else the first one."""
        return (*self.channels_for(phone), *self.channels)[0]

    def can_reach(self, phone: PhoneNumber, channel: Channel) -> bool:
        """Return whether *phone* can receive a code by *channel*, judged by the number alone."""
        try:
            self._require_reachable(phone, channel)
        except InputError:
            return False
        return True

    async def start(
        self, client: Client, phone: PhoneNumber, channel: Channel | None = None
    ) -> Verification:
        """Send a code to *phone*, unless one was just sent to it.

        An open verification of another number is closed. *channel* defaults to the first one that
        reaches *phone*.

        Raises:
            ChannelNotOffered: *channel* is not offered.
            InvalidPhoneNumber: the country of *phone* is not served, or *channel* cannot reach it.
            AttemptsExhausted, ResendTooSoon, SendsExhausted, RateLimited: the client must wait.
            NumberUnfit: a risk signal of the number blocks it.
            ProviderError: the provider failed or refused.
            NumberBusy: another client is verifying the number.
            StoreUnavailable: the database does not respond.
        """
        by = channel or self.default_channel(phone)
        self._require_reachable(phone, by)

        async def send() -> Verification:
            async with self._turn(client.flow):
                with suggest_alternatives(phone, by, self.channels):
                    return await self._sender.start(client, phone, by)

        return await self._completed(send())

    async def resend(
        self, client: Client, id_: str, channel: Channel | None = None
    ) -> Verification:
        """Send another code, or start a new verification if the verification *id_* has ended.

        *channel* defaults to that of the last message.

        Raises:
            VerificationNotFound, VerificationReplaced, AlreadyVerified: *id_* is not the browser's
                current verification, or it is approved.
            OtpError: any error of `start`.
        """

        async def send() -> Verification:
            async with self._turn(client.flow):
                current = await self.store.read(
                    lambda tx: self._finder.require(tx, client.flow, id_)
                )
                by = channel or self._resend_channel(current)
                self._require_reachable(current.phone, by)
                with suggest_alternatives(current.phone, by, self.channels):
                    return await self._sender.resend(client, current, by)

        return await self._completed(send())

    async def check(self, client: Client, id_: str, text: str) -> Verification:
        """Spend one guess on *text* and return the approved verification.

        Raises:
            InvalidCode: *text* contains no code; no guess is spent.
            CodeMismatch: the code is wrong, and guesses are left.
            AttemptsExhausted, CodeUsedUp: no guess is left.
            VerificationNotFound, VerificationReplaced, VerificationExpired, AlreadyVerified: *id_*
                is not open.
            RateLimited: a limit of guesses is reached.
            ProviderError: the provider failed or timed out. The guess is spent if it was called.
            StoreUnavailable: the database does not respond.
        """

        async def check() -> Verification:
            async with self._turn(client.flow):
                return await self._checker.check(client, id_, text)

        return await self._completed(check())

    async def cancel(self, flow: Flow) -> None:
        """Cancel the open verification of this browser. The sweeper cancels it at the provider."""
        current = await self.current(flow)
        if current and await self.store.close(current.id, Status.CANCELED, current.reference):
            log.info("verification.canceled", id=current.id, provider=current.provider)

    async def finish(self) -> None:
        """Wait until all operations under way have ended, for `FINISH` seconds at most."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=FINISH)

    async def _completed(self, operation: Coroutine[Any, Any, Verification]) -> Verification:
        """Return the result of *operation*, which completes even if the caller is canceled.

        A caller is canceled if its socket closes or the server stops. The provider may have sent
        the message then, and its response has to be stored.
        """
        task = asyncio.create_task(operation)
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Verification]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # read, so that asyncio does not log it if the caller was canceled

    @property
    def failing(self) -> frozenset[tuple[str, Action]]:
        """The providers with an open circuit, by name, and the action that it blocks."""
        found = self._breakers.items()
        return frozenset((name, action) for name, one in found for action in one.failing)

    @property
    def is_failing(self) -> bool:
        """Whether the provider for new verifications has an open circuit."""
        return any(name == self.provider for name, _ in self.failing)

    @cached_property
    def _breakers(self) -> Mapping[str, CircuitBreakerProvider]:
        return {
            name: CircuitBreakerProvider(provider, self.now)
            for name, provider in self.providers.items()
        }

    @cached_property
    def _finder(self) -> VerificationFinder:
        return VerificationFinder(self.store, self._breakers, self.now, self.policy)

    @cached_property
    def _budget(self) -> Budget:
        return Budget(self.limiter, self.limits, self.now, self.store)

    @cached_property
    def _audit(self) -> Audit:
        return Audit(self.store.audit_store, self.observers)

    @cached_property
    def _sender(self) -> Sender:
        planner = Planner(
            self.store,
            self._finder,
            self._budget,
            self._breakers,
            self.provider,
            self.now,
            self.policy,
        )
        return Sender(
            self.store,
            planner,
            self._budget,
            self.screening,
            self._audit,
            self._breakers,
            self.provider,
            self.now,
            self.policy,
        )

    @cached_property
    def _checker(self) -> Checker:
        return Checker(self.store, self._finder, self._budget, self._audit, self.now)

    def _turn(self, flow: Flow) -> asyncio.Lock:
        """Return the lock that serializes the operations of one browser.

        A second tab waits and finds the operation done. A provider responds to the second of two
        right codes that nothing is left to check. Without the lock, that response could end the
        verification before the approval of the first code is recorded. The lock holds in one
        process; between processes, the conditional statements of the store decide.
        """
        return self._turns.setdefault(flow, asyncio.Lock())

    def _require_reachable(self, phone: PhoneNumber, channel: Channel) -> None:
        """Check the country of *phone*, whose messages may be expensive, and its channel.

        Raises:
            InvalidPhoneNumber: the country is not served, or *channel* cannot reach *phone*.
            ChannelNotOffered: *channel* is not offered.
        """
        if self.countries and phone.region not in self.countries:
            raise InvalidPhoneNumber(PhoneProblem.NOT_SERVED, region=phone.region)
        require_channel(phone, channel, self.channels)

    def _resend_channel(self, current: Verification) -> Channel:
        """Return the last channel if it is still offered, else the default channel."""
        is_good = current.channel in self.channels_for(current.phone)
        return current.channel if is_good else self.default_channel(current.phone)

"""What can be done with a verification: start, resend, check, cancel."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import structlog

from otp_app.errors import InputError, InvalidPhoneNumber, PhoneProblem
from otp_app.verification.audit import Audit
from otp_app.verification.budget import Budget
from otp_app.verification.channels import naming_others, reaching, require_reaching
from otp_app.verification.checking import Checker
from otp_app.verification.circuit import Guarded
from otp_app.verification.limits import POLICY
from otp_app.verification.looking import Screening
from otp_app.verification.lookup import Lookup
from otp_app.verification.models import Channel, Policy, Status
from otp_app.verification.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Observer
    from otp_app.verification.limits import Action, Client, Limit
    from otp_app.verification.models import Flow, Verification
    from otp_app.verification.ports import Limiter, Provider, VerificationStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class VerificationService:
    """The one set of rules behind every way in.

    A send or a guess is counted in the store before the provider is asked, so whatever fails in
    between cannot be repeated for free.
    """

    store: VerificationStore
    limiter: Limiter
    providers: Mapping[str, Provider]
    provider: str
    """Who sends new codes. An open verification stays with the one that started it."""

    now: Callable[[], datetime]
    policy: Policy = field(default_factory=Policy)
    limits: Sequence[Limit] = POLICY
    countries: frozenset[str] = frozenset()
    """ISO 3166-1 codes of where codes may go; all, if there is none."""

    channels: Sequence[Channel] = (Channel.SMS, Channel.VOICE)
    """How codes may travel, in the order in which they are offered."""

    screening: Screening = field(default_factory=Screening)
    """The look at a number before its first code."""

    observers: Sequence[Observer] = ()
    """Who hears of every answer of a provider."""

    _turns: WeakValueDictionary[Flow, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def current(self, flow: Flow) -> Verification | None:
        """The verification this browser is in, if any. Asks no provider."""
        return await self._lookup.current(flow)

    def code_length(self, verification: Verification) -> int:
        """How many digits its code has."""
        provider = self.providers.get(verification.provider, self.providers[self.provider])
        return provider.code_length

    def channels_to(self, phone: PhoneNumber) -> Sequence[Channel]:
        """Those of the channels that reach *phone*."""
        return reaching(phone, self.channels)

    def first_to(self, phone: PhoneNumber) -> Channel:
        """The channel for who chooses none: the first that reaches *phone*, if any does."""
        return (*self.channels_to(phone), *self.channels)[0]

    def can_reach(self, phone: PhoneNumber, channel: Channel) -> bool:
        """Whether the number's own form lets a code come to *phone* by *channel*. Asks nobody."""
        try:
            self._require_reachable(phone, channel)
        except InputError:
            return False
        return True

    async def start(
        self, client: Client, phone: PhoneNumber, channel: Channel | None = None
    ) -> Verification:
        """Send a code to *phone*, unless one is on its way there; another number's is closed.

        Without *channel*, by the first that reaches it.

        Raises:
            ChannelNotOffered: codes do not travel by *channel* here.
            InvalidPhoneNumber: this number may not, or cannot by *channel*, get a code.
            AttemptsExhausted, ResendTooSoon, SendsExhausted, RateLimited: not yet.
            NumberUnfit: what is known of the number speaks against it.
            ProviderError, NumberBusy, StoreUnavailable.
        """
        by = channel or self.first_to(phone)
        self._require_reachable(phone, by)
        async with self._turn(client.flow):
            with naming_others(phone, by, self.channels):
                return await self._sender.start(client, phone, by)

    async def resend(
        self, client: Client, id_: str, channel: Channel | None = None
    ) -> Verification:
        """Send the person a code once more; a new verification where the old one is over.

        Without *channel*, in the way it went before.

        Raises:
            VerificationNotFound, VerificationReplaced, AlreadyVerified: nothing to send for.
            The errors of `start`.
        """
        async with self._turn(client.flow):
            current = await self._lookup.require(client.flow, id_)
            by = channel or self._again_to(current)
            self._require_reachable(current.phone, by)
            with naming_others(current.phone, by, self.channels):
                return await self._sender.resend(client, current, by)

    async def check(self, client: Client, id_: str, text: str) -> Verification:
        """Spend one guess on *text* and return the verification, approved.

        Raises:
            InvalidCode: it cannot be a code; costs nothing.
            CodeMismatch, AttemptsExhausted, VerificationExpired, CodeUsedUp, AlreadyVerified,
            VerificationNotFound, VerificationReplaced, RateLimited, ProviderError,
            StoreUnavailable.
        """
        async with self._turn(client.flow):
            return await self._checker.check(client, id_, text)

    async def cancel(self, flow: Flow) -> None:
        """Give up what this browser has open. The provider is told by the sweeper."""
        current = await self.current(flow)
        if current and await self.store.close(current.id, Status.CANCELED, current.reference):
            log.info("verification.canceled", id=current.id, provider=current.provider)

    @property
    def failing(self) -> frozenset[tuple[str, Action]]:
        """Which providers are left alone for a while, and for what."""
        found = self._guarded.items()
        return frozenset((name, action) for name, one in found for action in one.failing)

    @property
    def is_failing(self) -> bool:
        """Whether who sends is one of them."""
        return any(name == self.provider for name, _ in self.failing)

    @cached_property
    def _guarded(self) -> Mapping[str, Guarded]:
        return {name: Guarded(provider, self.now) for name, provider in self.providers.items()}

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.store, self._guarded, self.now, self.policy)

    @cached_property
    def _budget(self) -> Budget:
        return Budget(self.limiter, self.limits, self.now, self.store)

    @cached_property
    def _audit(self) -> Audit:
        return Audit(self.store.journal, self.now, self.observers)

    @cached_property
    def _sender(self) -> Sender:
        return Sender(
            self.store,
            self._lookup,
            self._budget,
            self.screening,
            self._audit,
            self._guarded,
            self.provider,
            self.now,
            self.policy,
        )

    @cached_property
    def _checker(self) -> Checker:
        return Checker(self.store, self._lookup, self._budget, self._audit, self.now)

    def _turn(self, flow: Flow) -> asyncio.Lock:
        """One thing at a time for each browser: a second tab waits, and finds it done.

        To a second right code, a provider says that there is nothing to check: that must not end
        the verification before the yes to the first one has. All this for one process; between
        several, the store's conditions decide.
        """
        return self._turns.setdefault(flow, asyncio.Lock())

    def _require_reachable(self, phone: PhoneNumber, channel: Channel) -> None:
        """Refuse what costs a fortune or cannot receive the code, by the number's own region."""
        if self.countries and phone.region not in self.countries:
            raise InvalidPhoneNumber(PhoneProblem.NOT_SERVED, region=phone.region)
        require_reaching(phone, channel, self.channels)

    def _again_to(self, current: Verification) -> Channel:
        """As before, unless that is not offered any more."""
        is_good = current.channel in self.channels_to(current.phone)
        return current.channel if is_good else self.first_to(current.phone)

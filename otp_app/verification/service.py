"""What can be done with a verification: start, check, resend, cancel."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

import structlog

from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    CheckTimedOut,
    CodeMismatch,
    InvalidPhoneNumber,
    NumberBusy,
    OtpError,
    PhoneProblem,
    ProviderError,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
    ResendTimedOut,
    ResendTooSoon,
    SendsExhausted,
    VerificationExpired,
    VerificationNotFound,
    VerificationReplaced,
)
from otp_app.phone import Kind
from otp_app.verification.inputs import parse_code
from otp_app.verification.limits import POLICY, Action, Scope, spendings
from otp_app.verification.models import (
    Channel,
    CheckOutcome,
    Policy,
    Reference,
    Send,
    Status,
    Verification,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.limits import Client, Limit, Spending
    from otp_app.verification.models import Flow
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

    _turns: WeakValueDictionary[Flow, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def current(self, flow: Flow) -> Verification | None:
        """The verification this browser is in, if any. Asks no provider."""
        verification = await self.store.latest(flow)
        if verification is None or verification.status in (Status.CANCELED, Status.REFUSED):
            return None
        forgotten = self.now() > verification.expires_at + self.policy.remembered
        return None if forgotten else verification

    def code_length(self, verification: Verification) -> int:
        """How many digits its code has."""
        provider = self.providers.get(verification.provider, self.providers[self.provider])
        return provider.code_length

    async def start(self, client: Client, phone: PhoneNumber, channel: Channel) -> Verification:
        """Send a code to *phone*, unless one is on its way there; another number's is closed.

        Raises:
            InvalidPhoneNumber: this number may not, or cannot by *channel*, get a code.
            AttemptsExhausted, ResendTooSoon, SendsExhausted, RateLimited: not yet.
            ProviderError, NumberBusy, StoreUnavailable.
        """
        self._require_reachable(phone, channel)
        async with self._turn(client.flow):
            current = await self.current(client.flow)
            if current and current.phone == phone:
                return await self._start_again(client, current, channel)
            if locked := await self.store.locked(client.flow, phone, self.now()):
                raise AttemptsExhausted(until=locked.expires_at)
            return await self._start_new(client, phone, channel)

    async def resend(self, client: Client, id_: str, channel: Channel) -> Verification:
        """Send the person a code once more; a new verification where the old one is over.

        Raises:
            VerificationNotFound, VerificationReplaced, AlreadyVerified: nothing to send for.
            The errors of `start`.
        """
        async with self._turn(client.flow):
            current = await self._require(client.flow, id_)
            self._require_reachable(current.phone, channel)
            if self._can_go_on(current):
                return await self._send_again(client, current, channel)
            return await self._start_again(client, current, channel)

    async def check(self, client: Client, id_: str, text: str) -> Verification:
        """Spend one guess on *text* and return the verification, approved.

        Raises:
            InvalidCode: it cannot be a code; costs nothing.
            CodeMismatch, AttemptsExhausted, VerificationExpired, AlreadyVerified,
            VerificationNotFound, VerificationReplaced, RateLimited, ProviderError,
            StoreUnavailable.
        """
        async with self._turn(client.flow):
            return await self._check(client, id_, text)

    async def _check(self, client: Client, id_: str, text: str) -> Verification:
        current = await self._require(client.flow, id_)
        self._require_checkable(current)
        provider = self._provider_of(current)
        code = parse_code(text, provider.code_length)
        await self._spend(Action.CHECK, client, current.phone)
        attempt = await self.store.take_attempt(id_, client.flow, self.now())
        if attempt is None or attempt.reference is None:
            raise await self._why_closed(client.flow)
        try:
            outcome = await provider.check(attempt.reference, attempt.phone, code)
        except ProviderError as exc:
            raise await self._unanswered(attempt, exc) from exc
        approved = await self._answered(attempt, outcome)
        await self._forgive_failures(client, approved.phone)
        return approved

    async def cancel(self, flow: Flow) -> None:
        """Give up what this browser has open. The provider is told by the sweeper."""
        current = await self.current(flow)
        if current and await self.store.close(current.id, Status.CANCELED, current.reference):
            self._log("verification.canceled", current)

    def _turn(self, flow: Flow) -> asyncio.Lock:
        """One thing at a time for each browser: a second tab waits, and finds it done.

        To a second right code, a provider says that there is nothing to check: that must not end
        the verification before the yes to the first one has. All this for one process; between
        several, the store's conditions decide.
        """
        return self._turns.setdefault(flow, asyncio.Lock())

    async def _start_new(
        self, client: Client, phone: PhoneNumber, channel: Channel
    ) -> Verification:
        provider = self.providers[self.provider]
        batch = await self._spend(Action.SEND, client, phone)
        send = self._send(1, channel)
        verification = Verification(
            id=secrets.token_urlsafe(16),
            flow=client.flow,
            phone=phone,
            provider=self.provider,
            channel=channel,
            status=Status.SENDING,
            attempts_left=min(self.policy.max_attempts, provider.max_attempts),
            sends=send.number,
            sent_at=send.at,
            resend_at=send.next_at,
            expires_at=send.at + self.policy.lifetime,
        )
        if not await self.store.reserve(verification):
            raise ResendTooSoon(until=send.next_at)  # another tab was first, by milliseconds
        return await self._deliver(verification, send, provider.start(phone, channel), batch)

    async def _start_again(
        self, client: Client, current: Verification, channel: Channel
    ) -> Verification:
        """The person asks for a code to the number they are already verifying."""
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not self._can_go_on(current):
            await self.store.close(current.id, Status.EXPIRED, current.reference)
            await self._end(current)
            return await self._start_new(client, current.phone, channel)
        on_its_way = current.status is Status.PENDING and current.channel is channel
        if on_its_way and now < current.resend_at:
            return current
        return await self._send_again(client, current, channel)

    async def _end(self, over: Verification) -> None:
        """End it at the provider, before a new one. If that fails, the new start tells."""
        provider = self.providers.get(over.provider)
        if provider and over.reference and over.status is not Status.APPROVED:
            with suppress(ProviderError):
                await provider.cancel(over.reference)
                await self.store.mark_canceled(over.id, over.reference)

    async def _send_again(
        self, client: Client, current: Verification, channel: Channel
    ) -> Verification:
        now = self.now()
        if current.sends >= self.policy.max_sends:
            raise SendsExhausted(sends=current.sends, until=current.expires_at)
        if now < current.resend_at:
            raise ResendTooSoon(until=current.resend_at)
        provider = self._provider_of(current)
        batch = await self._spend(Action.SEND, client, current.phone)
        send = self._send(current.sends + 1, channel)
        if not await self.store.record_send(current, send):
            raise ResendTooSoon(until=send.next_at)
        if current.status is Status.PENDING and current.reference:
            sending = provider.resend(current.reference, current.phone, channel)
        else:
            sending = provider.start(current.phone, channel)
        return await self._deliver(current, send, sending, batch)

    async def _deliver(
        self, verification: Verification, send: Send, sending: Awaitable[Reference], batch: str
    ) -> Verification:
        """Ask the provider, once, and record what became of the message."""
        try:
            reference = await sending
        except NumberBusy as busy:
            reference = await self._adopt(verification, send, busy, batch)
        except ResendTimedOut:
            await self.store.lose_reference(verification.id, send)
            self._log("verification.send_unknown", verification, channel=send.channel)
            raise
        except ProviderTimedOut:
            await self.store.fail_send(verification.id, send, Status.UNKNOWN)
            self._log("verification.send_unknown", verification, channel=send.channel)
            raise
        except (ProviderRejected, ProviderUnavailable) as exc:
            await self._not_sent(verification, send, exc, batch)
            raise
        settled = self._send(send.number, send.channel)
        if not await self.store.settle_send(verification.id, settled, reference):
            raise VerificationNotFound  # closed meanwhile, in another tab
        self._log("verification.sent", verification, channel=send.channel, send=send.number)
        return await self._settled(verification)

    async def _settled(self, verification: Verification) -> Verification:
        current = await self.current(verification.flow)
        if current is None or current.id != verification.id:
            raise VerificationNotFound
        return current

    async def _adopt(
        self, verification: Verification, send: Send, busy: NumberBusy, batch: str
    ) -> Reference:
        """The reference of what the provider already runs, if this flow itself asked for it."""
        reference = Reference(busy.reference or "")
        if reference and await self.store.adopt(verification, send, reference):
            return reference
        await self._not_sent(verification, send, busy, batch)
        raise busy

    async def _not_sent(
        self, verification: Verification, send: Send, why: OtpError, batch: str
    ) -> None:
        """Uncount what certainly was not sent; a provider that only says so may be wrong."""
        if send.number == 1:
            await self.store.fail_send(verification.id, send, Status.REFUSED)
        elif isinstance(why, (ProviderNotReached, ProviderRejected, NumberBusy)):
            await self.store.release_send(verification, send)
        if isinstance(why, (ProviderNotReached, NumberBusy)):
            await self.limiter.refund(batch)
        self._log("verification.not_sent", verification, channel=send.channel, why=why.key)

    async def _spend(self, action: Action, client: Client, phone: PhoneNumber) -> str:
        """Count it against every limit, or refuse. A locked number gets no messages either."""
        if action is Action.SEND:
            await self.limiter.require(self._failures(client, phone), self.now())
        return await self.limiter.spend(spendings(self.limits, action, client, phone), self.now())

    async def _forgive_failures(self, client: Client, phone: PhoneNumber) -> None:
        """A success ends the number's row of failures, and no other count."""
        await self.limiter.forgive(self._failures(client, phone))

    def _failures(self, client: Client, phone: PhoneNumber) -> list[Spending]:
        checks = spendings(self.limits, Action.CHECK, client, phone)
        return [spending for spending in checks if spending.limit.scope is Scope.FAILURES]

    async def _unanswered(self, attempt: Verification, error: ProviderError) -> OtpError:
        """The guess is spent all the same; with the last one it is over."""
        if attempt.attempts_left == 0:
            await self.store.close(attempt.id, Status.EXHAUSTED, attempt.reference)
            return AttemptsExhausted(until=attempt.expires_at)
        return CheckTimedOut() if isinstance(error, ProviderTimedOut) else error

    async def _answered(self, attempt: Verification, outcome: CheckOutcome) -> Verification:
        """What the provider's answer makes of the verification."""
        self._log("verification.checked", attempt, outcome=outcome, left=attempt.attempts_left)
        match outcome:
            case CheckOutcome.APPROVED:
                if not await self.store.approve(attempt.id, self.now()):
                    raise await self._why_closed(attempt.flow)
                return replace(attempt, status=Status.APPROVED)
            case CheckOutcome.MISMATCH if attempt.attempts_left > 0:
                raise CodeMismatch(attempts_left=attempt.attempts_left, until=attempt.expires_at)
            case CheckOutcome.MISMATCH | CheckOutcome.EXHAUSTED:
                await self.store.close(attempt.id, Status.EXHAUSTED, attempt.reference)
                raise AttemptsExhausted(until=attempt.expires_at)
            case CheckOutcome.EXPIRED:
                await self.store.close(attempt.id, Status.EXPIRED, attempt.reference)
                raise await self._why_closed(attempt.flow)

    async def _require(self, flow: Flow, id_: str) -> Verification:
        current = await self.current(flow)
        if current is None:
            raise VerificationNotFound
        if current.status is Status.APPROVED:
            raise AlreadyVerified
        if current.id != id_:
            raise VerificationReplaced(ending=current.phone.ending)
        return current

    def _require_reachable(self, phone: PhoneNumber, channel: Channel) -> None:
        """Refuse what costs a fortune or cannot receive the code, by the number's own region."""
        if self.countries and phone.region not in self.countries:
            raise InvalidPhoneNumber(PhoneProblem.NOT_SERVED, region=phone.region)
        match phone.kind:
            case Kind.OTHER:
                raise InvalidPhoneNumber(PhoneProblem.NOT_PERSONAL)
            case Kind.LANDLINE if channel is Channel.SMS:
                raise InvalidPhoneNumber(PhoneProblem.LANDLINE)
            case _:
                return

    def _require_checkable(self, current: Verification) -> None:
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not current.is_open(now):
            raise VerificationExpired

    async def _why_closed(self, flow: Flow) -> OtpError:
        """Why a guess was not taken, read after the fact."""
        current = await self.current(flow)
        match current and current.status:
            case Status.APPROVED:
                return AlreadyVerified()
            case Status.EXHAUSTED if current and current.is_locked(self.now()):
                return AttemptsExhausted(until=current.expires_at)
            case None:
                return VerificationNotFound()
            case _:
                return VerificationExpired()

    def _can_go_on(self, current: Verification) -> bool:
        """Whether it is open and who started it is still configured."""
        return current.is_open(self.now()) and current.provider in self.providers

    def _provider_of(self, verification: Verification) -> Provider:
        """Who started it. Its code is worthless once that provider is no longer configured."""
        try:
            return self.providers[verification.provider]
        except KeyError:
            raise VerificationExpired from None

    def _send(self, number: int, channel: Channel) -> Send:
        now = self.now()
        return Send(number, channel, at=now, next_at=now + self.policy.cooldown(number))

    def _log(self, event: str, verification: Verification, **fields: object) -> None:
        log.info(event, id=verification.id, provider=verification.provider, **fields)

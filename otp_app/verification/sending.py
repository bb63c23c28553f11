"""Messages: started, sent again, and what became of each at the provider."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import (
    AttemptsExhausted,
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderError,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
    ResendTimedOut,
    ResendTooSoon,
    SendsExhausted,
    VerificationNotFound,
)
from otp_app.verification.audit import message
from otp_app.verification.budget import Call
from otp_app.verification.limits import Action
from otp_app.verification.models import Reference, Send, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Allowance, Budget
    from otp_app.verification.circuit import Guarded
    from otp_app.verification.limits import Client
    from otp_app.verification.looking import Screening
    from otp_app.verification.lookup import Lookup
    from otp_app.verification.models import Channel, Policy
    from otp_app.verification.ports import VerificationStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sender:
    """Has codes sent: each message is counted, then asked for once, then settled."""

    store: VerificationStore
    lookup: Lookup
    budget: Budget
    screening: Screening
    audit: Audit
    providers: Mapping[str, Guarded]
    provider: str
    now: Callable[[], datetime]
    policy: Policy

    async def start(self, client: Client, phone: PhoneNumber, channel: Channel) -> Verification:
        """Send a code to *phone*, unless one is on its way there; another number's is closed."""
        current = await self.lookup.current(client.flow)
        if current and current.phone == phone:
            return await self._start_again(client, current, channel)
        if locked := await self.store.locked(client.flow, phone, self.now()):
            raise AttemptsExhausted(until=locked.expires_at)
        return await self._start_new(client, phone, channel)

    async def resend(self, client: Client, current: Verification, channel: Channel) -> Verification:
        """Send the person a code once more; a new verification where the old one is over."""
        if self.lookup.can_go_on(current):
            return await self._send_again(client, current, channel)
        return await self._start_again(client, current, channel)

    async def _start_new(
        self,
        client: Client,
        phone: PhoneNumber,
        channel: Channel,
        over: Verification | None = None,
    ) -> Verification:
        """Count, look at the number, end *over* at its provider, and only then start."""
        provider = self.providers[self.provider]
        provider.require(Action.SEND)
        await self._require_free(client, phone, self.provider)
        used_up = await self._require_room(client, phone)
        allowance = await self.budget.spend_send(client, phone)
        await self.screening.require_fit(allowance, phone, self.now())
        for one in (used_up, over):
            if one:
                await self._end(allowance, one)  # before the start, which could get the same code
        send = self._send(1, channel)
        verification = Verification(
            id=send.id,
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
        if not await self.store.reserve(verification, client.source):
            raise ResendTooSoon(until=send.next_at)  # another tab was first, by milliseconds
        sending = provider.start(allowance, phone, channel, client.language)
        return await self._deliver(verification, send, sending, allowance)

    async def _require_free(self, client: Client, phone: PhoneNumber, name: str) -> None:
        """Answer from our own store, without a call, what the provider *name* would refuse.

        It counts for the caller alone, so that nobody can ask without end about a number. Nothing
        else is written.

        Raises:
            NumberBusy: the provider runs one request per number, and another flow has it.
            RateLimited: the caller has asked too often.
        """
        if not self.providers[name].one_request_per_number:
            return
        if await self.store.is_verifying(phone, name, client.flow, self.now()):
            await self.budget.spend_refusal(client, phone)
            raise NumberBusy

    async def _start_again(
        self, client: Client, current: Verification, channel: Channel
    ) -> Verification:
        """The person asks for a code to the number they are already verifying."""
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not self.lookup.can_go_on(current):
            return await self._start_new(client, current.phone, channel, over=current)
        on_its_way = current.status is Status.PENDING and current.channel is channel
        if on_its_way and now < current.resend_at:
            return current
        return await self._send_again(client, current, channel)

    async def _require_room(self, client: Client, phone: PhoneNumber) -> Verification | None:
        """The verification of *phone* that a new flow would share, if it takes no more guesses.

        Raises:
            NumberBusy: all guesses that are left are those of other flows.
        """
        if not self.providers[self.provider].shares_codes:
            return None
        running = await self.store.running(phone, self.provider, client.flow, self.now())
        full = [one for one in running if one.room <= 0]
        if any(one.kept for one in full):
            await self.budget.spend_refusal(client, phone)
            raise NumberBusy
        found = [one.verification for one in full]
        return max(found, key=lambda one: one.sent_at, default=None)  # a number has one at a time

    async def _end(self, allowance: Allowance, over: Verification) -> None:
        """Close *over*, and cancel it at its provider if that has not happened.

        A cancel that fails stops nobody. If the provider still runs *over*, it refuses the start.
        The allowance pays for one cancel; the sweeper makes any other.
        """
        await self.store.close(over.id, Status.EXPIRED, over.reference)
        provider = self.providers.get(over.provider)
        is_running = over.status is not Status.APPROVED and not over.canceled
        if provider and over.reference and is_running and allowance.pays_for(Call.CANCEL):
            with suppress(ProviderError):
                await provider.cancel(allowance, over.reference)
                await self.store.mark_canceled(over.id, over.reference)

    async def _send_again(
        self, client: Client, current: Verification, channel: Channel
    ) -> Verification:
        now = self.now()
        if current.sends >= self.policy.max_sends:
            raise SendsExhausted(sends=current.sends, until=current.expires_at)
        if now < current.resend_at:
            raise ResendTooSoon(until=current.resend_at)
        provider = self.lookup.provider_of(current)
        provider.require(Action.SEND)
        running = current.reference if current.status is Status.PENDING else None
        if not running:
            await self._require_free(client, current.phone, current.provider)
        allowance = await self.budget.spend_send(client, current.phone)
        send = self._send(current.sends + 1, channel)
        if not await self.store.record_send(current, send, client.source):
            raise ResendTooSoon(until=send.next_at)
        to, language = current.phone, client.language
        if running:
            sending = provider.resend(allowance, running, to, channel, language)
        else:
            sending = provider.start(allowance, to, channel, language)
        return await self._deliver(current, send, sending, allowance)

    async def _deliver(
        self,
        verification: Verification,
        send: Send,
        sending: Awaitable[Reference],
        allowance: Allowance,
    ) -> Verification:
        """Ask the provider, once, and record what became of the message."""
        try:
            reference = await self.audit.answered(message(verification, send), sending)
        except NumberBusy as busy:
            reference = await self._adopt(verification, send, busy, allowance)
        except ResendTimedOut:
            await self.store.lose_reference(verification.id, send)
            raise
        except ProviderTimedOut:
            await self.store.fail_send(verification.id, send, Status.UNKNOWN)
            raise
        except (LanguageRefused, ProviderRejected, ProviderUnavailable) as exc:
            await self._not_sent(verification, send, exc, allowance)
            raise
        settled = self._send(send.number, send.channel)
        if not await self.store.settle_send(verification.id, settled, reference):
            raise VerificationNotFound  # closed meanwhile, in another tab
        return await self._settled(verification)

    async def _settled(self, verification: Verification) -> Verification:
        current = await self.lookup.current(verification.flow)
        if current is None or current.id != verification.id:
            raise VerificationNotFound
        return current

    async def _adopt(
        self, verification: Verification, send: Send, busy: NumberBusy, allowance: Allowance
    ) -> Reference:
        """The reference of what the provider already runs, if this flow itself asked for it."""
        reference = Reference(busy.reference or "")
        if reference and await self.store.adopt(verification, send, reference):
            log.info("verification.adopted", id=verification.id, provider=verification.provider)
            return reference
        await self._not_sent(verification, send, busy, allowance)
        raise busy

    async def _not_sent(
        self, verification: Verification, send: Send, why: OtpError, allowance: Allowance
    ) -> None:
        """Uncount what certainly was not sent; a provider that only says so may be wrong."""
        if send.number == 1:
            await self.store.fail_send(verification.id, send, Status.REFUSED)
        elif isinstance(why, (LanguageRefused, ProviderNotReached, ProviderRejected, NumberBusy)):
            await self.store.release_send(verification, send)
        if isinstance(why, LanguageRefused):
            # The next message is in the fallback language, so this comes once and may be repeated.
            await self.budget.refund(allowance, at_once=True)
        elif isinstance(why, (ProviderNotReached, NumberBusy)):
            await self.budget.refund(allowance)

    def _send(self, number: int, channel: Channel) -> Send:
        now = self.now()
        return Send(number, channel, at=now, next_at=now + self.policy.cooldown(number))

"""Messages: started, sent again, and what became of each at the provider."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import (
    AttemptsExhausted,
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
from otp_app.verification.limits import Action
from otp_app.verification.models import Reference, Send, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Budget
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
        self, client: Client, phone: PhoneNumber, channel: Channel
    ) -> Verification:
        provider = self.providers[self.provider]
        provider.require(Action.SEND)
        used_up = await self._require_room(client, phone)
        batch = await self.budget.spend_send(client, phone)
        if used_up:
            await self._end(used_up)  # else the start would get its code again
        await self.screening.require_fit(phone, self.now())  # counted: a look costs money too
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
        sending = provider.start(phone, channel, client.language)
        return await self._deliver(verification, send, sending, batch)

    async def _start_again(
        self, client: Client, current: Verification, channel: Channel
    ) -> Verification:
        """The person asks for a code to the number they are already verifying."""
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not self.lookup.can_go_on(current):
            await self.store.close(current.id, Status.EXPIRED, current.reference)
            await self._end(current)
            return await self._start_new(client, current.phone, channel)
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
            raise NumberBusy
        found = [one.verification for one in full]
        return max(found, key=lambda one: one.sent_at, default=None)  # a number has one at a time

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
        provider = self.lookup.provider_of(current)
        provider.require(Action.SEND)
        batch = await self.budget.spend_send(client, current.phone)
        send = self._send(current.sends + 1, channel)
        if not await self.store.record_send(current, send, client.source):
            raise ResendTooSoon(until=send.next_at)
        if current.status is Status.PENDING and current.reference:
            sending = provider.resend(current.reference, current.phone, channel, client.language)
        else:
            sending = provider.start(current.phone, channel, client.language)
        return await self._deliver(current, send, sending, batch)

    async def _deliver(
        self, verification: Verification, send: Send, sending: Awaitable[Reference], batch: str
    ) -> Verification:
        """Ask the provider, once, and record what became of the message."""
        try:
            reference = await self.audit.answered(message(verification, send), sending)
        except NumberBusy as busy:
            reference = await self._adopt(verification, send, busy, batch)
        except ResendTimedOut:
            await self.store.lose_reference(verification.id, send)
            raise
        except ProviderTimedOut:
            await self.store.fail_send(verification.id, send, Status.UNKNOWN)
            raise
        except (ProviderRejected, ProviderUnavailable) as exc:
            await self._not_sent(verification, send, exc, batch)
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
        self, verification: Verification, send: Send, busy: NumberBusy, batch: str
    ) -> Reference:
        """The reference of what the provider already runs, if this flow itself asked for it."""
        reference = Reference(busy.reference or "")
        if reference and await self.store.adopt(verification, send, reference):
            log.info("verification.adopted", id=verification.id, provider=verification.provider)
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
            await self.budget.refund(batch)

    def _send(self, number: int, channel: Channel) -> Send:
        now = self.now()
        return Send(number, channel, at=now, next_at=now + self.policy.cooldown(number))

"""The sending of codes: the first message, resends, and the recording of the provider's result."""

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
from otp_app.verification.audit import send_call
from otp_app.verification.budget import Call
from otp_app.verification.limits import Action
from otp_app.verification.models import Reference, SecondStart, Send, Status, Verification

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Allowance, Budget
    from otp_app.verification.circuit_breaker import CircuitBreakerProvider
    from otp_app.verification.client import Client
    from otp_app.verification.finder import VerificationFinder
    from otp_app.verification.models import Channel, Policy
    from otp_app.verification.ports import VerificationStore
    from otp_app.verification.risk import RiskScreening

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sender:
    """Sends codes. Each message is counted, then requested once, then its result is recorded."""

    store: VerificationStore
    finder: VerificationFinder
    budget: Budget
    screening: RiskScreening
    audit: Audit
    providers: Mapping[str, CircuitBreakerProvider]
    provider: str
    now: Callable[[], datetime]
    policy: Policy

    async def start(self, client: Client, phone: PhoneNumber, channel: Channel) -> Verification:
        """Send a code to *phone*, unless one was just sent to it.

        An open verification of another number is closed.
        """
        current = await self.finder.current(client.flow)
        if current and current.phone == phone:
            return await self._start_again(client, current, channel)
        if locked := await self.store.locked(client.flow, phone, self.now()):
            raise AttemptsExhausted(until=locked.expires_at)
        return await self._start_new(client, phone, channel)

    async def resend(self, client: Client, current: Verification, channel: Channel) -> Verification:
        """Send another code for *current*, or start a new verification if *current* has ended."""
        if self.finder.can_go_on(current):
            return await self._send_again(client, current, channel)
        return await self._start_again(client, current, channel)

    async def _start_new(
        self,
        client: Client,
        phone: PhoneNumber,
        channel: Channel,
        over: Verification | None = None,
    ) -> Verification:
        """Start a new verification of *phone*.

        The message is counted, the number is screened, and *over*, the verification that this one
        replaces, is ended at its provider. Only then is the provider called.
        """
        provider = self.providers[self.provider]
        provider.require(Action.SEND)
        await self._require_free(client, phone, self.provider)
        used_up = await self._require_room(client, phone)
        allowance = await self.budget.spend_send(client, phone)
        await self.screening.require_acceptable(allowance, phone, self.now())
        for one in (used_up, over):
            if one:
                await self._end(allowance, one)  # first, or the start could get the same code
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
            raise ResendTooSoon(until=send.next_at)  # another tab has just started one
        sending = provider.start(allowance, phone, channel, client.language)
        return await self._deliver(verification, send, sending, allowance)

    async def _require_free(self, client: Client, phone: PhoneNumber, name: str) -> None:
        """Reject a start that the provider *name* would refuse, without calling it.

        The rejection counts towards the limits of the client only, so that no client can probe a
        number without end. Nothing else is written.

        Raises:
            NumberBusy: the provider allows one verification per number, and another flow has it.
            RateLimited: a limit of the client is reached.
        """
        if self.providers[name].second_start is not SecondStart.REFUSED:
            return
        if await self.store.is_verifying(phone, name, client.flow, self.now()):
            await self.budget.spend_refusal(client, phone)
            raise NumberBusy

    async def _start_again(
        self, client: Client, current: Verification, channel: Channel
    ) -> Verification:
        """Send another code to the number that the flow is already verifying, if it is time."""
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not self.finder.can_go_on(current):
            return await self._start_new(client, current.phone, channel, over=current)
        on_its_way = current.status is Status.PENDING and current.channel is channel
        if on_its_way and now < current.resend_at:
            return current
        return await self._send_again(client, current, channel)

    async def _require_room(self, client: Client, phone: PhoneNumber) -> Verification | None:
        """Return a used-up verification of *phone* that must end before a new one can start.

        A provider that shares codes would give a new flow the reference of that verification.

        Returns:
            None if nothing is in the way.

        Raises:
            NumberBusy: other flows have reserved all guesses that are left.
        """
        if self.providers[self.provider].second_start is not SecondStart.SAME_CODE:
            return None
        running = await self.store.running(phone, self.provider, client.flow, self.now())
        full = [one for one in running if one.room <= 0]
        if any(one.kept for one in full):
            await self.budget.spend_refusal(client, phone)
            raise NumberBusy
        found = [one.verification for one in full]
        # The provider runs one verification per number at a time: only the newest can be alive.
        return max(found, key=lambda one: one.sent_at, default=None)

    async def _end(self, allowance: Allowance, over: Verification) -> None:
        """Close *over*, and cancel it at its provider if that was not done before.

        A failed cancel does not stop the start: if the provider still runs *over*, it refuses the
        start itself. *allowance* covers one cancel; the sweeper makes all others.
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
        provider = self.finder.provider_of(current)
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
        """Await *sending*, the one call to the provider, and record its result.

        Raises:
            VerificationNotFound: the verification was closed meanwhile.
            NumberBusy, ProviderError: the provider's error, after it is recorded.
        """
        try:
            reference = await self.audit.record_call(send_call(verification, send), sending)
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
        current = await self.finder.current(verification.flow)
        if current is None or current.id != verification.id:
            raise VerificationNotFound
        return current

    async def _adopt(
        self, verification: Verification, send: Send, busy: NumberBusy, allowance: Allowance
    ) -> Reference:
        """Take over the verification that the provider already runs, if this flow requested it.

        This happens when the response to an earlier start was lost.

        Raises:
            NumberBusy: *busy*, if another client requested that verification.
        """
        reference = Reference(busy.reference or "")
        if reference and await self.store.adopt(verification, send, reference):
            log.info("verification.adopted", id=verification.id, provider=verification.provider)
            return reference
        await self._not_sent(verification, send, busy, allowance)
        raise busy

    async def _not_sent(
        self, verification: Verification, send: Send, why: OtpError, allowance: Allowance
    ) -> None:
        """Record that the provider reported *why* instead of sending, and refund what is safe.

        A resend is uncounted only if it certainly was not sent. After any other error the provider
        may be wrong, so the message stays counted.
        """
        if send.number == 1:
            await self.store.fail_send(verification.id, send, Status.REFUSED)
        elif isinstance(why, (LanguageRefused, ProviderNotReached, ProviderRejected, NumberBusy)):
            await self.store.release_send(verification, send)
        if isinstance(why, LanguageRefused):
            # The next message uses the fallback language, so the person may repeat at once.
            await self.budget.refund(allowance, at_once=True)
        elif isinstance(why, (ProviderNotReached, NumberBusy)):
            await self.budget.refund(allowance)

    def _send(self, number: int, channel: Channel) -> Send:
        now = self.now()
        return Send(number, channel, at=now, next_at=now + self.policy.cooldown(number))

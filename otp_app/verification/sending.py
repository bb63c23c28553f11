"""The sending of codes: the first message, resends, and the recording of the provider's result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import structlog

from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderError,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ResendTimedOut,
    ResendTooSoon,
    VerificationNotFound,
)
from otp_app.verification.audit import send_call
from otp_app.verification.budget import Call
from otp_app.verification.models import Reference, Send, Status, Verification
from otp_app.verification.planning import Request, running_reference
from otp_app.verification.store import AlreadyOpen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Allowance, Budget
    from otp_app.verification.circuit_breaker import CircuitBreakerProvider
    from otp_app.verification.client import Client
    from otp_app.verification.models import Channel, Policy
    from otp_app.verification.planning import Plan, Planner
    from otp_app.verification.risk import RiskScreening
    from otp_app.verification.store import Transaction, VerificationStore

_T = TypeVar("_T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sender:
    """Sends codes. Each message is counted, then requested once, then its result is recorded.

    A message is three transactions: one that reads and decides, one that counts and records the
    message, and one that records the provider's answer and what comes of it.
    """

    store: VerificationStore
    planner: Planner
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
        asked = Request(client, phone, channel, self.budget.remembered_refusal(client, phone))
        return await self._carry_out(asked, lambda tx: self.planner.start(tx, asked))

    async def resend(self, client: Client, current: Verification, channel: Channel) -> Verification:
        """Send another code for *current*, or start a new verification if *current* has ended."""
        refusal = self.budget.remembered_refusal(client, current.phone)
        asked = Request(client, current.phone, channel, refusal)
        return await self._carry_out(asked, lambda tx: self.planner.resend(tx, asked, current))

    async def _carry_out(
        self, asked: Request, look: Callable[[Transaction], Plan | Verification]
    ) -> Verification:
        """Return the verification that *look* has found, or send the message that it has planned.

        A number that is busy counts towards the limits of the client only, so that no client can
        probe a number without end. Nothing else is written then.
        """
        try:
            found = await self.budget.look(look)
        except NumberBusy:
            await self.budget.spend_refusal(asked.client, asked.phone)
            raise
        if isinstance(found, Verification):
            return found
        if found.current:
            return await self._send_again(found, found.current)
        return await self._send_first(found)

    async def _send_first(self, plan: Plan) -> Verification:
        """Count the message, then record the new verification and start it at the provider.

        Both are one transaction, unless the number has to be screened or an old verification has to
        end at its provider in between. Only a counted message pays for these calls.
        """
        if self.screening.lookup or plan.over:
            allowance, _ = await self.budget.spend_send(plan.uses, lambda _: None)
            await self.screening.require_acceptable(allowance, plan.request.phone, self.now())
            for one in plan.over:
                await self._end(allowance, one)  # first, or the start could get the same code
            send, verification = self._first(plan)
            await self._reserving(
                self.store.write(lambda tx: self._reserve(tx, plan, verification)), send
            )
        else:
            send, verification = self._first(plan)
            spending = self.budget.spend_send(
                plan.uses, lambda tx: self._reserve(tx, plan, verification)
            )
            allowance, _ = await self._reserving(spending, send)
        language = plan.request.client.language
        sending = plan.provider.start(allowance, plan.request.phone, plan.request.channel, language)
        return await self._deliver(verification, send, sending, allowance)

    def _first(self, plan: Plan) -> tuple[Send, Verification]:
        send = self._send(1, plan.request.channel)
        verification = Verification(
            id=send.id,
            flow=plan.request.client.flow,
            phone=plan.request.phone,
            provider=self.provider,
            channel=plan.request.channel,
            status=Status.SENDING,
            attempts_left=min(self.policy.max_attempts, plan.provider.max_attempts),
            sends=send.number,
            sent_at=send.at,
            resend_at=send.next_at,
            expires_at=send.at + self.policy.lifetime,
        )
        return send, verification

    def _reserve(self, transaction: Transaction, plan: Plan, verification: Verification) -> None:
        source_key = self.budget.source_key(transaction, plan.request.client, plan.request.phone)
        self.store.within(transaction).reserve(verification, plan.request.client.source, source_key)

    async def _reserving(self, reserving: Awaitable[_T], send: Send) -> _T:
        try:
            return await reserving
        except AlreadyOpen:  # another tab has just started one
            raise ResendTooSoon(until=send.next_at) from None

    async def _send_again(self, plan: Plan, current: Verification) -> Verification:
        """Count the further message of *current*, record it and request it."""
        client, to, channel, _ = plan.request
        send = self._send(current.sends + 1, channel)

        def record(transaction: Transaction) -> None:
            verifications = self.store.within(transaction)
            if not verifications.record_send(current, send, client.source):
                raise ResendTooSoon(until=send.next_at)

        allowance, _ = await self.budget.spend_send(plan.uses, record)
        language = client.language
        if running := running_reference(current):
            sending = plan.provider.resend(allowance, running, to, channel, language)
        else:
            sending = plan.provider.start(allowance, to, channel, language)
        return await self._deliver(current, send, sending, allowance)

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
        answer = await self.audit.ask(send_call(verification, send), sending)
        settled = self._send(send.number, send.channel)

        def record(transaction: Transaction) -> Verification | OtpError:
            verifications = self.store.within(transaction)
            verifications.record_result(answer.call.id, answer.result, settled.at)
            reference, error = answer.value, answer.error
            if isinstance(error, NumberBusy):
                reference = self._adopt(transaction, verification, send, error)
            if reference is None:
                error = cast("OtpError", error)  # without a value, an answer has an error
                self._not_sent(transaction, verification, send, error, allowance)
                return error
            is_sent = answer.error is None
            now = verifications.settle_send(verification, settled, reference, is_sent=is_sent)
            if now:
                self.budget.count_sent(transaction, now, verification, settled.at)
            # Another tab may have closed the verification during the call.
            is_open = now and now.verification.status is Status.PENDING
            return now.verification if now and is_open else VerificationNotFound()

        result = await self.store.write(record)
        if answer.error:
            self.budget.limiter.forget_refusals()
        if isinstance(result, OtpError):
            raise result
        if answer.error:
            log.info("verification.adopted", id=verification.id, provider=verification.provider)
        return result

    def _adopt(
        self, transaction: Transaction, verification: Verification, send: Send, busy: NumberBusy
    ) -> Reference | None:
        """Take over the verification that the provider already runs, if this flow requested it.

        This happens when the response to an earlier start was lost.

        Returns:
            None if another client requested that verification.
        """
        reference = Reference(busy.reference or "")
        verifications = self.store.within(transaction)
        if reference and verifications.adopt(verification, send, reference):
            return reference
        return None

    def _not_sent(
        self,
        transaction: Transaction,
        verification: Verification,
        send: Send,
        why: OtpError,
        allowance: Allowance,
    ) -> None:
        """Record that the provider reported *why* instead of sending, and refund what is safe.

        A resend is uncounted only if it certainly was not sent. After any other error the provider
        may be wrong, so the message stays counted.
        """
        verifications = self.store.within(transaction)
        match why:
            case ResendTimedOut():
                verifications.lose_reference(verification.id, send)
            case ProviderTimedOut():
                verifications.fail_send(verification.id, send, Status.UNKNOWN)
            case _ if send.number == 1:
                verifications.fail_send(verification.id, send, Status.REFUSED)
            case LanguageRefused() | ProviderNotReached() | ProviderRejected() | NumberBusy():
                verifications.release_send(verification, send)
        if isinstance(why, LanguageRefused):
            # The next message uses the fallback language, so the person may repeat at once.
            self.budget.refund(transaction, allowance, at_once=True)
        elif isinstance(why, (ProviderNotReached, NumberBusy)):
            self.budget.refund(transaction, allowance)

    def _send(self, number: int, channel: Channel) -> Send:
        now = self.now()
        return Send(number, channel, at=now, next_at=now + self.policy.cooldown(number))

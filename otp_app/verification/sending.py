"""The sending of codes: the first message, resends, and the recording of the provider's result."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

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
from otp_app.verification.allowances import Allowance, Call
from otp_app.verification.audit import send_call
from otp_app.verification.models import Reference, Send, Status, Verification, new_id
from otp_app.verification.planning import running_reference
from otp_app.verification.store import AlreadyOpen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Budget, Request
    from otp_app.verification.circuit_breaker import CircuitBreakerProvider
    from otp_app.verification.client import Client
    from otp_app.verification.models import Channel, Policy
    from otp_app.verification.planning import Plan, Planner
    from otp_app.verification.ports import LimitUsage
    from otp_app.verification.risk import RiskScreening
    from otp_app.verification.store import Transaction, VerificationStore

log = structlog.get_logger(__name__)


class Message(NamedTuple):
    """A counted message and its verification."""

    plan: Plan
    verification: Verification
    send: Send


@dataclass(frozen=True)
class Sender:
    """Sends codes. Each message is counted, then requested once, then its result is recorded.

    A message is two transactions: one that decides, counts and records the message, and one that
    records the provider's answer and what comes of it.
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
        asked = self.budget.asked(client, phone, channel)
        return await self._carry_out(asked, lambda tx: self.planner.start(tx, asked))

    async def resend(self, client: Client, current: Verification, channel: Channel) -> Verification:
        """Send another code for *current*, or start a new verification if *current* has ended."""
        asked = self.budget.asked(client, current.phone, channel)
        return await self._carry_out(asked, lambda tx: self.planner.resend(tx, asked, current))

    async def _carry_out(
        self, asked: Request, look: Callable[[Transaction], Plan | Verification]
    ) -> Verification:
        """Return the verification that *look* has found, or send the message that it has planned.

        A number that is busy counts towards the limits of the client only, so that no client can
        probe a number without end. Nothing else is written then.
        """
        try:
            allowance, found = await self._admit(asked, look)
        except NumberBusy:
            await self.budget.spend_refusal(asked.client, asked.phone)
            raise
        if isinstance(found, Verification):
            return found
        if self._begins_with_calls(found.plan):
            found = await self._prepare(allowance, found.plan)
        return await self._deliver(found, self._request(found, allowance), allowance)

    async def _admit(
        self, asked: Request, look: Callable[[Transaction], Plan | Verification]
    ) -> tuple[Allowance, Verification | Message]:
        """Decide by *look*, and count and record the message that *look* has planned."""
        id_ = new_id()

        def admit(
            transaction: Transaction, now: datetime
        ) -> tuple[Sequence[LimitUsage], Verification | Message]:
            found = look(transaction)
            if isinstance(found, Verification):
                return (), found
            counted = self.budget.count_send(transaction, found.usages, now)
            message = self._message(found, id_, now)
            if not self._begins_with_calls(found):
                self._record(transaction, message)
            return counted, message

        if asked.refusal:  # raised by `look`, unless the flow has the verification already
            return cast("tuple[Allowance, Verification]", await self.budget.refuse(look))
        return await self.budget.spend_send(admit)

    def _begins_with_calls(self, plan: Plan) -> bool:
        """Return whether calls to vendors have to end before the message of *plan* is recorded.

        The number has to be screened, or an old verification has to end at its provider. Only a
        counted message pays for these calls.
        """
        return not plan.current and bool(self.screening.lookup or plan.over)

    async def _prepare(self, allowance: Allowance, plan: Plan) -> Message:
        """Make the calls that the message of *plan* has to wait for, and record the message."""
        await self.screening.require_acceptable(allowance, plan.request.phone, self.now())
        for one in plan.over:
            await self._end(allowance, one)  # first, or the start could get the same code
        message = self._message(plan, new_id(), self.now())
        await self.store.write(lambda tx: self._record(tx, message))
        return message

    def _message(self, plan: Plan, id_: str, now: datetime) -> Message:
        """Return the message of *plan*, at the time *now* and with *id_* in the audit."""
        number = plan.current.sends + 1 if plan.current else 1
        channel = plan.request.channel
        send = Send(number, channel, at=now, next_at=now + self.policy.cooldown(number), id=id_)
        return Message(plan, plan.current or self._first(plan, send), send)

    def _first(self, plan: Plan, send: Send) -> Verification:
        return Verification(
            id=send.id,
            flow=plan.request.client.flow,
            phone=plan.request.phone,
            provider=self.provider,
            channel=send.channel,
            status=Status.SENDING,
            attempts_left=min(self.policy.max_attempts, plan.provider.max_attempts),
            sends=send.number,
            sent_at=send.at,
            resend_at=send.next_at,
            expires_at=send.at + self.policy.lifetime,
        )

    def _record(self, transaction: Transaction, message: Message) -> None:
        """Record *message* before it is requested.

        Raises:
            ResendTooSoon: another tab has just requested one.
        """
        plan, verification, send = message
        verifications, client = self.store.within(transaction), plan.request.client
        if plan.current:
            if not verifications.record_send(plan.current, send, client.source):
                raise ResendTooSoon(until=send.next_at)
            return
        key = self.budget.source_key(transaction, client, plan.request.phone)
        try:
            verifications.reserve(verification, client.source, key)
        except AlreadyOpen:
            raise ResendTooSoon(until=send.next_at) from None

    def _request(self, message: Message, allowance: Allowance) -> Awaitable[Reference]:
        """Return the one call to the provider that sends *message*."""
        plan = message.plan
        client, to, channel, *_ = plan.request
        if plan.current and (running := running_reference(plan.current)):
            return plan.provider.resend(allowance, running, to, channel, client.language)
        return plan.provider.start(allowance, to, channel, client.language)

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
        self, message: Message, sending: Awaitable[Reference], allowance: Allowance
    ) -> Verification:
        """Await *sending*, the one call to the provider, and record its result.

        Raises:
            VerificationNotFound: the verification was closed meanwhile.
            NumberBusy, ProviderError: the provider's error, after it is recorded.
        """
        _, verification, send = message
        answer = await self.audit.ask(send_call(verification, send), sending)
        now = self.now()
        settled = replace(send, at=now, next_at=now + self.policy.cooldown(send.number))

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
            after = verifications.settle_send(verification, settled, reference, is_sent=is_sent)
            if after:
                self.budget.count_sent(transaction, after, verification, settled.at)
            # Another tab may have closed the verification during the call.
            is_open = after and after.verification.status is Status.PENDING
            return after.verification if after and is_open else VerificationNotFound()

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

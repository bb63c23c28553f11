"""Reading and deciding: a browser's current verification, and the plan of a message.

All of it takes place in a transaction and calls no provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    NumberBusy,
    OtpError,
    ResendTooSoon,
    SendsExhausted,
    VerificationExpired,
    VerificationNotFound,
    VerificationReplaced,
)
from otp_app.verification.limits import Action
from otp_app.verification.models import SecondStart, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from otp_app.verification.budget import Budget, Request
    from otp_app.verification.circuit_breaker import CircuitBreakerProvider
    from otp_app.verification.models import Flow, Policy, Reference, Verification
    from otp_app.verification.ports import LimitUsage
    from otp_app.verification.store import Transaction, VerificationStore


@dataclass(frozen=True)
class VerificationFinder:
    """Reads verifications in a transaction, without calls to providers and without changes."""

    store: VerificationStore
    providers: Mapping[str, CircuitBreakerProvider]
    now: Callable[[], datetime]
    policy: Policy

    def current(self, transaction: Transaction, flow: Flow) -> Verification | None:
        """Return the browser's verification, open or recently ended, if any."""
        verification = self.store.within(transaction).latest(flow)
        if verification is None or verification.status in (Status.CANCELED, Status.REFUSED):
            return None
        forgotten = self.now() > verification.expires_at + self.policy.remembered
        return None if forgotten else verification

    def require(self, transaction: Transaction, flow: Flow, id_: str) -> Verification:
        """Return the verification *id_*, which must be the browser's current one and unapproved.

        Raises:
            VerificationNotFound: the browser has no verification.
            AlreadyVerified: the current verification is approved.
            VerificationReplaced: the browser has since started another verification.
        """
        current = self.current(transaction, flow)
        if current is None:
            raise VerificationNotFound
        if current.status is Status.APPROVED:
            raise AlreadyVerified
        if current.id != id_:
            raise VerificationReplaced(ending=current.phone.ending)
        return current

    def require_checkable(self, current: Verification) -> None:
        """Check that *current* still accepts a code.

        Raises:
            AttemptsExhausted: too many wrong codes have locked it.
            VerificationExpired: it has ended or expired.
        """
        if error := self._error_if_closed(current):
            raise error

    def can_go_on(self, current: Verification) -> bool:
        """Return whether *current* is open and its provider is still configured."""
        return current.is_open(self.now()) and current.provider in self.providers

    def provider_of(self, verification: Verification) -> CircuitBreakerProvider:
        """Return the provider that started *verification*.

        Raises:
            VerificationExpired: that provider is no longer configured, so its code is worthless.
        """
        try:
            return self.providers[verification.provider]
        except KeyError:
            raise VerificationExpired from None

    def why_closed(self, transaction: Transaction, flow: Flow) -> OtpError:
        """Return the error for a guess that the store did not grant, by the present status."""
        current = self.current(transaction, flow)
        if current is None:
            return VerificationNotFound()
        return self._error_if_closed(current) or VerificationExpired()

    def _error_if_closed(self, current: Verification) -> OtpError | None:
        """Return the error for a code that is entered for *current*, or None if it is open."""
        now = self.now()
        if current.status is Status.APPROVED:
            return AlreadyVerified()
        if current.is_locked(now):
            return AttemptsExhausted(until=current.expires_at)
        return None if current.is_open(now) else VerificationExpired()


@dataclass(frozen=True)
class Plan:
    """A message that may be sent, before it is counted.

    Attributes:
        usages: the usages of the limits that the message counts towards.
        current: the verification that gets a further message, or None for a new verification.
        over: verifications that must end at the provider before a new one starts.
    """

    request: Request
    provider: CircuitBreakerProvider
    usages: Sequence[LimitUsage]
    current: Verification | None = None
    over: Sequence[Verification] = ()


@dataclass(frozen=True)
class Planner:
    """Decides what a request leads to. The methods write nothing in their transaction."""

    store: VerificationStore
    finder: VerificationFinder
    budget: Budget
    providers: Mapping[str, CircuitBreakerProvider]
    provider: str
    now: Callable[[], datetime]
    policy: Policy

    def start(self, transaction: Transaction, asked: Request) -> Plan | Verification:
        """Plan the first message to a number, or return the verification that has it already."""
        current = self.finder.current(transaction, asked.client.flow)
        if current and current.phone == asked.phone:
            return self._again(transaction, asked, current)
        verifications = self.store.within(transaction)
        if locked := verifications.locked(asked.client.flow, asked.phone, self.now()):
            raise AttemptsExhausted(until=locked.expires_at)
        return self._new(transaction, asked)

    def resend(
        self, transaction: Transaction, asked: Request, current: Verification
    ) -> Plan | Verification:
        """Plan another message of *current*, or a new verification if *current* has ended."""
        if self.finder.can_go_on(current):
            return self._further(transaction, asked, current)
        return self._again(transaction, asked, current)

    def _new(
        self, transaction: Transaction, asked: Request, over: Verification | None = None
    ) -> Plan:
        """Plan a new verification, which replaces *over*."""
        provider = self.providers[self.provider]
        provider.require(Action.SEND)
        self._require_free(transaction, asked, self.provider)
        used_up = self._require_room(transaction, asked)
        usages = self.budget.send_usages(transaction, asked, self.now())
        return Plan(asked, provider, usages, over=[one for one in (used_up, over) if one])

    def _again(
        self, transaction: Transaction, asked: Request, current: Verification
    ) -> Plan | Verification:
        """Plan another code to the number that the flow is already verifying, if it is time."""
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not self.finder.can_go_on(current):
            return self._new(transaction, asked, over=current)
        on_its_way = current.status is Status.PENDING and current.channel is asked.channel
        if on_its_way and now < current.resend_at:
            return current
        return self._further(transaction, asked, current)

    def _further(self, transaction: Transaction, asked: Request, current: Verification) -> Plan:
        """Plan a further message of *current*."""
        if current.sends >= self.policy.max_sends:
            raise SendsExhausted(sends=current.sends, until=current.expires_at)
        if self.now() < current.resend_at:
            raise ResendTooSoon(until=current.resend_at)
        provider = self.finder.provider_of(current)
        provider.require(Action.SEND)
        if not running_reference(current):
            self._require_free(transaction, asked, current.provider)
        usages = self.budget.send_usages(transaction, asked, self.now())
        return Plan(asked, provider, usages, current)

    def _require_free(self, transaction: Transaction, asked: Request, name: str) -> None:
        """Reject a start that the provider *name* would refuse, without calling it.

        Raises:
            NumberBusy: the provider allows one verification per number, and another flow has it.
        """
        if self.providers[name].second_start is not SecondStart.REFUSED:
            return
        verifications, flow = self.store.within(transaction), asked.client.flow
        if verifications.is_verifying(asked.phone, name, flow, self.now()):
            raise NumberBusy

    def _require_room(self, transaction: Transaction, asked: Request) -> Verification | None:
        """Return a used-up verification of the number that must end before a new one can start.

        A provider that shares codes would give a new flow the reference of that verification.

        Returns:
            None if nothing is in the way.

        Raises:
            NumberBusy: other flows have reserved all guesses that are left.
        """
        if self.providers[self.provider].second_start is not SecondStart.SAME_CODE:
            return None
        verifications, flow = self.store.within(transaction), asked.client.flow
        running = verifications.running(asked.phone, self.provider, flow, self.now())
        full = [one for one in running if one.room <= 0]
        if any(one.kept for one in full):
            raise NumberBusy
        found = [one.verification for one in full]
        # The provider runs one verification per number at a time: only the newest can be alive.
        return max(found, key=lambda one: one.sent_at, default=None)


def running_reference(current: Verification) -> Reference | None:
    """Return the reference of *current* if the provider can send for it again."""
    return current.reference if current.status is Status.PENDING else None

"""The reads of the store: a browser's current verification, and the reason it cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    OtpError,
    VerificationExpired,
    VerificationNotFound,
    VerificationReplaced,
)
from otp_app.verification.models import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from otp_app.verification.circuit_breaker import CircuitBreakerProvider
    from otp_app.verification.models import Flow, Policy, Verification
    from otp_app.verification.ports import VerificationStore


@dataclass(frozen=True)
class VerificationFinder:
    """Reads verifications from the store, without calls to providers and without changes."""

    store: VerificationStore
    providers: Mapping[str, CircuitBreakerProvider]
    now: Callable[[], datetime]
    policy: Policy

    async def current(self, flow: Flow) -> Verification | None:
        """Return the browser's verification, open or recently ended, if any."""
        verification = await self.store.latest(flow)
        if verification is None or verification.status in (Status.CANCELED, Status.REFUSED):
            return None
        forgotten = self.now() > verification.expires_at + self.policy.remembered
        return None if forgotten else verification

    async def require(self, flow: Flow, id_: str) -> Verification:
        """Return the verification *id_*, which must be the browser's current one and unapproved.

        Raises:
            VerificationNotFound: the browser has no verification.
            AlreadyVerified: the current verification is approved.
            VerificationReplaced: the browser has since started another verification.
        """
        current = await self.current(flow)
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

    async def why_closed(self, flow: Flow) -> OtpError:
        """Return the error for a guess that the store did not grant, by the present status."""
        current = await self.current(flow)
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

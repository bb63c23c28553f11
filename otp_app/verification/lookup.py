"""Which verification a browser is in, and what stands in the way of using it."""

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

    from otp_app.verification.circuit import Guarded
    from otp_app.verification.models import Flow, Policy, Verification
    from otp_app.verification.ports import VerificationStore


@dataclass(frozen=True)
class Lookup:
    """Reads the store. Asks no provider and changes nothing."""

    store: VerificationStore
    providers: Mapping[str, Guarded]
    now: Callable[[], datetime]
    policy: Policy

    async def current(self, flow: Flow) -> Verification | None:
        """The verification this browser is in, if any."""
        verification = await self.store.latest(flow)
        if verification is None or verification.status in (Status.CANCELED, Status.REFUSED):
            return None
        forgotten = self.now() > verification.expires_at + self.policy.remembered
        return None if forgotten else verification

    async def require(self, flow: Flow, id_: str) -> Verification:
        """The verification *id_*, if the browser is in it and it is not approved.

        Raises:
            VerificationNotFound, AlreadyVerified, VerificationReplaced.
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
        """Refuse what takes no code any more. Raises AttemptsExhausted, VerificationExpired."""
        now = self.now()
        if current.is_locked(now):
            raise AttemptsExhausted(until=current.expires_at)
        if not current.is_open(now):
            raise VerificationExpired

    def can_go_on(self, current: Verification) -> bool:
        """Whether it is open and who started it is still configured."""
        return current.is_open(self.now()) and current.provider in self.providers

    def provider_of(self, verification: Verification) -> Guarded:
        """Who started it. Its code is worthless once that provider is no longer configured.

        Raises:
            VerificationExpired: it is not.
        """
        try:
            return self.providers[verification.provider]
        except KeyError:
            raise VerificationExpired from None

    async def why_closed(self, flow: Flow) -> OtpError:
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

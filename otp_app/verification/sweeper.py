"""Ends at the provider what is over here, and deletes what is old.

Without it a workflow that was left alone would go on to its next step, and a person who gave up
would be called minutes later: one action, two messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import ProviderError
from otp_app.verification.budget import CANCELS, Budget
from otp_app.verification.circuit import Guarded
from otp_app.verification.models import Status, Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from otp_app.verification.ports import Limiter, Provider, VerificationStore

KEEP = timedelta(days=30)
"""How long verifications are kept that are over. No rule looks back further than minutes; an
operator who asks `why` may want as far back as limits reach, which is 30 days."""

INTERVAL = 5.0  # seconds between two looks; one indexed query each

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweeper:
    """Closes verifications whose time is over and cancels at the provider what has ended.

    The message that a reference came with has paid for its cancels: there are `CANCELS` at most.
    """

    store: VerificationStore
    limiter: Limiter
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]
    keep: timedelta = KEEP

    async def sweep(self) -> None:
        """Look once."""
        seen: set[str] = set()
        while verification := await self._next(seen):
            seen.add(verification.id)
            await self.store.close(verification.id, Status.EXPIRED, verification.reference)
            await self._cancel(verification)
        await self.limiter.prune(self.now())
        await self.store.forget(self.now() - self.keep)

    async def _next(self, seen: set[str]) -> Verification | None:
        """Asked anew before each cancel: a reference may be in use again by then."""
        ended = await self.store.ended(self.now())
        return next((one for one in ended if one.id not in seen), None)

    async def _cancel(self, over: Verification) -> None:
        """Cancel at the provider; a cancel that fails is tried again after its wait."""
        provider = self._guarded.get(over.provider)
        if provider and over.reference:
            allowance = await self._budget.spend_cancel(over)
            if allowance is None:
                return
            try:
                await provider.cancel(allowance, over.reference)
            except ProviderError as exc:
                left = CANCELS - over.cancels - 1
                log.warning("sweeper.not_canceled", id=over.id, why=exc.code, tries_left=left)
                return
        await self.store.mark_canceled(over.id, over.reference)

    @cached_property
    def _guarded(self) -> Mapping[str, Guarded]:
        return {name: Guarded(provider, self.now) for name, provider in self.providers.items()}

    @cached_property
    def _budget(self) -> Budget:
        """No limit of the policy holds for cancels: `CANCELS` does."""
        return Budget(self.limiter, (), self.now, self.store)

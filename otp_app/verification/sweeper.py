"""The sweeper: it cancels ended verifications at their provider and deletes old ones.

Without the cancel, a provider's workflow would continue with its next step. A person who gave up
would get a call minutes after the text message: two messages for one action.
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
"""Time for which ended verifications are kept. The app itself needs them for minutes only. The
command `why` shows operators the same period that the longest limit covers, which is 30 days."""

INTERVAL = 5.0  # seconds between two sweeps, of one indexed query each

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweeper:
    """Expires open verifications whose time is over, and cancels ended ones at their provider.

    Each verification is canceled `CANCELS` times at most. No limit applies to these calls, because
    each belongs to a message that was counted.
    """

    store: VerificationStore
    limiter: Limiter
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]
    keep: timedelta = KEEP

    async def sweep(self) -> None:
        """Close and cancel every verification that is due, then delete old rows."""
        seen: set[str] = set()
        while verification := await self._next(seen):
            seen.add(verification.id)
            await self.store.close(verification.id, Status.EXPIRED, verification.reference)
            await self._cancel(verification)
        await self.limiter.prune(self.now())
        await self.store.forget(self.now() - self.keep)

    async def _next(self, seen: set[str]) -> Verification | None:
        """Read the next verification to end, if any.

        The store is read before each cancel, because a reference may be in use again by then.
        """
        ended = await self.store.ended(self.now())
        return next((one for one in ended if one.id not in seen), None)

    async def _cancel(self, over: Verification) -> None:
        """Cancel *over* at its provider. A failed cancel is retried by a later sweep."""
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
        """A budget without limits: only `CANCELS` bounds the cancels."""
        return Budget(self.limiter, (), self.now, self.store)

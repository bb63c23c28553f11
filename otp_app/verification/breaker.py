"""The country breaker: it pauses countries whose messages lead to few approvals.

Such messages are a sign of SMS pumping fraud, in which somebody earns money by each message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from otp_app.verification.limits import COUNTED_BY_ADDRESS, PAUSED_BELOW, RIPE, Action, Spending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otp_app.verification.limits import Limit
    from otp_app.verification.ports import Journal, Limiter

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Breaker:
    """Pauses a country with a low conversion rate by using up its `PAUSE` limits.

    Only a few verifications of one address or API key count. An attacker who wants to pause a
    country therefore needs as many addresses as a pumping fraud.

    A pause lasts as long as the window in which the conversion rate is measured. When the pause
    ends, the verifications that led to it no longer count.
    """

    journal: Journal
    limiter: Limiter
    limits: Sequence[Limit]
    now: Callable[[], datetime]

    async def look(self) -> None:
        """Measure every country once, and pause those below `PAUSED_BELOW`."""
        for limit in self.limits:
            if limit.action is Action.PAUSE:
                await self._look(limit)

    async def _look(self, limit: Limit) -> None:
        now = self.now()
        span = (now - limit.window, now - RIPE)
        found = await self.journal.countries(*span, COUNTED_BY_ADDRESS)
        for region, conversion in found.items():
            if conversion.sent >= limit.amount and conversion.share < PAUSED_BELOW:
                await self._pause(limit, region, conversion.sent, conversion.approved)

    async def _pause(self, limit: Limit, region: str, sent: int, approved: int) -> None:
        if await self.limiter.exhaust(Spending(limit, region), self.now()):
            log.error(
                "country.paused",
                country=region,
                sent=sent,
                approved=approved,
                until=self.now() + limit.window,
            )

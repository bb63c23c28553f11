"""What a client may still use of the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app.verification.limits import Action, Scope, spendings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.limits import Client, Limit, Spending
    from otp_app.verification.ports import Limiter


@dataclass(frozen=True)
class Budget:
    """Counts sends and guesses against *limits*, before they are made."""

    limiter: Limiter
    limits: Sequence[Limit]
    now: Callable[[], datetime]

    async def spend_send(self, client: Client, phone: PhoneNumber) -> str:
        """Count a message, and give the name to take it back by. A locked number gets none.

        Raises:
            RateLimited.
        """
        await self.limiter.require(self._failures(client, phone), self.now())
        return await self._spend(Action.SEND, client, phone)

    async def spend_check(self, client: Client, phone: PhoneNumber) -> None:
        """Count a guess. Raises RateLimited."""
        await self._spend(Action.CHECK, client, phone)

    async def refund(self, batch: str) -> None:
        """Take back what certainly bought nothing."""
        await self.limiter.refund(batch)

    async def forgive_failures(self, client: Client, phone: PhoneNumber) -> None:
        """A success ends the number's row of failures, and no other count."""
        await self.limiter.forgive(self._failures(client, phone))

    async def _spend(self, action: Action, client: Client, phone: PhoneNumber) -> str:
        return await self.limiter.spend(spendings(self.limits, action, client, phone), self.now())

    def _failures(self, client: Client, phone: PhoneNumber) -> list[Spending]:
        checks = spendings(self.limits, Action.CHECK, client, phone)
        return [spending for spending in checks if spending.limit.scope is Scope.FAILURES]

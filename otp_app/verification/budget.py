"""What a client may still use of the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from otp_app.verification.limits import (
    RIPE,
    TRUSTED_FOR,
    TRUSTED_FROM,
    TRUSTED_SENDS,
    UNCONFIRMED,
    Action,
    Scope,
    spendings,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.limits import Client, Limit, Spending
    from otp_app.verification.ports import Limiter, VerificationStore


@dataclass(frozen=True)
class Budget:
    """Counts sends and guesses against *limits*, before they are made."""

    limiter: Limiter
    limits: Sequence[Limit]
    now: Callable[[], datetime]
    store: VerificationStore

    async def spend_send(self, client: Client, phone: PhoneNumber) -> str:
        """Count a message, and give the name to take it back by.

        Raises:
            RateLimited: a limit is reached, the number is locked or its country paused.
        """
        is_confirmed = await self.store.is_confirmed(phone)
        is_known = is_confirmed or bool(client.key)
        pauses = spendings(self.limits, Action.PAUSE, client, phone)
        required = [*self._failures(client, phone), *([] if is_known else pauses)]
        await self.limiter.require(required, self.now())
        lifted = set(UNCONFIRMED) if is_known else set()
        if not is_known or not await self._is_paused(pauses):
            lifted.add(Scope.COUNTRY_CONFIRMED)
        if not is_confirmed or client.has_proved(phone):
            lifted.add(Scope.STRANGERS)
        if await self._is_trusted(phone):
            lifted.add(Scope.PREFIX)
        limits = [limit for limit in self.limits if limit.scope not in lifted]
        return await self.limiter.spend(spendings(limits, Action.SEND, client, phone), self.now())

    async def spend_check(self, client: Client, phone: PhoneNumber) -> None:
        """Count a guess. Raises RateLimited."""
        uses = spendings(self.limits, Action.CHECK, client, phone)
        await self.limiter.spend(uses, self.now())

    async def refund(self, batch: str) -> None:
        """Take back what certainly bought nothing."""
        await self.limiter.refund(batch)

    async def forgive_failures(self, client: Client, phone: PhoneNumber) -> None:
        """A success ends the number's row of failures, and no other count."""
        await self.limiter.forgive(self._failures(client, phone))

    async def _is_paused(self, pauses: Sequence[Spending]) -> bool:
        """True if one of *pauses* is in force."""
        now = self.now()
        return any([not await self.limiter.has_room(pause, now) for pause in pauses])

    async def _is_trusted(self, phone: PhoneNumber) -> bool:
        """Whether the block of *phone* is known for people who confirm."""
        now = self.now()
        block = await self.store.journal.block(phone, now - TRUSTED_FOR, now - RIPE)
        return block.sent >= TRUSTED_SENDS and block.share >= TRUSTED_FROM

    def _failures(self, client: Client, phone: PhoneNumber) -> list[Spending]:
        checks = spendings(self.limits, Action.CHECK, client, phone)
        return [spending for spending in checks if spending.limit.scope is Scope.FAILURES]

"""What a client may still use of the limits, and the allowances for calls to vendors."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
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
    from otp_app.verification.models import Verification
    from otp_app.verification.ports import Limiter, VerificationStore

ASKING = frozenset(
    {
        Scope.SESSION,
        Scope.ADDRESS,
        Scope.NETWORK,
        Scope.KEY,
        Scope.SESSION_NUMBERS,
        Scope.ADDRESS_NUMBERS,
    }
)
"""The caller pays these scopes for asking. They stay spent, whatever the vendor answers: a caller
can provoke a refusal as often as it likes."""

MESSAGES = frozenset(
    {
        Scope.NUMBER,
        Scope.STRANGERS,
        Scope.PREFIX,
        Scope.COUNTRY,
        Scope.COUNTRY_UNCONFIRMED,
        Scope.COUNTRY_CONFIRMED,
        Scope.EVERYBODY,
        Scope.EVERYBODY_UNCONFIRMED,
    }
)
"""These scopes protect the owner of a number and the bill. A refused message harmed neither, so
they are given back: a caller must not use up the messages of another person by refusals."""

BURST = "LIMIT_SEND_NUMBER_BURST"
"""This limit counts by number but stays spent: it spaces the questions about one number."""

CANCELS = 6
"""The sweeper tries to cancel a verification so many times, all servers together. The first try
comes at once, the others after 5, 20, 65, 200 and 605 s. The last of them is still in time to stop
Vonage's call, which comes 15 minutes after the text message. A vendor that fails for hours is asked
no more often."""

CANCEL_WAIT = timedelta(seconds=5)
"""The wait after the first cancel that fails. Each further wait is three times as long."""


class Call(StrEnum):
    """The purpose of a call to a vendor."""

    LOOK = "look"  # at a number
    SEND = "send"  # start and resend alike
    CHECK = "check"
    CANCEL = "cancel"


PAID_BY_MESSAGE = (Call.LOOK, Call.CANCEL, Call.SEND)
"""One counted message pays for the look at its number, for the cancel of the verification that it
replaces, and for the message itself."""

PAID_BY_GUESS = (Call.CHECK,)


@dataclass
class Allowance:
    """The right to make the *calls* that were counted, each of them once.

    Only `Budget` issues allowances, after it has counted. No call leaves without one.

    Attributes:
        batch: the name of what was counted, for a refund.
        spent: what was counted.
    """

    calls: Sequence[Call]
    batch: str = ""
    spent: Sequence[Spending] = ()
    _made: Counter[Call] = field(default_factory=Counter)

    @property
    def is_unused(self) -> bool:
        """Whether no call has left."""
        return not self._made.total()

    def pays_for(self, call: Call) -> bool:
        """Whether the right to *call* is not used up."""
        return self._made[call] < self.calls.count(call)

    def use(self, call: Call) -> None:
        """Use up the right to *call*, before it leaves.

        Raises:
            RuntimeError: the right was not counted or is used up, which is a bug of ours.
        """
        if not self.pays_for(call):
            raise RuntimeError(f"a call to a vendor that nothing pays for: {call}")
        self._made[call] += 1

    def give_back(self, call: Call) -> None:
        """Record that *call* certainly never left."""
        self._made[call] -= 1


@dataclass(frozen=True)
class Budget:
    """Counts messages, guesses and cancels before they are made, and issues their allowances."""

    limiter: Limiter
    limits: Sequence[Limit]
    now: Callable[[], datetime]
    store: VerificationStore

    async def spend_send(self, client: Client, phone: PhoneNumber) -> Allowance:
        """Count a message.

        Raises:
            RateLimited: a limit is reached, the number is locked or its country paused.
        """
        uses = spendings(self.limits, Action.SEND, client, phone)
        self.limiter.recall([use for use in uses if use.limit.scope in ASKING], self.now())
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
        uses = [use for use in uses if use.limit.scope not in lifted]
        return Allowance(PAID_BY_MESSAGE, await self.limiter.spend(uses, self.now()), uses)

    async def spend_refusal(self, client: Client, phone: PhoneNumber) -> None:
        """Count a message that we refuse without a call: the limits of its caller only.

        Raises:
            RateLimited: a limit of the caller is reached.
        """
        limits = [limit for limit in self.limits if limit.scope in ASKING]
        await self.limiter.spend(spendings(limits, Action.SEND, client, phone), self.now())

    async def spend_check(self, client: Client, phone: PhoneNumber) -> Allowance:
        """Count a guess. Raises RateLimited."""
        uses = spendings(self.limits, Action.CHECK, client, phone)
        return Allowance(PAID_BY_GUESS, await self.limiter.spend(uses, self.now()), uses)

    async def spend_cancel(self, over: Verification) -> Allowance | None:
        """Count a cancel by the sweeper, at the verification.

        Returns:
            None if all of its cancels are used up, or another server has counted this one.
        """
        again_at = self.now() + CANCEL_WAIT * 3**over.cancels
        if over.cancels < CANCELS and await self.store.take_cancel(over, again_at):
            return Allowance((Call.CANCEL,))
        return None

    async def refund(self, allowance: Allowance, *, at_once: bool = False) -> None:
        """Give back what a message that was not sent has used up.

        All of it, if no call has left. If one has, its caller has paid for asking. With *at_once*
        the number's burst is given back too, so that the person may repeat the request now.
        """
        given = [
            use
            for use in allowance.spent
            if allowance.is_unused
            or (use.limit.scope in MESSAGES and (at_once or use.limit.name != BURST))
        ]
        await self.limiter.refund(allowance.batch, given)

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

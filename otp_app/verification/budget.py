"""The budget of a client: it counts uses of limits and issues allowances for vendor calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from otp_app.verification.limits import (
    MIN_MESSAGE_AGE,
    TRUSTED_FOR,
    TRUSTED_FROM,
    TRUSTED_SENDS,
    UNCONFIRMED,
    Action,
    Scope,
    limit_uses,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.client import Client
    from otp_app.verification.limits import Limit, LimitUse
    from otp_app.verification.models import Verification
    from otp_app.verification.ports import VerificationStore

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
"""Scopes that count requests of a client. They are never refunded for a request that reached the
vendor, because a client can provoke any number of refusals."""

MESSAGES = frozenset(
    {
        Scope.NUMBER,
        Scope.UNPROVED_CLIENTS,
        Scope.PREFIX,
        Scope.COUNTRY,
        Scope.COUNTRY_UNCONFIRMED,
        Scope.COUNTRY_CONFIRMED,
        Scope.GLOBAL,
        Scope.GLOBAL_UNCONFIRMED,
    }
)
"""Scopes that protect the owner of a number and the bill. A refused message harms neither, so they
are refunded. Otherwise a client could use up the messages of another person by refusals."""

BURST = "LIMIT_SEND_NUMBER_BURST"
"""Limit that counts by number and is not refunded: it spaces the requests about one number."""

CANCELS = 6
"""Number of attempts to cancel a verification, over all servers. The first attempt is made at once,
the others after 5, 20, 65, 200 and 605 s. The last one is still in time to stop Vonage's call,
which comes 15 minutes after the text message. A longer outage of a vendor causes no further
attempts."""

CANCEL_WAIT = timedelta(seconds=5)
"""The wait after the first cancel that fails. Each further wait is three times as long."""


class Call(StrEnum):
    """The purpose of a call to a vendor."""

    NUMBER_LOOKUP = "look"  # a number lookup
    SEND = "send"  # a start or a resend
    CHECK = "check"
    CANCEL = "cancel"


PAID_BY_MESSAGE = (Call.NUMBER_LOOKUP, Call.CANCEL, Call.SEND)
"""Calls that one counted message allows: the lookup of its number, the cancel of the verification
that it replaces, and the message itself."""

PAID_BY_GUESS = (Call.CHECK,)


@dataclass
class Allowance:
    """The right to make each of *calls* once.

    Only `Budget` issues allowances, after it has counted their use. Every vendor call needs one.

    Attributes:
        batch: the id under which the use was counted, for a refund.
        spent: the uses of limits that were counted.
    """

    calls: Sequence[Call]
    batch: str = ""
    spent: Sequence[LimitUse] = ()
    _made: Counter[Call] = field(default_factory=Counter)

    @property
    def is_unused(self) -> bool:
        """Whether no call was made."""
        return not self._made.total()

    def pays_for(self, call: Call) -> bool:
        """Return whether *call* may still be made."""
        return self._made[call] < self.calls.count(call)

    def use(self, call: Call) -> None:
        """Use up the right to *call*, before the request is sent.

        Raises:
            RuntimeError: there is no such right, or it is used up. This is a bug in the app.
        """
        if not self.pays_for(call):
            raise RuntimeError(f"a call to a vendor that nothing pays for: {call}")
        self._made[call] += 1

    def give_back(self, call: Call) -> None:
        """Restore the right to *call*, which certainly was not sent."""
        self._made[call] -= 1


class Limiter(Protocol):
    """A counter of the uses of limits, which counts each use before it is made.

    All methods that wait raise `StoreUnavailable` if the database does not respond.
    """

    async def spend(self, spendings: Sequence[LimitUse], now: datetime) -> str:
        """Count all of *spendings* or none, and return a batch id for `refund`.

        Raises:
            RateLimited: with the time from which all limits have room.
        """
        ...

    async def require(self, spendings: Sequence[LimitUse], now: datetime) -> None:
        """Check without counting that the limits of all *spendings* have room.

        Raises:
            RateLimited: with the time from which all limits have room.
        """
        ...

    def recall(self, spendings: Sequence[LimitUse], now: datetime) -> None:
        """Check *spendings* against recent refusals in memory, without the database.

        Raises:
            RateLimited: with the latest time that is in memory for them.
        """
        ...

    async def has_room(self, spending: LimitUse, now: datetime) -> bool:
        """Return whether a limit has room. Nothing is counted, logged or measured."""
        ...

    async def exhaust(self, spending: LimitUse, now: datetime) -> bool:
        """Use up the rest of a limit.

        Returns:
            False if the limit was used up before.
        """
        ...

    async def refund(self, batch: str, spendings: Sequence[LimitUse]) -> None:
        """Give back those of *spendings* that `spend` has counted under *batch*."""
        ...

    async def forgive(self, spendings: Sequence[LimitUse]) -> None:
        """Reset the limits of *spendings*, after a success."""
        ...

    async def prune(self, now: datetime) -> None:
        """Delete uses that are older than the window of their limit."""
        ...


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
        uses = limit_uses(self.limits, Action.SEND, client, phone)
        self.limiter.recall([use for use in uses if use.limit.scope in ASKING], self.now())
        is_confirmed = await self.store.is_confirmed(phone)
        is_known = is_confirmed or bool(client.key)
        pauses = limit_uses(self.limits, Action.PAUSE, client, phone)
        required = [*self._failures(client, phone), *([] if is_known else pauses)]
        await self.limiter.require(required, self.now())
        lifted = set(UNCONFIRMED) if is_known else set()
        if not is_known or not await self._is_paused(pauses):
            lifted.add(Scope.COUNTRY_CONFIRMED)
        if not is_confirmed or client.has_proved(phone):
            lifted.add(Scope.UNPROVED_CLIENTS)
        if await self._is_trusted(phone):
            lifted.add(Scope.PREFIX)
        uses = [use for use in uses if use.limit.scope not in lifted]
        return Allowance(PAID_BY_MESSAGE, await self.limiter.spend(uses, self.now()), uses)

    async def spend_refusal(self, client: Client, phone: PhoneNumber) -> None:
        """Count a message that is rejected without a call, towards the limits of its client only.

        Raises:
            RateLimited: a limit of the client is reached.
        """
        limits = [limit for limit in self.limits if limit.scope in ASKING]
        await self.limiter.spend(limit_uses(limits, Action.SEND, client, phone), self.now())

    async def spend_check(self, client: Client, phone: PhoneNumber) -> Allowance:
        """Count a guess.

        Raises:
            RateLimited: a limit of guesses is reached.
        """
        uses = limit_uses(self.limits, Action.CHECK, client, phone)
        return Allowance(PAID_BY_GUESS, await self.limiter.spend(uses, self.now()), uses)

    async def spend_cancel(self, over: Verification) -> Allowance | None:
        """Count a cancel by the sweeper, in the row of the verification.

        Returns:
            None if all of its cancels are used up, or another server has counted this one.
        """
        again_at = self.now() + CANCEL_WAIT * 3**over.cancels
        if over.cancels < CANCELS and await self.store.take_cancel(over, again_at):
            return Allowance((Call.CANCEL,))
        return None

    async def refund(self, allowance: Allowance, *, at_once: bool = False) -> None:
        """Refund the limits of a message that was not sent.

        Without a vendor call, all of them are refunded. After a call, the scopes in `ASKING` stay
        spent, and so does `BURST` unless *at_once*, which lets the person repeat the request now.
        """
        given = [
            use
            for use in allowance.spent
            if allowance.is_unused
            or (use.limit.scope in MESSAGES and (at_once or use.limit.name != BURST))
        ]
        await self.limiter.refund(allowance.batch, given)

    async def forgive_failures(self, client: Client, phone: PhoneNumber) -> None:
        """Reset the consecutive failures of *phone* after a success, and no other count."""
        await self.limiter.forgive(self._failures(client, phone))

    async def _is_paused(self, pauses: Sequence[LimitUse]) -> bool:
        """Return whether one of *pauses* is in force."""
        now = self.now()
        return any([not await self.limiter.has_room(pause, now) for pause in pauses])

    async def _is_trusted(self, phone: PhoneNumber) -> bool:
        """Return whether enough recent messages to the block of *phone* led to an approval."""
        now = self.now()
        block = await self.store.audit_store.block_conversion(
            phone, now - TRUSTED_FOR, now - MIN_MESSAGE_AGE
        )
        return block.sent >= TRUSTED_SENDS and block.share >= TRUSTED_FROM

    def _failures(self, client: Client, phone: PhoneNumber) -> list[LimitUse]:
        checks = limit_uses(self.limits, Action.CHECK, client, phone)
        return [
            spending for spending in checks if spending.limit.scope is Scope.CONSECUTIVE_FAILURES
        ]

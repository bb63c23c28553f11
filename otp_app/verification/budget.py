"""The budget of a client: it counts uses of limits and issues allowances for vendor calls."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from otp_app.verification.allowances import PAID_BY_GUESS, PAID_BY_MESSAGE, Allowance, Call
from otp_app.verification.limits import (
    HOUR,
    MIN_MESSAGE_AGE,
    TRUSTED_FOR,
    TRUSTED_FROM,
    TRUSTED_SENDS,
    UNCONFIRMED,
    Action,
    LimitUse,
    Scope,
    limit_uses,
)
from otp_app.verification.ports import LimitUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.client import Client
    from otp_app.verification.limits import Limit
    from otp_app.verification.models import Channel, Verification
    from otp_app.verification.ports import Conversions, Limiter
    from otp_app.verification.store import Approval, Settled, Transaction, VerificationStore

_T = TypeVar("_T")

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


class Request(NamedTuple):
    """A person's request of a message.

    Attributes:
        uses: the uses of limits that the message may count.
        refusal: a recent refusal of the client from memory, or None.
    """

    client: Client
    phone: PhoneNumber
    channel: Channel
    uses: Sequence[LimitUse]
    refusal: Exception | None


@dataclass(frozen=True)
class Budget:
    """Counts messages, guesses and cancels before they are made, and issues their allowances."""

    limiter: Limiter
    limits: Sequence[Limit]
    now: Callable[[], datetime]
    store: VerificationStore

    def asked(self, client: Client, phone: PhoneNumber, channel: Channel) -> Request:
        """Return a request of a message, with the uses of limits that it may count."""
        uses = limit_uses(self.limits, Action.SEND, client, phone)
        asking = [use for use in uses if use.limit.scope in ASKING]
        return Request(client, phone, channel, uses, self.limiter.remembered(asking, self.now()))

    def send_usages(
        self, transaction: Transaction, asked: Request, now: datetime
    ) -> Sequence[LimitUsage]:
        """Return the usages of the limits that a message counts towards. Nothing is counted.

        A remembered refusal is raised, and so is that of a limit without room, a locked number or a
        pause.
        """
        client, phone, _, sends, refusal = asked
        if refusal:
            raise refusal
        limits = self.limiter.within(transaction)
        pauses = limit_uses(self.limits, Action.PAUSE, client, phone)
        failures = self._failures(client, phone)
        usages = limits.read([*sends, *pauses, *failures], now)
        sending, pausing = usages[: len(sends)], usages[len(sends) : len(sends) + len(pauses)]
        is_confirmed = self.store.within(transaction).is_confirmed(phone)
        is_known = is_confirmed or bool(client.key)
        limits.require([*usages[len(sends) + len(pauses) :], *([] if is_known else pausing)])
        lifted = set(UNCONFIRMED) if is_known else set()
        if not is_known or not any(pause.full_until for pause in pausing):
            lifted.add(Scope.COUNTRY_CONFIRMED)
        if not is_confirmed or client.has_proved(phone):
            lifted.add(Scope.UNPROVED_CLIENTS)
        if self._is_trusted(self.limiter.conversions(limits), phone, now):
            lifted.add(Scope.PREFIX)
        usages = [usage for usage in sending if usage.limit.scope not in lifted]
        limits.require(usages)
        return usages

    async def spend_send(
        self, count: Callable[[Transaction, datetime], tuple[Sequence[LimitUsage], _T]]
    ) -> tuple[Allowance, _T]:
        """Run *count*, which counts a message by `count_send`, or raise its `RateLimited`.

        *count* returns the usages that it has counted, and any other result.
        """
        now = self.now()
        counting = self.store.write(lambda tx: count(tx, now))
        counted, result = await self.limiter.noting_refusals(counting, now)
        self.limiter.watch(counted)
        return Allowance(PAID_BY_MESSAGE, now, [usage.use for usage in counted]), result

    def count_send(
        self, transaction: Transaction, usages: Sequence[LimitUsage], now: datetime
    ) -> Sequence[LimitUsage]:
        """Count a message towards the limits of *usages*, which `send_usages` has returned."""
        return self.limiter.within(transaction).count(usages, now)

    async def refuse(self, look: Callable[[Transaction], _T]) -> tuple[Allowance, _T]:
        """Run *look*, which raises the remembered refusal of a request, and waits for no writer.

        Returns:
            An allowance for no call, and the result of *look*.
        """
        found = await self.limiter.noting_refusals(self.store.read(look), self.now())
        return Allowance(()), found

    async def spend_refusal(self, client: Client, phone: PhoneNumber) -> None:
        """Count a message that is rejected without a call, towards the limits of its client only.

        Raises:
            RateLimited: a limit of the client is reached.
        """
        limits = [limit for limit in self.limits if limit.scope in ASKING]
        await self.limiter.spend(limit_uses(limits, Action.SEND, client, phone), self.now())

    async def spend_check(
        self, take: Callable[[Transaction, Callable[[PhoneNumber], None]], _T], client: Client
    ) -> tuple[Allowance, _T]:
        """Count a guess in the transaction of *take*, which calls its second argument to count.

        Raises:
            RateLimited: a limit of guesses is reached.
        """
        now = self.now()

        def count(transaction: Transaction) -> tuple[Sequence[LimitUsage], _T]:
            counted = list[LimitUsage]()

            def spend(phone: PhoneNumber) -> None:
                uses = limit_uses(self.limits, Action.CHECK, client, phone)
                if refusal := self.limiter.remembered(uses, now):
                    raise refusal
                counted.extend(self.limiter.within(transaction).spend(uses, now))

            return counted, take(transaction, spend)

        counted, result = await self.limiter.noting_refusals(self.store.write(count), now)
        self.limiter.watch(counted)
        return Allowance(PAID_BY_GUESS, now, [usage.use for usage in counted]), result

    async def spend_cancel(self, over: Verification) -> Allowance | None:
        """Count a cancel by the sweeper, in the row of the verification.

        Returns:
            None if all of its cancels are used up, or another server has counted this one.
        """
        again_at = self.now() + CANCEL_WAIT * 3**over.cancels
        if over.cancels < CANCELS and await self.store.take_cancel(over, again_at):
            return Allowance((Call.CANCEL,))
        return None

    def refund(
        self, transaction: Transaction, allowance: Allowance, *, at_once: bool = False
    ) -> None:
        """Refund the limits of a message that was not sent. `forget_refusals` has to follow.

        Without a vendor call, all of them are refunded. After a call, the scopes in `ASKING` stay
        spent, and so does `BURST` unless *at_once*, which lets the person repeat the request now.
        """
        given = [
            use
            for use in allowance.spent
            if allowance.is_unused
            or (use.limit.scope in MESSAGES and (at_once or use.limit.name != BURST))
        ]
        if allowance.at and given:
            self.limiter.within(transaction).refund(allowance.at, given)

    def count_sent(
        self, transaction: Transaction, settled: Settled, verification: Verification, at: datetime
    ) -> None:
        """Count a verification as sent, once."""
        if settled.is_counted and settled.source:
            limits = self.limiter.within(transaction)
            self.limiter.conversions(limits).count_sent(
                verification.phone, settled.source, verification.id, at, self._conversions_kept
            )
            limits.save()

    def count_approved(
        self, transaction: Transaction, approval: Approval, client: Client, id_: str
    ) -> None:
        """Count an approval, and reset the consecutive failures of the number and nothing else."""
        limits = self.limiter.within(transaction)
        limits.forgive(self._failures(client, approval.phone))
        if approval.counted_at and approval.source:
            self.limiter.conversions(limits).count_approved(
                approval.phone, approval.source, id_, approval.counted_at, self._conversions_kept
            )
        limits.save()

    def source_key(self, transaction: Transaction, client: Client, phone: PhoneNumber) -> bytes:
        """Return the key under which the verifications of *client* count towards a country."""
        limits = self.limiter.within(transaction)
        return self.limiter.conversions(limits).source_key(phone, client.source)

    @cached_property
    def _conversions_kept(self) -> timedelta:
        """The longest period over which the conversion rate of a country is measured."""
        pauses = [limit.window for limit in self.limits if limit.action is Action.PAUSE]
        return max(pauses, default=HOUR)

    def _is_trusted(self, conversions: Conversions, phone: PhoneNumber, now: datetime) -> bool:
        """Return whether enough recent messages to the block of *phone* led to an approval."""
        block = conversions.of_block(phone, now - TRUSTED_FOR, now - MIN_MESSAGE_AGE)
        return block.sent >= TRUSTED_SENDS and block.share >= TRUSTED_FROM

    def _failures(self, client: Client, phone: PhoneNumber) -> list[LimitUse]:
        checks = limit_uses(self.limits, Action.CHECK, client, phone)
        return [use for use in checks if use.limit.scope is Scope.CONSECUTIVE_FAILURES]

"""The limiter on the database: counts survive a restart, and one use counts for all limits or none.

Recent refusals are kept in memory. A flood of refused requests then costs no statement.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import structlog

from otp_app.errors import RateLimited
from otp_app.storage.conversions import SqlConversions
from otp_app.storage.limit_counts import LimitReached, SqlLimits
from otp_app.storage.limit_rows import place_of
from otp_app.verification.limits import Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from otp_app.storage.engine import Engine
    from otp_app.verification.limits import LimitUse
    from otp_app.verification.ports import LimitUsage

_T = TypeVar("_T")

KEEP = timedelta(minutes=1)
"""Lifetime of an entry. A flood of requests by one subject costs one SELECT in this time. After a
refund by another process, this process may refuse for as long."""

MOST = 10_000
"""Largest number of entries. An entry has about 500 bytes, so the cache has at most 5 MB. A flood
of more subjects costs one SELECT for each request, and no more memory."""


@dataclass
class Refusals:
    """A bounded cache that maps a key to the time from which its limit has room again.

    The event loop and the threads of the database use it.

    Attributes:
        keep: the longest lifetime of an entry.
        most: the largest number of entries.
    """

    keep: timedelta = KEEP
    most: int = MOST
    _kept: dict[Hashable, tuple[datetime, datetime]] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def __bool__(self) -> bool:
        """Whether there is an entry."""
        return bool(self._kept)

    def until(self, key: Hashable, now: datetime) -> datetime | None:
        """Return the time from which *key* has room, or None without a valid entry."""
        with self._lock:
            until, forget_at = self._kept.get(key, (now, now))
            if forget_at > now:
                return until
            self._kept.pop(key, None)
            return None

    def remember(self, key: Hashable, until: datetime, now: datetime) -> None:
        """Store that *key* has no room before *until*. A full cache drops its oldest entry."""
        with self._lock:
            self._kept.pop(key, None)
            while len(self._kept) >= self.most:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (until, min(until, now + self.keep))

    def forget_all(self) -> None:
        """Clear the cache, so that the database is read again for every key."""
        with self._lock:
            self._kept.clear()


ALARMS = (0.5, 0.8)
"""Shares of a global limit at which an error is logged for the operator."""

log = structlog.get_logger(__name__)


@dataclass
class SqlLimiter:
    """A limiter that counts in the database of *engine*.

    Keys are HMACs with *hash_key*, so the table contains no phone number or address.
    """

    engine: Engine
    hash_key: bytes
    on_refusal: Callable[[str], None] | None = None
    """Callback for each refusal, with the name of the limit."""

    refusals: Refusals = field(default_factory=Refusals)
    _pruned: bytes = field(default=b"", init=False)
    """The last key that `prune` has read."""

    def within(self, transaction: Connection) -> SqlLimits:
        """Return the limits in *transaction*, whose caller uses `noting_refusals`."""
        return SqlLimits(transaction, self.hash_key)

    def conversions(self, limits: SqlLimits) -> SqlConversions:
        """Return the conversion rates in the transaction of *limits*."""
        return SqlConversions(limits)

    async def spend(self, uses: Sequence[LimitUse], now: datetime) -> datetime:
        """Count all of *uses* or none, and return the time of the uses for `refund`.

        Each use is of a different limit.

        Raises:
            RateLimited: with the time from which all limits have room.
            StoreUnavailable: nothing was counted, so the caller must not go on.
        """
        await self.require(uses, now)  # a refusal does not wait for a writer
        if uses:
            counting = self.engine.write(lambda tx: self.within(tx).spend(uses, now))
            self.watch(await self.noting_refusals(counting, now))
        return now

    async def require(self, uses: Sequence[LimitUse], now: datetime) -> None:
        """Check without counting that the limits of all *uses* have room."""
        await self.noting_refusals(self._require(uses, now), now)

    async def _require(self, uses: Sequence[LimitUse], now: datetime) -> None:
        if remembered := self.remembered(uses, now):
            raise remembered
        if uses:

            def require(transaction: Connection) -> None:
                limits = self.within(transaction)
                limits.require(limits.read(uses, now))

            await self.engine.read(require)

    def remembered(self, uses: Sequence[LimitUse], now: datetime) -> LimitReached | None:
        """Return the refusal in memory of one of *uses*, if any, for `noting_refusals`."""
        if not self.refusals:
            return None
        places = [place_of(self.hash_key, use) for use in uses]
        found = [
            (use.limit, at, self.refusals.until(at, now))
            for use, at in zip(uses, places, strict=True)
        ]
        full = [(limit, at, until) for limit, at, until in found if until]
        return LimitReached(full, is_new=False) if full else None

    def forget_refusals(self) -> None:
        """Clear the refusals in memory, after a transaction that gave uses back."""
        self.refusals.forget_all()

    async def noting_refusals(self, pending: Awaitable[_T], now: datetime) -> _T:
        """Await a transaction that uses `within`. Remember, log and count its refusal.

        Raises:
            RateLimited: a limit has no room. The time is the latest of all full limits.
        """
        try:
            return await pending
        except LimitReached as reached:
            refusal = reached
        if refusal.is_new:
            for _, place, until in refusal.full:
                self.refusals.remember(place, until, now)
        limit, _, until = max(refusal.full, key=lambda one: one[2])
        log.warning("limit.exceeded", limit=limit.name)
        if self.on_refusal:
            self.on_refusal(limit.name)
        raise RateLimited(scope=_public_scope(limit.scope), until=until)

    def watch(self, usages: Sequence[LimitUsage]) -> None:
        """Log an error for each global limit whose use has just reached one of `ALARMS`.

        Args:
            usages: the usages before the uses were counted.
        """
        for usage in usages:
            limit = usage.limit
            if limit.scope is Scope.GLOBAL:
                marks = {max(1, round(part * limit.amount)) for part in ALARMS}
                if usage.used + 1 in marks:
                    log.error(
                        "limit.threshold_reached",
                        limit=limit.name,
                        used=usage.used + 1,
                        of=limit.amount,
                    )

    async def pause(self, pause: LimitUse, now: datetime) -> bool:
        """Use up the limit *pause* for one window, and return False if it was used up before."""
        return await self.engine.write(lambda tx: self.within(tx).pause(pause, now))

    async def refund(self, at: datetime, uses: Sequence[LimitUse]) -> None:
        """Give back those of *uses* that `spend` has counted at the time *at*."""
        await self.engine.write(lambda tx: self.within(tx).refund(at, uses))
        self.forget_refusals()

    async def forgive(self, uses: Sequence[LimitUse]) -> None:
        """Delete all uses of the limits of *uses*, after a success."""

        def forgive(transaction: Connection) -> None:
            limits = self.within(transaction)
            limits.forgive(uses)
            limits.save()

        await self.engine.write(forgive)
        self.forget_refusals()

    async def prune(self, now: datetime) -> None:
        """Delete rows without recent uses, a bounded number in each call."""
        after = self._pruned
        self._pruned = await self.engine.write(lambda tx: self.within(tx).prune(now, after))

    async def usages(self, uses: Sequence[LimitUse], now: datetime) -> Sequence[LimitUsage]:
        """Return the usage of the limits of *uses*, without counting."""
        return await self.engine.read(lambda tx: self.within(tx).read(uses, now))


def _public_scope(scope: Scope) -> str:
    """Return the kind of *scope* that error messages distinguish: number, network or other."""
    match scope:
        case Scope.NUMBER | Scope.UNPROVED_CLIENTS | Scope.PREFIX | Scope.CONSECUTIVE_FAILURES:
            return "number"
        case Scope.ADDRESS | Scope.ADDRESS_NUMBERS | Scope.NETWORK:
            return "network"
        case _:
            return "other"

"""The limiter on the database: counts survive a restart, and one use counts for all limits or none.

Each row of `limit_hits` is one use of one limit. The key of a row identifies the limit and the
subject, in the format of the library `limits`. Windows slide.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItemPerSecond
from sqlalchemy import delete

from otp_app.errors import RateLimited
from otp_app.storage.engine import execute, transact
from otp_app.storage.limit_statements import (
    HITS,
    CountedUse,
    HitRow,
    lock_limits,
    read_windows,
    room_from,
    use_key,
    write_uses,
)
from otp_app.storage.tables import limit_hits
from otp_app.verification.limits import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from otp_app.storage.limit_statements import WindowState
    from otp_app.verification.limits import Limit, LimitUse

KEEP = timedelta(minutes=1)
"""Lifetime of an entry. A flood of requests by one subject costs one SELECT in this time. After a
refund by another process, this process may refuse for as long."""

MOST = 10_000
"""Largest number of entries. An entry has about 500 bytes, so the cache has at most 5 MB. A flood
of more subjects costs one SELECT for each request, and no more memory."""


@dataclass
class Refusals:
    """A bounded cache that maps a key to the time from which its limit has room again.

    Attributes:
        keep: the longest lifetime of an entry.
        most: the largest number of entries.
    """

    keep: timedelta = KEEP
    most: int = MOST
    _kept: dict[Hashable, tuple[datetime, datetime]] = field(default_factory=dict, init=False)

    def until(self, key: Hashable, now: datetime) -> datetime | None:
        """Return the time from which *key* has room, or None without a valid entry."""
        until, forget_at = self._kept.get(key, (now, now))
        if forget_at > now:
            return until
        self._kept.pop(key, None)
        return None

    def remember(self, key: Hashable, until: datetime, now: datetime) -> None:
        """Store that *key* has no room before *until*. A full cache drops its oldest entry."""
        self._kept.pop(key, None)
        while len(self._kept) >= self.most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (until, min(until, now + self.keep))

    def forget_all(self) -> None:
        """Clear the cache, so that the database is read again for every key."""
        self._kept.clear()


ALARMS = (0.5, 0.8)
"""Shares of a global limit at which an error is logged for the operator."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LimitUsage:
    """The usage of a limit.

    Attributes:
        used: number of uses in the current window.
        until: time from which there is room again; None if there is room now.
    """

    limit: Limit
    used: int
    until: datetime | None


@dataclass(frozen=True)
class SqlLimiter:
    """A limiter that counts in the database of *engine*.

    Keys are HMACs with *hash_key*, so the table contains no phone number or address.
    """

    engine: AsyncEngine
    hash_key: bytes
    on_refusal: Callable[[str], None] | None = None
    """Callback for each refusal, with the name of the limit."""

    refusals: Refusals = field(default_factory=Refusals)

    async def spend(self, spendings: Sequence[LimitUse], now: datetime) -> str:
        """Count all of *spendings* or none, and return a batch id for `refund`.

        Each spending is for a different limit. A refusal writes nothing and takes no lock.

        Raises:
            RateLimited: with the time from which all limits have room.
            StoreUnavailable: nothing was counted, so the caller must not go on.
        """
        uses, batch = self._uses(spendings), secrets.token_hex(8)
        if not uses:
            return batch
        await self._require_room(uses, now)

        async def work(connection: AsyncConnection) -> list[WindowState]:
            await lock_limits(connection)
            windows = await read_windows(connection, uses, now)
            self._refuse_full(uses, windows, now)  # another process may have counted meanwhile
            await write_uses(connection, uses, windows, now, batch)
            return windows

        _alarm(uses, await transact(self.engine, work))
        return batch

    async def require(self, spendings: Sequence[LimitUse], now: datetime) -> None:
        """Check without counting that the limits of all *spendings* have room."""
        await self._require_room(self._uses(spendings), now)

    def recall(self, spendings: Sequence[LimitUse], now: datetime) -> None:
        """Check *spendings* against recent refusals in memory, without the database.

        Raises:
            RateLimited: with the latest time that is in memory for them.
        """
        self._recall(self._uses(spendings), now)

    async def has_room(self, spending: LimitUse, now: datetime) -> bool:
        """Return whether *spending* could be counted now."""
        (standing,) = await self.usages([spending], now)
        return standing.until is None

    async def exhaust(self, spending: LimitUse, now: datetime) -> bool:
        """Use up the rest of a limit, and return False if it was used up before."""
        uses = self._uses([spending])
        batch = secrets.token_hex(8)

        async def work(connection: AsyncConnection) -> bool:
            await lock_limits(connection)
            (window,) = await read_windows(connection, uses, now)
            left = spending.limit.amount - window.used
            await write_uses(connection, uses * left, [window] * left, now, batch)
            return left > 0

        return await transact(self.engine, work)

    async def refund(self, batch: str, spendings: Sequence[LimitUse]) -> None:
        """Give back those of *spendings* that `spend` has counted under *batch*."""
        counted = (HITS.batch == batch, HITS.key.in_(self._keys(spendings)))
        await execute(self.engine, delete(limit_hits).where(*counted))
        self.refusals.forget_all()

    async def forgive(self, spendings: Sequence[LimitUse]) -> None:
        """Delete all uses of the limits of *spendings*, after a success."""
        keys = self._keys(spendings)
        await execute(self.engine, delete(limit_hits).where(HITS.key.in_(keys)))
        self.refusals.forget_all()

    async def prune(self, now: datetime) -> None:
        """Delete uses that are older than the window of their limit."""
        await execute(self.engine, delete(limit_hits).where(HITS.ends <= now.timestamp()))

    async def usages(self, spendings: Sequence[LimitUse], now: datetime) -> list[LimitUsage]:
        """Return the usage of the limits of *spendings*, without counting."""
        uses = self._uses(spendings)
        found = zip(uses, await self._read(uses, now), strict=True)
        return [LimitUsage(use.limit, window.used, room_from(use, window)) for use, window in found]

    async def _read(self, uses: Sequence[CountedUse], now: datetime) -> list[WindowState]:
        async def work(connection: AsyncConnection) -> list[WindowState]:
            return await read_windows(connection, uses, now)

        return await transact(self.engine, work) if uses else []

    async def _require_room(self, uses: Sequence[CountedUse], now: datetime) -> None:
        """Raise `RateLimited` if a limit is full, by the refusals in memory or by one SELECT."""
        self._recall(uses, now)
        self._refuse_full(uses, await self._read(uses, now), now)

    def _recall(self, uses: Sequence[CountedUse], now: datetime) -> None:
        remembered = [(use, self.refusals.until(use_key(use), now)) for use in uses]
        if full := [(use, until) for use, until in remembered if until]:
            raise self._refusal(full)

    def _refuse_full(
        self, uses: Sequence[CountedUse], windows: Sequence[WindowState], now: datetime
    ) -> None:
        found = zip(uses, windows, strict=True)
        paid = [(use, room_from(use, window)) for use, window in found if not window.is_free]
        if full := [(use, until) for use, until in paid if until]:
            for use, until in full:
                self.refusals.remember(use_key(use), until, now)
            raise self._refusal(full)

    def _refusal(self, full: Sequence[tuple[CountedUse, datetime]]) -> RateLimited:
        use, until = max(full, key=lambda one: one[1])
        log.warning("limit.exceeded", limit=use.limit.name)
        if self.on_refusal:
            self.on_refusal(use.limit.name)
        return RateLimited(scope=_public_scope(use.limit.scope), until=until)

    def _uses(self, spendings: Sequence[LimitUse]) -> list[CountedUse]:
        return [self._use(spending) for spending in spendings]

    def _keys(self, spendings: Sequence[LimitUse]) -> list[str]:
        """Return the keys of the rows that *spendings* write."""
        uses = self._uses(spendings)
        return [row.key for use in uses for row in (use.first, use.row) if row]

    def _use(self, spending: LimitUse) -> CountedUse:
        limit, seconds = spending.limit, int(spending.limit.window / timedelta(seconds=1))
        item = RateLimitItemPerSecond(limit.amount, seconds)
        row = HitRow(item.key_for(self._hash(spending)), seconds)
        if not spending.distinct:
            return CountedUse(limit, row, None)
        first = RateLimitItemPerSecond(1, seconds, "ONCE")
        return CountedUse(
            limit, row, HitRow(first.key_for(self._hash(spending, spending.distinct)), seconds)
        )

    def _hash(self, spending: LimitUse, *more: str) -> str:
        named = "\0".join((spending.limit.name, spending.subject, *more))
        return hmac.new(self.hash_key, named.encode(), hashlib.sha256).hexdigest()


def _alarm(uses: Sequence[CountedUse], before: Sequence[WindowState]) -> None:
    """Log an error for each global limit whose use has just reached one of `ALARMS`."""
    for use, window in zip(uses, before, strict=True):
        limit, used = use.limit, window.used + 1
        marks = {max(1, round(part * limit.amount)) for part in ALARMS}
        if limit.scope is Scope.GLOBAL and used in marks:
            log.error("limit.threshold_reached", limit=limit.name, used=used, of=limit.amount)


def _public_scope(scope: Scope) -> str:
    """Return the kind of *scope* that error messages distinguish: number, network or other."""
    match scope:
        case Scope.NUMBER | Scope.UNPROVED_CLIENTS | Scope.PREFIX | Scope.CONSECUTIVE_FAILURES:
            return "number"
        case Scope.ADDRESS | Scope.ADDRESS_NUMBERS | Scope.NETWORK:
            return "network"
        case _:
            return "other"

"""Limits in the database: they survive a restart, and all rows of one use count or none does.

The windows are those of the library `limits`, on a storage of ours: its own keep memory or need
another server.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import MovingWindowSupport, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from sqlalchemy import delete, func, insert, literal, select, text
from sqlalchemy.exc import SQLAlchemyError

from otp_app.errors import RateLimited
from otp_app.storage.engine import execute, transact
from otp_app.storage.tables import limit_hits
from otp_app.verification.limits import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from otp_app.verification.limits import Limit, Spending

ALARMS = (0.5, 0.8)
"""Parts of a limit on everybody at which the operator is told."""

log = structlog.get_logger(__name__)
_hits = limit_hits.c


class _Windows(Storage, MovingWindowSupport):
    """`limits` on one transaction: a hit is a row, written under the name of its *batch*."""

    STORAGE_SCHEME = None

    def __init__(self, connection: AsyncConnection, now: datetime, batch: str) -> None:
        super().__init__()
        self._connection = connection
        self._now = now.timestamp()
        self._batch = batch

    @property
    def base_exceptions(self) -> type[Exception]:
        """What `limits` may wrap, if it is asked to."""
        return SQLAlchemyError

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Write *amount* rows, if the window has room for them."""
        used = select(func.count()).where(*self._in_window(key, expiry)).scalar_subquery()
        values = (
            literal(key),
            literal(self._now),
            literal(self._now + expiry),
            literal(self._batch),
        )
        row = select(*values).where(used + amount <= limit)
        written = await self._connection.execute(
            insert(limit_hits).from_select(["key", "at", "ends", "batch"], row),
            execution_options={"preserve_rowcount": True},  # else -1 on PostgreSQL
        )
        return written.rowcount == 1

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Since when the window holds *limit* entries, and how many it holds."""
        found = select(_hits.at).where(*self._in_window(key, expiry)).order_by(_hits.at.desc())
        times = (await self._connection.execute(found)).scalars().all()
        return (times[limit - 1] if len(times) >= limit else self._now), len(times)

    async def clear(self, key: str) -> None:
        """Forget *key*."""
        await self._connection.execute(delete(limit_hits).where(_hits.key == key))

    async def check(self) -> bool:
        """The transaction is open."""
        return True

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """For the library's other strategies, which are not used."""
        raise NotImplementedError

    async def get(self, key: str) -> int:
        """Likewise."""
        raise NotImplementedError

    async def get_expiry(self, key: str) -> float:
        """Likewise."""
        raise NotImplementedError

    async def reset(self) -> int | None:
        """Likewise."""
        raise NotImplementedError

    def _in_window(self, key: str, expiry: int) -> tuple[ColumnElement[bool], ...]:
        return (_hits.key == key, _hits.at > self._now - expiry)


@dataclass(frozen=True)
class Standing:
    """How much of a limit is used; where all of it is, `until` there is room again."""

    limit: Limit
    used: int
    until: datetime | None


@dataclass(frozen=True)
class SqlLimiter:
    """Counts in the database of *engine*. Keys are HMACs by *secret*: no number stands in one."""

    engine: AsyncEngine
    secret: bytes
    refused: Callable[[str], None] | None = None
    """Hears the name of each limit that refuses."""

    async def spend(self, spendings: Sequence[Spending], now: datetime) -> str:
        """Count all of *spendings*, or none; gives the name to take them back by.

        Raises:
            RateLimited: with the moment from which all have room.
            StoreUnavailable: nothing was counted, so nothing may be done.
        """
        batch = secrets.token_hex(8)

        async def work(connection: AsyncConnection) -> None:
            await _one_at_a_time(connection)
            limiter = MovingWindowRateLimiter(_Windows(connection, now, batch))
            full = [s for s in spendings if not await self._hit(limiter, s)]
            if full:
                raise await self._refusal(limiter, full)
            await self._alarm(limiter, spendings)

        await transact(self.engine, work)
        return batch

    async def require(self, spendings: Sequence[Spending], now: datetime) -> None:
        """Count nothing, but refuse what has no room."""

        async def work(connection: AsyncConnection) -> None:
            limiter = MovingWindowRateLimiter(_Windows(connection, now, ""))
            tests = [(s, await limiter.test(_item(s.limit), self._key(s))) for s in spendings]
            if full := [spending for spending, has_room in tests if not has_room]:
                raise await self._refusal(limiter, full)

        await transact(self.engine, work)

    async def has_room(self, spending: Spending, now: datetime) -> bool:
        """True if *spending* would be counted now."""
        (standing,) = await self.standings([spending], now)
        return standing.until is None

    async def exhaust(self, spending: Spending, now: datetime) -> bool:
        """Use up what is left; False if that is nothing."""
        batch = secrets.token_hex(8)

        async def work(connection: AsyncConnection) -> bool:
            await _one_at_a_time(connection)
            limiter = MovingWindowRateLimiter(_Windows(connection, now, batch))
            hits = [await self._hit(limiter, spending) for _ in range(spending.limit.amount)]
            return any(hits)

        return await transact(self.engine, work)

    async def refund(self, batch: str) -> None:
        """Take back what certainly bought nothing."""
        await execute(self.engine, delete(limit_hits).where(_hits.batch == batch))

    async def forgive(self, spendings: Sequence[Spending]) -> None:
        """Forget what was counted in a row, after a success."""
        keys = [_item(s.limit).key_for(self._key(s)) for s in spendings]
        await execute(self.engine, delete(limit_hits).where(_hits.key.in_(keys)))

    async def prune(self, now: datetime) -> None:
        """Forget what no window reaches back to."""
        await execute(self.engine, delete(limit_hits).where(_hits.ends <= now.timestamp()))

    async def standings(self, spendings: Sequence[Spending], now: datetime) -> list[Standing]:
        """How the limits of *spendings* stand. Counts nothing."""
        standings: list[Standing] = []

        async def work(connection: AsyncConnection) -> None:
            limiter = MovingWindowRateLimiter(_Windows(connection, now, batch=""))
            standings.extend([await self._standing(limiter, s) for s in spendings])

        await transact(self.engine, work)
        return standings

    async def _hit(self, limiter: MovingWindowRateLimiter, spending: Spending) -> bool:
        item = _item(spending.limit)
        if spending.once:
            first = RateLimitItemPerSecond(1, item.multiples, "ONCE")
            if not await limiter.hit(first, self._key(spending, spending.once)):
                return True
        return await limiter.hit(item, self._key(spending))

    async def _standing(self, limiter: MovingWindowRateLimiter, spending: Spending) -> Standing:
        limit = spending.limit
        stats = await limiter.get_window_stats(_item(limit), self._key(spending))
        until = datetime.fromtimestamp(stats.reset_time, UTC) if stats.remaining <= 0 else None
        return Standing(limit, limit.amount - stats.remaining, until)

    async def _refusal(
        self, limiter: MovingWindowRateLimiter, full: Sequence[Spending]
    ) -> RateLimited:
        free = [
            (await limiter.get_window_stats(_item(s.limit), self._key(s))).reset_time for s in full
        ]
        last = max(range(len(full)), key=free.__getitem__)
        limit = full[last].limit
        log.warning("limit.reached", limit=limit.name)
        if self.refused:
            self.refused(limit.name)
        return RateLimited(scope=_told(limit.scope), until=datetime.fromtimestamp(free[last], UTC))

    async def _alarm(self, limiter: MovingWindowRateLimiter, spendings: Sequence[Spending]) -> None:
        for spending in spendings:
            limit = spending.limit
            if limit.scope is Scope.EVERYBODY:
                stats = await limiter.get_window_stats(_item(limit), self._key(spending))
                used = limit.amount - stats.remaining
                if used in {max(1, round(part * limit.amount)) for part in ALARMS}:
                    log.error("limit.alarm", limit=limit.name, used=used, of=limit.amount)

    def _key(self, spending: Spending, *more: str) -> str:
        named = "\0".join((spending.limit.name, spending.subject, *more))
        return hmac.new(self.secret, named.encode(), hashlib.sha256).hexdigest()


async def _one_at_a_time(connection: AsyncConnection) -> None:
    """As on SQLite by itself: of two who count at once, both would find the last place free."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("LOCK TABLE limit_hits IN SHARE ROW EXCLUSIVE MODE"))


def _item(limit: Limit) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(limit.amount, int(limit.window / timedelta(seconds=1)))


def _told(scope: Scope) -> str:
    """What the person learns of the limit: the number, the network, or that it is a limit."""
    match scope:
        case Scope.NUMBER | Scope.STRANGERS | Scope.PREFIX | Scope.FAILURES:
            return "number"
        case Scope.ADDRESS | Scope.ADDRESS_NUMBERS:
            return "network"
        case _:
            return "other"

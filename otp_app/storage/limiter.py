"""The limiter on the database: counts survive a restart, and one use counts for all limits or none.

Each row of `limit_hits` is one use of one limit. The key of a row identifies the limit and the
subject, in the format of the library `limits`. Windows slide.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from limits import RateLimitItemPerSecond
from sqlalchemy import bindparam, delete, func, insert, select, text

from otp_app.errors import RateLimited
from otp_app.storage.engine import execute, transact
from otp_app.storage.refusals import Refusals
from otp_app.storage.tables import limit_hits
from otp_app.verification.limits import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ScalarSelect, Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from otp_app.verification.limits import Limit, Spending

ALARMS = (0.5, 0.8)
"""Shares of a global limit at which an error is logged for the operator."""

_ALONE = {  # two transactions that count at the same time could both take the last place
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "LOCK TABLE limit_hits IN SHARE ROW EXCLUSIVE MODE",
}

log = structlog.get_logger(__name__)
_hits = limit_hits.c


class _Row(NamedTuple):
    """The key of a row in `limit_hits`, and the window of its limit in seconds."""

    key: str
    seconds: int


class _Use(NamedTuple):
    """The rows that one spending writes.

    A spending with `once` also writes the row `first`. While that row is in the window, further
    uses are free.
    """

    limit: Limit
    row: _Row
    first: _Row | None


class _Window(NamedTuple):
    """The current window of a limit.

    Attributes:
        used: number of uses in the window.
        full_since: time in seconds since 1970 of the use whose end makes room; None if there is
            room.
        is_free: True if the row `first` is in the window, so that the use costs nothing.
    """

    used: int
    full_since: float | None
    is_free: bool


@dataclass(frozen=True)
class Standing:
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

    Keys are HMACs with *secret*, so the table contains no phone number or address.
    """

    engine: AsyncEngine
    secret: bytes
    refused: Callable[[str], None] | None = None
    """Callback for each refusal, with the name of the limit."""

    refusals: Refusals = field(default_factory=Refusals)

    async def spend(self, spendings: Sequence[Spending], now: datetime) -> str:
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

        async def work(connection: AsyncConnection) -> list[_Window]:
            await _lock(connection)
            windows = await _windows(connection, uses, now)
            self._refuse_full(uses, windows, now)  # another process may have counted meanwhile
            await _write(connection, uses, windows, now, batch)
            return windows

        _alarm(uses, await transact(self.engine, work))
        return batch

    async def require(self, spendings: Sequence[Spending], now: datetime) -> None:
        """Check without counting that the limits of all *spendings* have room."""
        await self._require_room(self._uses(spendings), now)

    def recall(self, spendings: Sequence[Spending], now: datetime) -> None:
        """Check *spendings* against recent refusals in memory, without the database.

        Raises:
            RateLimited: with the latest time that is in memory for them.
        """
        self._recall(self._uses(spendings), now)

    async def has_room(self, spending: Spending, now: datetime) -> bool:
        """Return whether *spending* could be counted now."""
        (standing,) = await self.standings([spending], now)
        return standing.until is None

    async def exhaust(self, spending: Spending, now: datetime) -> bool:
        """Use up the rest of a limit, and return False if it was used up before."""
        uses = self._uses([spending])
        batch = secrets.token_hex(8)

        async def work(connection: AsyncConnection) -> bool:
            await _lock(connection)
            (window,) = await _windows(connection, uses, now)
            left = spending.limit.amount - window.used
            await _write(connection, uses * left, [window] * left, now, batch)
            return left > 0

        return await transact(self.engine, work)

    async def refund(self, batch: str, spendings: Sequence[Spending]) -> None:
        """Give back those of *spendings* that `spend` has counted under *batch*."""
        counted = (_hits.batch == batch, _hits.key.in_(self._keys(spendings)))
        await execute(self.engine, delete(limit_hits).where(*counted))
        self.refusals.forget_all()

    async def forgive(self, spendings: Sequence[Spending]) -> None:
        """Delete all uses of the limits of *spendings*, after a success."""
        keys = self._keys(spendings)
        await execute(self.engine, delete(limit_hits).where(_hits.key.in_(keys)))
        self.refusals.forget_all()

    async def prune(self, now: datetime) -> None:
        """Delete uses that are older than the window of their limit."""
        await execute(self.engine, delete(limit_hits).where(_hits.ends <= now.timestamp()))

    async def standings(self, spendings: Sequence[Spending], now: datetime) -> list[Standing]:
        """Return the usage of the limits of *spendings*, without counting."""
        uses = self._uses(spendings)
        found = zip(uses, await self._read(uses, now), strict=True)
        return [Standing(use.limit, window.used, _until(use, window)) for use, window in found]

    async def _read(self, uses: Sequence[_Use], now: datetime) -> list[_Window]:
        async def work(connection: AsyncConnection) -> list[_Window]:
            return await _windows(connection, uses, now)

        return await transact(self.engine, work) if uses else []

    async def _require_room(self, uses: Sequence[_Use], now: datetime) -> None:
        """Raise `RateLimited` if a limit is full, by the refusals in memory or by one SELECT."""
        self._recall(uses, now)
        self._refuse_full(uses, await self._read(uses, now), now)

    def _recall(self, uses: Sequence[_Use], now: datetime) -> None:
        remembered = [(use, self.refusals.until(_named(use), now)) for use in uses]
        if full := [(use, until) for use, until in remembered if until]:
            raise self._refusal(full)

    def _refuse_full(self, uses: Sequence[_Use], windows: Sequence[_Window], now: datetime) -> None:
        found = zip(uses, windows, strict=True)
        paid = [(use, _until(use, window)) for use, window in found if not window.is_free]
        if full := [(use, until) for use, until in paid if until]:
            for use, until in full:
                self.refusals.remember(_named(use), until, now)
            raise self._refusal(full)

    def _refusal(self, full: Sequence[tuple[_Use, datetime]]) -> RateLimited:
        use, until = max(full, key=lambda one: one[1])
        log.warning("limit.reached", limit=use.limit.name)
        if self.refused:
            self.refused(use.limit.name)
        return RateLimited(scope=_told(use.limit.scope), until=until)

    def _uses(self, spendings: Sequence[Spending]) -> list[_Use]:
        return [self._use(spending) for spending in spendings]

    def _keys(self, spendings: Sequence[Spending]) -> list[str]:
        """Return the keys of the rows that *spendings* write."""
        uses = self._uses(spendings)
        return [row.key for use in uses for row in (use.first, use.row) if row]

    def _use(self, spending: Spending) -> _Use:
        limit, seconds = spending.limit, int(spending.limit.window / timedelta(seconds=1))
        item = RateLimitItemPerSecond(limit.amount, seconds)
        row = _Row(item.key_for(self._hash(spending)), seconds)
        if not spending.once:
            return _Use(limit, row, None)
        first = RateLimitItemPerSecond(1, seconds, "ONCE")
        return _Use(limit, row, _Row(first.key_for(self._hash(spending, spending.once)), seconds))

    def _hash(self, spending: Spending, *more: str) -> str:
        named = "\0".join((spending.limit.name, spending.subject, *more))
        return hmac.new(self.secret, named.encode(), hashlib.sha256).hexdigest()


def _named(use: _Use) -> tuple[str, str]:
    """Return the key of *use* in `Refusals`. With `once`, each value has a separate key."""
    return use.row.key, use.first.key if use.first else ""


def _until(use: _Use, window: _Window) -> datetime | None:
    """Return the time from which there is room again; None if there is room now."""
    if window.full_since is None:
        return None
    return datetime.fromtimestamp(window.full_since + use.row.seconds, UTC)


async def _lock(connection: AsyncConnection) -> None:
    """Block other transactions that count until this one ends."""
    await connection.execute(text(_ALONE[connection.dialect.name]))


async def _windows(
    connection: AsyncConnection, uses: Sequence[_Use], now: datetime
) -> list[_Window]:
    """Read the windows of *uses* by one SELECT."""
    values: dict[str, str | float | int] = {}
    for place, use in enumerate(uses):
        since = now.timestamp() - use.row.seconds
        first = use.first.key if use.first else ""  # no row has an empty key
        values |= {f"key{place}": use.row.key, f"since{place}": since, f"first{place}": first}
        values[f"others{place}"] = use.limit.amount - 1
    row = (await connection.execute(_question(len(uses)), values)).one()
    found = [row[start : start + 3] for start in range(0, len(row), 3)]
    return [_Window(used, since, bool(firsts)) for used, since, firsts in found]


@cache
def _question(number: int) -> Select[*tuple[Any, ...]]:
    """Build the SELECT for *number* uses, with the three values of `_Window` for each."""
    return select(*[column for place in range(number) for column in _columns(place)])


def _columns(place: int) -> tuple[ScalarSelect[int], ScalarSelect[float], ScalarSelect[int]]:
    recent = _hits.at > bindparam(f"since{place}")
    window = (_hits.key == bindparam(f"key{place}"), recent)
    last = select(_hits.at).where(*window).order_by(_hits.at.desc()).limit(1)
    firsts = (_hits.key == bindparam(f"first{place}"), recent)
    return (
        select(func.count()).where(*window).scalar_subquery(),
        last.offset(bindparam(f"others{place}")).scalar_subquery(),
        select(func.count()).where(*firsts).scalar_subquery(),
    )


async def _write(
    connection: AsyncConnection,
    uses: Sequence[_Use],
    windows: Sequence[_Window],
    now: datetime,
    batch: str,
) -> None:
    """Insert the rows of every use that is not free."""
    counted = [use for use, window in zip(uses, windows, strict=True) if not window.is_free]
    rows = [row for use in counted for row in (use.first, use.row) if row]
    at = now.timestamp()
    values = [{"key": row.key, "at": at, "ends": at + row.seconds, "batch": batch} for row in rows]
    if values:
        await connection.execute(insert(limit_hits), values)


def _alarm(uses: Sequence[_Use], before: Sequence[_Window]) -> None:
    """Log an error for each global limit whose use has just reached one of `ALARMS`."""
    for use, window in zip(uses, before, strict=True):
        limit, used = use.limit, window.used + 1
        marks = {max(1, round(part * limit.amount)) for part in ALARMS}
        if limit.scope is Scope.EVERYBODY and used in marks:
            log.error("limit.alarm", limit=limit.name, used=used, of=limit.amount)


def _told(scope: Scope) -> str:
    """Return the kind of *scope* that error messages distinguish: number, network or other."""
    match scope:
        case Scope.NUMBER | Scope.STRANGERS | Scope.PREFIX | Scope.FAILURES:
            return "number"
        case Scope.ADDRESS | Scope.ADDRESS_NUMBERS | Scope.NETWORK:
            return "network"
        case _:
            return "other"

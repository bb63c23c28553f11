"""The SQL of the limits: one SELECT for all windows, one INSERT for all uses."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, text

from otp_app.storage.tables import limit_hits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ScalarSelect, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from otp_app.verification.limits import Limit

_ALONE = {  # two transactions that count at the same time could both take the last place
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "LOCK TABLE limit_hits IN SHARE ROW EXCLUSIVE MODE",
}
HITS = limit_hits.c


class HitRow(NamedTuple):
    """The key of a row in `limit_hits`, and the window of its limit in seconds."""

    key: str
    seconds: int


class CountedUse(NamedTuple):
    """The rows that one spending writes.

    A spending with `once` also writes the row `first`. While that row is in the window, further
    uses are free.
    """

    limit: Limit
    row: HitRow
    first: HitRow | None


class WindowState(NamedTuple):
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


def use_key(use: CountedUse) -> tuple[str, str]:
    """Return the key of *use* in `Refusals`. With `once`, each value has a separate key."""
    return use.row.key, use.first.key if use.first else ""


def room_from(use: CountedUse, window: WindowState) -> datetime | None:
    """Return the time from which there is room again; None if there is room now."""
    if window.full_since is None:
        return None
    return datetime.fromtimestamp(window.full_since + use.row.seconds, UTC)


async def lock_limits(connection: AsyncConnection) -> None:
    """Block other transactions that count until this one ends."""
    await connection.execute(text(_ALONE[connection.dialect.name]))


async def read_windows(
    connection: AsyncConnection, uses: Sequence[CountedUse], now: datetime
) -> list[WindowState]:
    """Read the windows of *uses* by one SELECT."""
    values: dict[str, str | float | int] = {}
    for place, use in enumerate(uses):
        since = now.timestamp() - use.row.seconds
        first = use.first.key if use.first else ""  # no row has an empty key
        values |= {f"key{place}": use.row.key, f"since{place}": since, f"first{place}": first}
        values[f"others{place}"] = use.limit.amount - 1
    row = (await connection.execute(_question(len(uses)), values)).one()
    found = [row[start : start + 3] for start in range(0, len(row), 3)]
    return [WindowState(used, since, bool(firsts)) for used, since, firsts in found]


@cache
def _question(number: int) -> Select[*tuple[Any, ...]]:
    """Build the SELECT for *number* uses, with the three values of `_Window` for each."""
    return select(*[column for place in range(number) for column in _columns(place)])


def _columns(place: int) -> tuple[ScalarSelect[int], ScalarSelect[float], ScalarSelect[int]]:
    recent = HITS.at > bindparam(f"since{place}")
    window = (HITS.key == bindparam(f"key{place}"), recent)
    last = select(HITS.at).where(*window).order_by(HITS.at.desc()).limit(1)
    firsts = (HITS.key == bindparam(f"first{place}"), recent)
    return (
        select(func.count()).where(*window).scalar_subquery(),
        last.offset(bindparam(f"others{place}")).scalar_subquery(),
        select(func.count()).where(*firsts).scalar_subquery(),
    )


async def write_uses(
    connection: AsyncConnection,
    uses: Sequence[CountedUse],
    windows: Sequence[WindowState],
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

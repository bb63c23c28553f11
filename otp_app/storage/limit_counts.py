"""The counting of limits in one transaction: all uses count, or none.

A message reads some six rows by one statement and writes them by another, however much traffic
there was before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import LargeBinary, bindparam, delete, select

from otp_app.storage.engine import INSERTS
from otp_app.storage.limit_rows import (
    LimitRow,
    Place,
    Window,
    as_time,
    duration,
    microseconds,
    pack,
    place_of,
)
from otp_app.storage.statements import Statement
from otp_app.storage.tables import limits
from otp_app.verification.ports import LimitUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from otp_app.verification.limits import Limit, LimitUse

PRUNED_AT_ONCE = 500
"""Rows that one call of `prune` reads. The next call continues behind them."""

_l = limits.c


class StoredUses(NamedTuple):
    """The uses of a limit in the table: their place, their row and the uses themselves."""

    place: Place
    row: LimitRow
    window: Window


class LimitReached(Exception):
    """At least one limit has no room.

    Attributes:
        full: the limits that have no room, each with the place of its use and the time from which
            there is room.
        is_new: whether the database was read. A refusal from memory is not remembered again.
    """

    def __init__(
        self, full: Sequence[tuple[Limit, Place, datetime]], *, is_new: bool = True
    ) -> None:
        super().__init__()
        self.full = full
        self.is_new = is_new


@dataclass
class SqlLimits:
    """The limits in the transaction of *connection*.

    Keys are HMACs with *hash_key*, so the table contains no phone number or address.
    """

    connection: Connection
    hash_key: bytes
    _rows: dict[bytes, LimitRow] = field(default_factory=dict, init=False)
    _locked: set[bytes] = field(default_factory=set, init=False)

    def read(self, uses: Sequence[LimitUse], now: datetime) -> Sequence[LimitUsage]:
        """Return the usage of the limits of *uses*, by one statement. Nothing is counted."""
        return self._usages(uses, now, is_locked=False)

    def require(self, usages: Sequence[LimitUsage]) -> None:
        """Check that the limits of all *usages* have room.

        Raises:
            LimitReached: a limit has no room. Nothing is counted.
        """
        found = [(usage.limit, usage.stored.place, usage.full_until) for usage in usages]
        if full := [(limit, place, until) for limit, place, until in found if until]:
            raise LimitReached(full)

    def count(self, usages: Sequence[LimitUsage], now: datetime) -> Sequence[LimitUsage]:
        """Count the uses of all *usages*, which `read` has returned, or none of them.

        Each usage is of a different limit.

        Returns:
            The usages before, which may be newer than *usages*.

        Raises:
            LimitReached: a limit has no room. On PostgreSQL, the transaction has to be rolled back.
        """
        if not self._is_serial:  # the rows may have changed since
            return self.spend([usage.use for usage in usages], now)
        return self._count(usages, now)

    def spend(self, uses: Sequence[LimitUse], now: datetime) -> Sequence[LimitUsage]:
        """Count all of *uses* or none of them, like `count`."""
        return self._count(self._usages(uses, now, is_locked=True), now)

    def pause(self, pause: LimitUse, now: datetime) -> bool:
        """Use up the limit *pause* for one window, and return False if it was used up before."""
        key, at = place_of(self.hash_key, pause).key, microseconds(now)
        if self.lock({key})[key].until > at:
            return False
        self._rows[key] = LimitRow(at + duration(pause.limit.window), {}, is_changed=True)
        self.save()
        return True

    def refund(self, at: datetime, uses: Sequence[LimitUse]) -> None:
        """Give back those of *uses* that `count` has counted at the time *at*."""
        places, then = [place_of(self.hash_key, use) for use in uses], microseconds(at)
        rows = self.lock({place.key for place in places})
        for use, place in zip(uses, places, strict=True):
            row = rows[place.key]
            window = row.window(use.limit, place)
            row.set(place.list, window.remove(then, place.tag), window.length)
        self.save()

    def forgive(self, uses: Sequence[LimitUse]) -> None:
        """Delete all uses of the limits of *uses*. `save` has to follow."""
        places = [place_of(self.hash_key, use) for use in uses]
        rows = self.lock({place.key for place in places})
        for place in places:
            rows[place.key].clear(place.list)

    def prune(self, now: datetime, after: bytes) -> bytes:
        """Delete the rows without recent uses among the next `PRUNED_AT_ONCE` behind *after*.

        Returns:
            The key to continue behind: empty after the last row.
        """
        keys = [row["key"] for row in _NEXT_KEYS.rows(self.connection, after=after)]
        last = keys[-1] if keys else after
        _DELETE.execute(self.connection, after=after, last=last, now=microseconds(now))
        return last if len(keys) == PRUNED_AT_ONCE else b""

    def rows(self, keys: set[bytes]) -> Mapping[bytes, LimitRow]:
        """Return the rows of *keys*, read once in the transaction."""
        return self._read(keys - self._rows.keys(), select_rows)

    def lock(self, keys: set[bytes]) -> Mapping[bytes, LimitRow]:
        """Read the rows of *keys*, and keep every other transaction from changing them.

        On SQLite, the transaction has locked the database already. PostgreSQL locks each row by an
        upsert that changes nothing. A row that does not exist yet could not be locked otherwise.
        """
        if self._is_serial:
            return self.rows(keys)
        missing = keys - self._locked
        self._locked |= missing
        return self._read(missing, lock_rows)

    def save(self) -> None:
        """Store all rows that were changed, by one statement."""
        changed = [(key, row) for key, row in sorted(self._rows.items()) if row.is_changed]
        if changed:
            values: dict[str, Any] = {}
            for place, (key, row) in enumerate(changed):
                values[f"key{place}"] = key
                values[f"until{place}"] = row.until
                values[f"state{place}"] = pack(row.lists)
                row.is_changed = False
            statement = upsert_rows(self.connection.dialect.name, len(changed))
            statement.execute(self.connection, **values)

    @property
    def _is_serial(self) -> bool:
        return self.connection.dialect.name == "sqlite"

    def _count(self, usages: Sequence[LimitUsage], now: datetime) -> Sequence[LimitUsage]:
        self.require(usages)
        at = microseconds(now)
        for usage in usages:
            place, row, window = usage.stored
            self._rows[place.key] = row  # another object may have read it
            if not usage.is_counted:
                row.set(place.list, window.add(at, place.tag), window.length)
        self.save()
        return usages

    def _usages(
        self, uses: Sequence[LimitUse], now: datetime, *, is_locked: bool
    ) -> Sequence[LimitUsage]:
        places, at = [place_of(self.hash_key, use) for use in uses], microseconds(now)
        keys = {place.key for place in places}
        rows = self.lock(keys) if is_locked else self.rows(keys)
        found = zip(uses, places, strict=True)
        return [_usage(use, place, rows[place.key], at) for use, place in found]

    def _read(self, keys: set[bytes], by: Callable[[int], Statement]) -> Mapping[bytes, LimitRow]:
        if keys:
            ordered = sorted(keys)
            self._rows |= {key: LimitRow(0, {}) for key in ordered}
            values = {f"key{place}": key for place, key in enumerate(ordered)}
            for row in by(len(ordered)).rows(self.connection, **values):
                self._rows[row["key"]] = LimitRow.read(row)
        return self._rows


def _usage(use: LimitUse, place: Place, row: LimitRow, at: int) -> LimitUsage:
    window = row.window(use.limit, place)
    stored = StoredUses(place, row, window)
    if not window.uses:
        return LimitUsage(use, 0, None, is_counted=False, stored=stored)
    used = window.used(at)
    until = window.full_until(at) if used >= window.amount else None
    time = None if until is None else as_time(until)
    return LimitUsage(use, used, time, window.has(place.tag, at), stored)


@cache
def select_rows(count: int) -> Statement:
    """Read *count* rows by their keys `key0`, `key1`, …."""
    keys = [bindparam(f"key{place}", type_=LargeBinary) for place in range(count)]
    return Statement(select(_l.key, _l.until, _l.state).where(_l.key.in_(keys)))


@cache
def lock_rows(count: int) -> Statement:
    """Insert *count* rows that do not exist, lock all of them, and return their content."""
    new = [{"key": bindparam(f"key{place}"), "until": 0, "state": b""} for place in range(count)]
    insertion = INSERTS["postgresql"](limits).values(new)
    unchanged = insertion.on_conflict_do_update(index_elements=["key"], set_={"until": _l.until})
    return Statement(unchanged.returning(_l.key, _l.until, _l.state))


@cache
def upsert_rows(dialect: str, count: int) -> Statement:
    """Insert *count* rows, or replace the content of those that exist."""
    names = ("key", "until", "state")
    values: list[dict[str, Any]] = [
        {name: bindparam(f"{name}{place}") for name in names} for place in range(count)
    ]
    insertion = INSERTS[dialect](limits).values(values)
    anew = {"until": insertion.excluded.until, "state": insertion.excluded.state}
    return Statement(insertion.on_conflict_do_update(index_elements=["key"], set_=anew))


_next_keys = select(_l.key).where(_l.key > bindparam("after")).order_by(_l.key)
_NEXT_KEYS = Statement(_next_keys.limit(PRUNED_AT_ONCE))
_DELETE = Statement(
    delete(limits).where(
        _l.key > bindparam("after"), _l.key <= bindparam("last"), _l.until <= bindparam("now")
    )
)

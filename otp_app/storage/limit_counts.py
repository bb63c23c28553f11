"""The counting of limits in one transaction: all uses count, or none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from otp_app.storage.limit_rows import (
    DELETE,
    NEXT_KEYS,
    PRUNED_AT_ONCE,
    LimitRow,
    as_time,
    counted_uses,
    lock_rows,
    microseconds,
    numbered,
    select_rows,
    upsert_rows,
)
from otp_app.storage.limit_windows import pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from otp_app.storage.limit_rows import CountedUse
    from otp_app.storage.limit_windows import Window
    from otp_app.verification.limits import Limit, LimitUse


class LimitUsage(NamedTuple):
    """The usage of a limit.

    Attributes:
        used: number of uses in the current window.
        until: time from which there is room again; None if there is room now.
    """

    limit: Limit
    used: int
    until: datetime | None


class LimitReached(Exception):
    """At least one limit has no room.

    Attributes:
        full: the uses that have no room, each with the time from which there is room.
        is_new: whether the database was read. A refusal from memory is not remembered again.
    """

    def __init__(self, full: Sequence[tuple[CountedUse, datetime]], *, is_new: bool = True) -> None:
        super().__init__()
        self.full = full
        self.is_new = is_new


def _require_room(uses: Sequence[CountedUse], windows: Sequence[Window], now: datetime) -> None:
    at = microseconds(now)
    found = zip(uses, windows, strict=True)
    paid = [(use, window.full_until(at)) for use, window in found if not window.has(use.tag, at)]
    if full := [(use, as_time(until)) for use, until in paid if until is not None]:
        raise LimitReached(full)


@dataclass
class SqlLimits:
    """The limits in the transaction of *connection*.

    Keys are HMACs with *hash_key*, so the table contains no phone number or address.
    """

    connection: Connection
    hash_key: bytes
    _read: dict[bytes, LimitRow] = field(default_factory=dict, init=False)

    def load(self, spendings: Sequence[LimitUse]) -> None:
        """Read the rows of *spendings* by one statement, for the methods that write nothing."""
        self.rows({use.key for use in counted_uses(self.hash_key, spendings)})

    def spend(self, spendings: Sequence[LimitUse], now: datetime) -> Sequence[int]:
        """Count all of *spendings* or none, and return the uses of each limit before.

        Each spending is for a different limit.

        Raises:
            LimitReached: a limit has no room. On PostgreSQL, the transaction has to be rolled back.
        """
        uses, at = counted_uses(self.hash_key, spendings), microseconds(now)
        rows = self.lock({use.key for use in uses})
        windows = [rows[use.key].window(use) for use in uses]
        _require_room(uses, windows, now)
        for use, window in zip(uses, windows, strict=True):
            if not window.has(use.tag, at):
                rows[use.key].set(use.id, window.add(at, use.tag), use.length)
        self.write(rows)
        return [window.used(at) for window in windows]

    def require(self, spendings: Sequence[LimitUse], now: datetime) -> None:
        """Check without counting that the limits of all *spendings* have room.

        Raises:
            LimitReached: a limit has no room.
        """
        uses = counted_uses(self.hash_key, spendings)
        _require_room(uses, self._windows(uses), now)

    def has_room(self, spending: LimitUse, now: datetime) -> bool:
        """Return whether the limit of *spending* has room."""
        (usage,) = self.usages([spending], now)
        return usage.until is None

    def usages(self, spendings: Sequence[LimitUse], now: datetime) -> list[LimitUsage]:
        """Return the usage of the limits of *spendings*, without counting."""
        uses, at = counted_uses(self.hash_key, spendings), microseconds(now)
        return [
            LimitUsage(use.limit, window.used(at), _time(window.full_until(at)))
            for use, window in zip(uses, self._windows(uses), strict=True)
        ]

    def pause(self, pause: LimitUse, now: datetime) -> bool:
        """Use up the limit *pause* for one window, and return False if it was used up before."""
        (use,) = counted_uses(self.hash_key, [pause])
        row = self.lock({use.key})[use.key]
        if row.until > microseconds(now):
            return False
        self.write({use.key: LimitRow(microseconds(now) + use.length, {}, is_changed=True)})
        return True

    def refund(self, at: datetime, spendings: Sequence[LimitUse]) -> None:
        """Give back those of *spendings* that `spend` has counted at the time *at*."""
        uses, then = counted_uses(self.hash_key, spendings), microseconds(at)
        rows = self.lock({use.key for use in uses})
        for use in uses:
            row = rows[use.key]
            row.set(use.id, row.window(use).remove(then, use.tag), use.length)
        self.write(rows)

    def forgive(self, spendings: Sequence[LimitUse]) -> None:
        """Delete all uses of the limits of *spendings*."""
        uses = counted_uses(self.hash_key, spendings)
        rows = self.lock({use.key for use in uses})
        for use in uses:
            rows[use.key].clear(use.id)
        self.write(rows)

    def prune(self, now: datetime, after: bytes) -> bytes:
        """Delete the rows without recent uses among the next `PRUNED_AT_ONCE` behind *after*.

        Returns:
            The key to continue behind: empty after the last row.
        """
        keys = [row["key"] for row in NEXT_KEYS.rows(self.connection, after=after)]
        last = keys[-1] if keys else after
        DELETE.execute(self.connection, after=after, last=last, now=microseconds(now))
        return last if len(keys) == PRUNED_AT_ONCE else b""

    def rows(self, keys: set[bytes]) -> Mapping[bytes, LimitRow]:
        """Return the rows of *keys*, read once in the transaction."""
        if missing := sorted(keys - self._read.keys()):
            self._read |= {key: LimitRow(0, {}) for key in missing}
            found = select_rows(len(missing)).rows(self.connection, **numbered(missing))
            self._read |= {row["key"]: LimitRow.read(row) for row in found}
        return self._read

    def lock(self, keys: set[bytes]) -> dict[bytes, LimitRow]:
        """Read the rows of *keys*, and keep every other transaction from changing them.

        On SQLite, the transaction has locked the database already. PostgreSQL locks each row by an
        upsert that changes nothing. A row that does not exist yet could not be locked otherwise.
        """
        read = select_rows if self.connection.dialect.name == "sqlite" else lock_rows
        places = sorted(keys)
        found = read(len(places)).rows(self.connection, **numbered(places)) if places else []
        return {key: LimitRow(0, {}) for key in places} | {
            row["key"]: LimitRow.read(row) for row in found
        }

    def write(self, rows: Mapping[bytes, LimitRow]) -> None:
        """Store those of *rows* that were changed."""
        changed = [(key, row) for key, row in sorted(rows.items()) if row.is_changed]
        if changed:
            values: dict[str, Any] = {}
            for place, (key, row) in enumerate(changed):
                values |= {f"key{place}": key, f"until{place}": row.until}
                values[f"state{place}"] = pack(row.lists)
            upsert_rows(self.connection.dialect.name, len(changed)).execute(
                self.connection, **values
            )

    def _windows(self, uses: Sequence[CountedUse]) -> list[Window]:
        rows = self.rows({use.key for use in uses})
        return [rows[use.key].window(use) for use in uses]


def _time(at: int | None) -> datetime | None:
    return None if at is None else as_time(at)

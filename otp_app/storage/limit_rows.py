"""The rows of the table `limits`: one for each subject, for example for one number.

A row has the uses of all limits of its subject, see `limit_windows`. A message reads some six rows
by one statement and writes them by another, however much traffic there was before.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import LargeBinary, bindparam, delete, select

from otp_app.storage.engine import INSERTS
from otp_app.storage.limit_windows import (
    Use,
    Window,
    decode,
    encode,
    unpack,
    width_for,
)
from otp_app.storage.statements import Statement
from otp_app.storage.tables import limits
from otp_app.verification.limits import Action, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_app.verification.limits import Limit, LimitUse

BLOCK, COUNTRY, PAUSE, SOURCE = 3, 7, 9, 10
"""First bytes of keys: a block of numbers, a country, a paused country, see `conversions`."""

_SUBJECTS = {
    Scope.SESSION: 1,
    Scope.SESSION_NUMBERS: 1,
    Scope.NUMBER: 2,
    Scope.UNPROVED_CLIENTS: 2,
    Scope.CONSECUTIVE_FAILURES: 2,
    Scope.PREFIX: BLOCK,
    Scope.ADDRESS: 4,
    Scope.ADDRESS_NUMBERS: 4,
    Scope.NETWORK: 5,
    Scope.KEY: 6,
    Scope.COUNTRY: COUNTRY,
    Scope.COUNTRY_UNCONFIRMED: COUNTRY,
    Scope.COUNTRY_CONFIRMED: COUNTRY,
    Scope.GLOBAL: 8,
    Scope.GLOBAL_UNCONFIRMED: 8,
}
"""The first byte of a row's key. Transactions lock rows in the order of their keys. The rows that
many transactions need come last, so that they are locked for the shortest time."""

KEYS = 4096
"""Keys in memory. A step needs each of its keys two to four times."""

PRUNED_AT_ONCE = 500
"""Rows that one call of `prune` reads. The next call continues behind them."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)
_l = limits.c


class CountedUse(NamedTuple):
    """A use of a limit, with its place in the database.

    Attributes:
        key: the key of the row.
        id: the id of the limit within the row.
        tag: for a limit of distinct values, the hash of the value, else 0.
    """

    limit: Limit
    key: bytes
    id: int
    tag: int

    @property
    def length(self) -> int:
        """The duration of the window in microseconds."""
        return duration(self.limit.window)


def counted_uses(hash_key: bytes, spendings: Sequence[LimitUse]) -> list[CountedUse]:
    """Return *spendings* with their places in the database."""
    return [_counted_use(hash_key, spending) for spending in spendings]


def _counted_use(hash_key: bytes, spending: LimitUse) -> CountedUse:
    limit = spending.limit
    kind = PAUSE if limit.action is Action.PAUSE else _SUBJECTS[limit.scope]
    tag = hash_tag(hash_key, spending.distinct) if spending.distinct else 0
    return CountedUse(limit, row_key(hash_key, kind, spending.subject), list_id(limit.name), tag)


@lru_cache(maxsize=KEYS)
def row_key(hash_key: bytes, kind: int, subject: str) -> bytes:
    """Return the key of the row of *subject*. A country is no secret, so its key contains it."""
    if kind == COUNTRY:
        return bytes([kind]) + subject.encode()
    return bytes([kind]) + keyed_hash(hash_key, f"limit {kind}\0{subject}")[:15]


@cache
def list_id(name: str) -> int:
    """Return the id of the uses of the limit *name* in a row."""
    return zlib.crc32(name.encode())


def keyed_hash(hash_key: bytes, text: str) -> bytes:
    """Return the HMAC-SHA256 of *text*: 32 bytes."""
    return hmac.digest(hash_key, text.encode(), hashlib.sha256)


@lru_cache(maxsize=KEYS)
def hash_tag(hash_key: bytes, value: str) -> int:
    """Return a hash of *value* in 64 bits, which is never 0."""
    return int.from_bytes(keyed_hash(hash_key, f"distinct\0{value}")[:8], "big") | 1


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970 at *moment*."""
    return duration(moment - _EPOCH)


def duration(length: timedelta) -> int:
    """Return *length* in microseconds."""
    return length // _MICROSECOND


def as_time(at: int) -> datetime:
    """Return the time *at*, in microseconds since 1970."""
    return _EPOCH + at * _MICROSECOND


@dataclass
class LimitRow:
    """A row of `limits`: the uses of several limits by one subject.

    Attributes:
        until: time at which the last use leaves its window; for a pause, the time of its end.
        lists: the encoded uses, by the ids of their limits.
    """

    until: int
    lists: dict[int, bytes]
    is_changed: bool = False

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> LimitRow:
        """Return the content of *row*."""
        return cls(row["until"], unpack(row["state"]))

    def window(self, use: CountedUse) -> Window:
        """Return the uses of the limit of *use*. A pause has used up its limit."""
        amount, length = use.limit.amount, use.length
        if use.limit.action is Action.PAUSE:
            return Window(amount, length, 0, [Use(self.until - length, amount, 0)])
        width = width_for(amount, length, use.tag)
        return Window(amount, length, width, self.uses(use.id))

    def uses(self, id_: int) -> list[Use]:
        """Return the uses under *id_*."""
        return decode(self.lists.get(id_, b""))

    def set(self, id_: int, uses: Sequence[Use], length: int) -> None:
        """Replace the uses under *id_*, whose window has *length*."""
        self.lists[id_] = encode(uses)
        self.until = max([self.until, *(use.at + length for use in uses)])
        self.is_changed = True

    def clear(self, id_: int) -> None:
        """Remove all uses under *id_*, if there are any."""
        self.is_changed |= self.lists.pop(id_, None) is not None


@cache
def select_rows(count: int) -> Statement:
    """Read *count* rows by their keys, see `numbered`."""
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
NEXT_KEYS = Statement(_next_keys.limit(PRUNED_AT_ONCE))
DELETE = Statement(
    delete(limits).where(
        _l.key > bindparam("after"), _l.key <= bindparam("last"), _l.until <= bindparam("now")
    )
)


def numbered(keys: Sequence[bytes]) -> dict[str, bytes]:
    """Return the parameters for *keys*."""
    return {f"key{place}": key for place, key in enumerate(keys)}

"""The rows of the table `limits`: one for each subject, for example for one number.

A row has the uses of all limits of its subject. A limit of up to `EXACT` uses keeps the time of
each use. A larger limit counts uses in sub-buckets, of which about `BUCKETS` make up its window. A
sub-bucket counts whole until its newest possible use has left the window. No window of a limit ever
has more uses than the limit allows, and the size of a row does not grow with traffic. All times are
integers: microseconds since 1970.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from bisect import insort
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from otp_app.errors import StoreUnavailable
from otp_app.verification.limits import Action, Scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otp_app.verification.limits import Limit, LimitUse

EXACT = 64
"""Largest amount of a limit that keeps the time of each use: at most 1280 bytes."""

BUCKETS = 30
"""Sub-buckets in one window. A use counts for up to a thirtieth of the window too long."""

_VERSION = b"\x01"
_LIST = struct.Struct("<IH")  # the id of a limit, and the length of its uses in bytes
_USE = struct.Struct("<qIQ")

Use: TypeAlias = tuple[int, int, int]
"""One use of a limit, or all uses in one sub-bucket: its time, or the end of the sub-bucket; the
number of uses; and for a limit of distinct values the hash of the value, else 0."""


class Window(NamedTuple):
    """The uses of one limit by one subject.

    Attributes:
        amount: uses that the limit allows.
        length: duration of the window.
        width: duration of a sub-bucket, or 0 if the time of each use is kept.
        uses: uses, the oldest first. Some may have left the window.
    """

    amount: int
    length: int
    width: int
    uses: Sequence[Use]

    def recent(self, now: int) -> list[Use]:
        """Return the uses in the window that ends at *now*."""
        since = now - self.length
        return [use for use in self.uses if use[0] > since]

    def used(self, now: int) -> int:
        """Return the number of uses in the window that ends at *now*."""
        since = now - self.length
        return sum([number for at, number, _ in self.uses if at > since])

    def has(self, tag: int, now: int) -> bool:
        """Return whether the value with hash *tag* was counted in the window."""
        return bool(tag) and any(use[2] == tag for use in self.recent(now))

    def full_until(self, now: int) -> int | None:
        """Return the time from which there is room, or None if there is room now."""
        too_many = self.used(now) - self.amount + 1
        for at, number, _ in self.recent(now) if too_many > 0 else ():
            too_many -= number
            if too_many <= 0:
                return at + self.length
        return None

    def between(self, since: int, until: int) -> int:
        """Return the number of uses in sub-buckets that begin after *since* and by *until*."""
        first, last = since + self.width, until + self.width
        return sum([number for at, number, _ in self.uses if first < at <= last])

    def add(self, at: int, tag: int = 0) -> list[Use]:
        """Return the recent uses with one more at *at*."""
        uses, place = self.recent(at), self._place(at)
        if self.width:
            for index, (end, number, its_tag) in enumerate(uses):
                if end == place:
                    uses[index] = (end, number + 1, its_tag)
                    return uses
        insort(uses, (place, 1, tag))
        return uses

    def remove(self, at: int, tag: int = 0) -> list[Use]:
        """Return the uses without one at *at*, if there is one."""
        uses, place = list(self.uses), self._place(at)
        for index, (its, number, its_tag) in enumerate(uses):
            if (its, its_tag) == (place, tag):
                uses[index : index + 1] = [(its, number - 1, its_tag)] if number > 1 else []
                break
        return uses

    def _place(self, at: int) -> int:
        """Return the time under which a use at *at* is stored: itself, or the end of its bucket."""
        return at - at % self.width + self.width if self.width else at


def width_for(amount: int, length: int, tag: int) -> int:
    """Return the duration of the sub-buckets of a limit, or 0 if it keeps the time of each use.

    A limit of distinct values always keeps them, so it has one entry for each value.
    """
    return 0 if amount <= EXACT or tag else -(-length // BUCKETS)


@cache
def _several(count: int) -> struct.Struct:
    return struct.Struct("<" + count * "qIQ")


def encode(uses: Sequence[Use]) -> bytes:
    """Return *uses* as they are stored."""
    return _several(len(uses)).pack(*chain.from_iterable(uses))


def decode(stored: bytes) -> list[Use]:
    """Return the uses in *stored*, which `encode` has made."""
    return list(_USE.iter_unpack(stored))


def pack(lists: Mapping[int, bytes]) -> bytes:
    """Return the state of a row, with the encoded uses of several limits by their ids."""
    return _VERSION + b"".join(
        [_LIST.pack(id_, len(uses)) + uses for id_, uses in lists.items() if uses]
    )


def unpack(state: bytes) -> dict[int, bytes]:
    """Return the encoded uses in the state of a row, by the ids of their limits.

    Raises:
        StoreUnavailable: another version of the app has written *state*.
    """
    if not state:
        return {}
    if state[:1] != _VERSION:
        raise StoreUnavailable
    lists, place = {}, 1
    while place < len(state):
        id_, length = _LIST.unpack_from(state, place)
        place += _LIST.size
        lists[id_] = state[place : place + length]
        place += length
    return lists


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

KEYS = 4096  # keys in memory; a step needs each of its keys two to four times
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


class Place(NamedTuple):
    """The place of a use in the table.

    Attributes:
        key: the key of the row.
        list: the id of the limit within the row.
        tag: for a limit of distinct values, the hash of the value, else 0.
    """

    key: bytes
    list: int
    tag: int


def place_of(hash_key: bytes, use: LimitUse) -> Place:
    """Return the place of *use*."""
    limit = use.limit
    tag = hash_tag(hash_key, use.distinct) if use.distinct else 0
    return Place(row_key(hash_key, _kind(limit), use.subject), list_id(limit.name), tag)


@cache
def _kind(limit: Limit) -> int:
    """Return the first byte of the keys of the rows that *limit* is counted in."""
    return PAUSE if limit.action is Action.PAUSE else _SUBJECTS[limit.scope]


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
    return (moment - _EPOCH) // _MICROSECOND


@cache  # there are a few dozen windows
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

    def window(self, limit: Limit, place: Place) -> Window:
        """Return the uses of *limit* at *place*. A pause has used up its limit."""
        amount, length = limit.amount, duration(limit.window)
        if limit.action is Action.PAUSE:
            return Window(amount, length, 0, [(self.until - length, amount, 0)])
        width = width_for(amount, length, place.tag)
        return Window(amount, length, width, self.uses(place.list))

    def uses(self, list_: int) -> list[Use]:
        """Return the uses under *list_*."""
        stored = self.lists.get(list_)
        return decode(stored) if stored else []

    def set(self, list_: int, uses: Sequence[Use], length: int) -> None:
        """Replace the uses under *list_*, whose window has *length*. The oldest is the first."""
        self.lists[list_] = encode(uses)
        if uses:
            self.until = max(self.until, uses[-1][0] + length)
        self.is_changed = True

    def clear(self, list_: int) -> None:
        """Remove all uses under *list_*, if there are any."""
        self.is_changed |= self.lists.pop(list_, None) is not None

"""The uses of a limit by one subject: what counts now, and how a row of `limits` stores it.

A limit of up to `EXACT` uses keeps the time of each use. A larger limit counts uses in sub-buckets,
of which about `BUCKETS` make up its window. A sub-bucket counts whole until its newest possible use
has left the window. No window of a limit ever has more uses than the limit allows, and the size of
a row does not grow with traffic. All times are integers: microseconds since 1970.
"""

from __future__ import annotations

import struct
from bisect import insort
from typing import TYPE_CHECKING, NamedTuple

from otp_app.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXACT = 64
"""Largest amount of a limit that keeps the time of each use: at most 768 bytes."""

BUCKETS = 30
"""Sub-buckets in one window. A use counts for up to a thirtieth of the window too long."""

_VERSION = b"\x01"
_LIST = struct.Struct("<IH")  # the id of a limit, and the length of its uses in bytes
_USE = struct.Struct("<qIQ")


class Use(NamedTuple):
    """One use of a limit, or all uses in one sub-bucket.

    Attributes:
        at: time of the use, or end of the sub-bucket.
        number: number of uses.
        tag: for a limit of distinct values, the hash of the value, else 0.
    """

    at: int
    number: int
    tag: int


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
        return [use for use in self.uses if use.at > since]

    def used(self, now: int) -> int:
        """Return the number of uses in the window that ends at *now*."""
        return sum(use.number for use in self.recent(now))

    def has(self, tag: int, now: int) -> bool:
        """Return whether the value with hash *tag* was counted in the window."""
        return bool(tag) and any(use.tag == tag for use in self.recent(now))

    def full_until(self, now: int) -> int | None:
        """Return the time from which there is room, or None if there is room now."""
        recent = self.recent(now)
        too_many = sum(use.number for use in recent) - self.amount + 1
        for use in recent:
            if too_many <= 0:
                break
            too_many -= use.number
            if too_many <= 0:
                return use.at + self.length
        return None

    def between(self, since: int, until: int) -> int:
        """Return the number of uses in sub-buckets that begin after *since* and by *until*."""
        return sum(use.number for use in self.uses if since < use.at - self.width <= until)

    def add(self, at: int, tag: int = 0) -> list[Use]:
        """Return the recent uses with one more at *at*."""
        uses, place = self.recent(at), self._place(at)
        for index, use in enumerate(uses):
            if self.width and use.at == place:
                uses[index] = use._replace(number=use.number + 1)
                return uses
        insort(uses, Use(place, 1, tag))
        return uses

    def remove(self, at: int, tag: int = 0) -> list[Use]:
        """Return the uses without one at *at*, if there is one."""
        uses, place = list(self.uses), self._place(at)
        for index, use in enumerate(uses):
            if (use.at, use.tag) == (place, tag):
                left = [use._replace(number=use.number - 1)] if use.number > 1 else []
                uses[index : index + 1] = left
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


def encode(uses: Sequence[Use]) -> bytes:
    """Return *uses* as they are stored."""
    return b"".join(_USE.pack(*use) for use in uses)


def decode(stored: bytes) -> list[Use]:
    """Return the uses in *stored*, which `encode` has made."""
    return [Use(*values) for values in _USE.iter_unpack(stored)]


def pack(lists: Mapping[int, bytes]) -> bytes:
    """Return the state of a row, with the encoded uses of several limits by their ids."""
    parts = (_LIST.pack(id_, len(uses)) + uses for id_, uses in lists.items() if uses)
    return _VERSION + b"".join(parts)


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

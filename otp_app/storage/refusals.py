"""A cache of limit refusals in this process: a repeated refusal needs no SQL statement.

The cache does not notice a refund by another process, so its entries are short-lived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

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

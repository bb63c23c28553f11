"""The memory of refusals by limits, in this process: a repeated refusal costs no statement.

The memory does not notice a use that another process gives back, so it is short.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

KEEP = timedelta(minutes=1)
"""A flood of one subject costs one SELECT in this time. It is also the longest time for which a use
that another process has given back is still refused here."""

MOST = 10_000
"""Refusals at a time, of some 500 bytes each: 5 MB. A flood of more subjects costs one SELECT for
each request, and no more memory."""


@dataclass
class Refusals:
    """Maps a key to the time from which it has room again. An entry lasts for *keep* at most."""

    keep: timedelta = KEEP
    most: int = MOST
    _kept: dict[Hashable, tuple[datetime, datetime]] = field(default_factory=dict, init=False)

    def until(self, key: Hashable, now: datetime) -> datetime | None:
        """Return the time from which *key* has room, if it is remembered and in the future."""
        until, forget_at = self._kept.get(key, (now, now))
        if forget_at > now:
            return until
        self._kept.pop(key, None)
        return None

    def remember(self, key: Hashable, until: datetime, now: datetime) -> None:
        """Remember that *key* has no room before *until*. A full memory drops its oldest entry."""
        self._kept.pop(key, None)
        while len(self._kept) >= self.most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (until, min(until, now + self.keep))

    def forget_all(self) -> None:
        """Ask the database again about every key."""
        self._kept.clear()

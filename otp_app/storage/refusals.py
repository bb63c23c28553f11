"""Refusals by limits, remembered in this process so that a repeated one costs no statement.

A use that another process gives back is seen here only once a refusal is no longer remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

KEEP = timedelta(minutes=1)
"""A flood of one subject then costs one SELECT a minute, and nobody is refused for longer than that
because of a use that another process has given back."""

MOST = 10_000
"""Refusals at a time, of some 500 bytes each: 5 MB. A flood under more subjects than this costs one
SELECT for each request, and no more memory."""


@dataclass
class Refusals:
    """The moments from which there is room again, each kept for *keep* at most."""

    keep: timedelta = KEEP
    most: int = MOST
    _kept: dict[Hashable, tuple[datetime, datetime]] = field(default_factory=dict, init=False)

    def until(self, key: Hashable, now: datetime) -> datetime | None:
        """The moment from which *key* has room, if it is remembered and lies ahead."""
        until, forget_at = self._kept.get(key, (now, now))
        if forget_at > now:
            return until
        self._kept.pop(key, None)
        return None

    def remember(self, key: Hashable, until: datetime, now: datetime) -> None:
        """Keep that *key* has no room before *until*. Of too many, the oldest makes way."""
        self._kept.pop(key, None)
        while len(self._kept) >= self.most:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (until, min(until, now + self.keep))

    def forget_all(self) -> None:
        """Ask the database again about every key."""
        self._kept.clear()

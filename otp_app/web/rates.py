"""Token buckets, in this process's memory.

The package `limits` has windows but no buckets: at the edge of a window, twice the rate passes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORK_SHARE = 8  # shares of an address that the IPv6 /48 around it gets
_ROUNDING = 1e-6  # tokens
_FEW = 1000  # buckets, some 100 bytes each, that nobody need look through


def now() -> float:
    """Seconds by a clock that never goes back."""
    return time.monotonic()


@dataclass(frozen=True)
class Rate:
    """How fast a bucket fills, in tokens a second, and how many tokens it holds."""

    per_second: float
    burst: float

    def times(self, number: float) -> Rate:
        """This rate *number* times."""
        return Rate(self.per_second * number, self.burst * number)


class Bucket:
    """Holds tokens, all of them at first. What is kept is only when it will be full again."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether it is as good as a new one."""
        return self._full_at <= now()

    def take(self) -> bool:
        """Take a token, if there is one."""
        moment = now()
        full_at = max(self._full_at, moment) + 1 / self._rate.per_second
        if (full_at - moment) * self._rate.per_second > self._rate.burst + _ROUNDING:
            return False
        self._full_at = full_at
        return True


class Buckets:
    """A bucket for each key. Full ones are forgotten whenever their number has doubled."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, Bucket] = {}
        self._many = _FEW

    def take(self, key: str) -> bool:
        """Take a token of *key*'s, if there is one."""
        if len(self._buckets) > self._many:
            self._buckets = {name: one for name, one in self._buckets.items() if not one.is_full}
            self._many = 2 * len(self._buckets) + _FEW
        return self._buckets.setdefault(key, Bucket(self._rate)).take()


class ClientBuckets:
    """A bucket for each address, and a larger one for each network around addresses."""

    def __init__(self, rate: Rate) -> None:
        self._buckets = (Buckets(rate), Buckets(rate.times(NETWORK_SHARE)))

    def take(self, keys: Sequence[str]) -> bool:
        """Take a token of each of *keys*, the `client_keys` of an address, if all have one.

        The address comes first, so an address that is refused takes nothing from its network.
        """
        return all(bucket.take(key) for bucket, key in zip(self._buckets, keys, strict=False))

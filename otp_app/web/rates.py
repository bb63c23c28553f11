"""Token buckets, in this process's memory.

The package `limits` has windows but no buckets. At the edge of a window, twice the rate passes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

NETWORK_SHARE = 8  # an IPv6 /48 gets this many times the rate of one address
_ROUNDING = 1e-6  # tokens
_FEW = 1000  # buckets of some 100 bytes each, below which full ones are not removed


def now() -> float:
    """Return the seconds of the monotonic clock."""
    return time.monotonic()


@dataclass(frozen=True)
class Rate:
    """The speed at which a bucket fills, in tokens a second, and its size in tokens."""

    per_second: float
    burst: float

    def times(self, number: float) -> Rate:
        """Return the rate with speed and size multiplied by *number*."""
        return Rate(self.per_second * number, self.burst * number)


class Bucket:
    """A token bucket, full at first. Only the moment when it will be full again is stored."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the bucket holds all its tokens, and can be replaced by a new one."""
        return self._full_at <= now()

    def take(self) -> bool:
        """Take a token. Return False if the bucket is empty."""
        moment = now()
        full_at = max(self._full_at, moment) + 1 / self._rate.per_second
        if (full_at - moment) * self._rate.per_second > self._rate.burst + _ROUNDING:
            return False
        self._full_at = full_at
        return True


class Buckets:
    """A bucket for each key. Full buckets are removed whenever the number of buckets doubles."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, Bucket] = {}
        self._many = _FEW

    def take(self, key: str) -> bool:
        """Take a token from the bucket of *key*. Return False if the bucket is empty."""
        if len(self._buckets) > self._many:
            self._buckets = {name: one for name, one in self._buckets.items() if not one.is_full}
            self._many = 2 * len(self._buckets) + _FEW
        return self._buckets.setdefault(key, Bucket(self._rate)).take()


class ClientBuckets:
    """A bucket for each address, and a larger one for each network around addresses."""

    def __init__(self, rate: Rate) -> None:
        self._buckets = (Buckets(rate), Buckets(rate.times(NETWORK_SHARE)))

    def take(self, keys: Sequence[str]) -> bool:
        """Take a token for each of *keys*, the `client_keys` of an address.

        Return False if a bucket is empty. The address comes first, so a refused address takes
        nothing from its network.
        """
        return all(bucket.take(key) for bucket, key in zip(self._buckets, keys, strict=False))

"""Token buckets, in this process's memory.

The package `limits` has windows but no buckets: at the edge of a window, twice the rate passes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

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

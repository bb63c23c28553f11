"""Bulkheads: limits on how many calls to a provider are in flight at once, and for how long.

A provider has one bulkhead for sends and one for checks, so that neither starves the other. A full
bulkhead refuses further calls at once, because a queued call would only time out later. This limit
is our own and not a failure of the provider, so the error has `for_everybody` False: a burst of a
few callers does not open the circuit breaker. If the provider hangs, the calls in flight time out,
and the circuit breaker counts those timeouts.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from otp_app.errors import ProviderNotReached, ProviderTimedOut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

T = TypeVar("T")


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds. `send` and `check` bound a whole call, `connect` its connection."""

    send: float = 5.0
    check: float = 4.0
    connect: float = 2.0
    read: float = 4.0
    """Between two bytes of a response. A thread needs it, because a thread cannot be canceled."""

    @classmethod
    def within(cls, seconds: float) -> Timeouts:
        """Set every timeout to *seconds*, for a service with one kind of request."""
        return cls(send=seconds, check=seconds, connect=seconds, read=seconds)


TIMEOUTS = Timeouts()


class Bulkhead:
    """Bulkhead for calls on the event loop."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._inside = 0

    def close(self) -> None:
        """Refuse all further calls."""
        self._capacity = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold one place of the bulkhead, for its whole timeout at most.

        Raises:
            ProviderNotReached: the bulkhead is full or closed.
            ProviderTimedOut: the timeout is over.
        """
        if self._inside >= self._capacity:
            raise ProviderNotReached(for_everybody=False)
        self._inside += 1
        try:
            async with asyncio.timeout(self._seconds):
                yield
        except TimeoutError as exc:
            raise ProviderTimedOut from exc
        finally:
            self._inside -= 1


class ThreadBulkhead:
    """Bulkhead for blocking calls, which run in its own thread pool."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._capacity = threads + waiting
        self._calls: set[Future[Any]] = set()

    async def run(self, call: Callable[[], T], until: float) -> T:
        """Run *call* in a thread, and stop waiting for it at *until* by the event loop's clock.

        Raises:
            ProviderNotReached: the bulkhead is full or closed, or no thread was free by *until*.
                The call is never made.
            ProviderTimedOut: the call was in flight at *until*. Its thread is free again after the
                timeout of its socket.
        """
        if len(self._calls) >= self._capacity:
            raise ProviderNotReached(for_everybody=False)
        future = self._executor.submit(call)
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        try:
            async with asyncio.timeout_at(until):
                return await asyncio.wrap_future(future)
        except TimeoutError as exc:
            if future.cancel():
                raise ProviderNotReached(for_everybody=False) from exc
            raise ProviderTimedOut from exc

    async def aclose(self) -> None:
        """Refuse further calls, drop the queued ones, and wait for those in flight."""
        self._capacity = 0
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

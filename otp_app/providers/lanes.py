"""Lanes: how many calls to a provider may be under way at once, and for how long.

A provider has one lane for sends and one for checks, so that neither starves the other. A call too
many is refused at once: in a queue it would only wait to be late. A full lane is our own limit and
no failure of the provider's, so the refusal has `for_everybody` False: a burst of a few callers
opens no circuit. If the provider hangs, the calls under way time out, and the circuit counts those.
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
class Deadlines:
    """Seconds after which nobody waits any longer."""

    send: float = 5.0
    check: float = 4.0
    connect: float = 2.0
    silence: float = 4.0
    """Between two bytes of an answer, where a thread cannot be called back."""

    @classmethod
    def within(cls, seconds: float) -> Deadlines:
        """For a service that is asked one kind of thing, in *seconds* at most."""
        return cls(send=seconds, check=seconds, connect=seconds, silence=seconds)


DEADLINES = Deadlines()


class Lane:
    """For calls on the event loop."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._inside = 0

    def close(self) -> None:
        """Let nobody in any more."""
        self._capacity = 0

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Go in, with all of the lane's time.

        Raises:
            ProviderNotReached: the lane is full.
            ProviderTimedOut: the time is over.
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


class ThreadLane:
    """For blocking calls, in threads of its own."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._capacity = threads + waiting
        self._calls: set[Future[Any]] = set()

    async def run(self, call: Callable[[], T], until: float) -> T:
        """Make *call* in a thread, and give up on it when the loop's clock says *until*.

        Raises:
            ProviderNotReached: the lane is full, or the call still waited for a thread when its
                time was over. It is never made.
            ProviderTimedOut: it was under way. Its thread is free again when its socket gives up.
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
        """Let nobody in any more, drop the calls that wait, and wait for those under way."""
        self._capacity = 0
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

"""Background jobs: what is done every few seconds, without anybody asking.

The sweeper cancels at the provider what is over here. Without it a workflow that was left alone
would go on to its next step, and a person who gave up would be called minutes later.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from otp_app.errors import (
    OtpError,
    ProviderError,
)
from otp_app.verification.budget import CANCELS, Budget
from otp_app.verification.circuit_breaker import CircuitBreakerProvider
from otp_app.verification.limits import (
    MIN_MESSAGE_AGE,
    PAUSED_BELOW,
    Action,
    LimitUse,
)
from otp_app.verification.models import Status, Verification

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence

    from otp_app.verification.audit import AuditStore
    from otp_app.verification.limits import Limit
    from otp_app.verification.ports import Limiter, Provider
    from otp_app.verification.store import VerificationStore

INTERVAL = 5.0  # seconds between two runs; each job is one or two indexed queries

log = structlog.get_logger(__name__)


async def run_periodically(*jobs: Callable[[], Awaitable[None]]) -> None:
    """Run all *jobs* every `INTERVAL` seconds until canceled.

    A job that raises `OtpError` is logged and runs again next time. Any other exception is a bug
    and is raised; the server must not continue without its background jobs.
    """
    while True:
        await asyncio.sleep(INTERVAL)
        for job in jobs:
            await _run_once(job)


async def _run_once(job: Callable[[], Awaitable[None]]) -> None:
    try:
        await job()
    except OtpError as exc:
        log.warning("background_job.failed", job=job.__qualname__, why=exc.code)


@dataclass(frozen=True)
class CountryPause:
    """Pauses a country with a low conversion rate.

    Only a few verifications of one address or API key count. An attacker who wants to pause a
    country therefore needs as many addresses as a pumping fraud.

    A pause lasts as long as the window in which the conversion rate is measured. When the pause
    ends, the verifications that led to it no longer count.
    """

    store: VerificationStore
    limiter: Limiter
    limits: Sequence[Limit]
    now: Callable[[], datetime]

    async def review(self) -> None:
        """Measure every country once, and pause those below `PAUSED_BELOW`."""
        for limit in self.limits:
            if limit.action is Action.PAUSE:
                await self._review(limit)

    async def _review(self, limit: Limit) -> None:
        now = self.now()
        span = (now - limit.window, now - MIN_MESSAGE_AGE)
        limiter = self.limiter
        found = await self.store.read(
            lambda tx: limiter.conversions(limiter.within(tx)).by_country(*span)
        )
        for region, conversion in found.items():
            if conversion.sent >= limit.amount and conversion.share < PAUSED_BELOW:
                await self._pause(limit, region, conversion.sent, conversion.approved)

    async def _pause(self, limit: Limit, region: str, sent: int, approved: int) -> None:
        if await self.limiter.pause(LimitUse(limit, region), self.now()):
            log.error(
                "country.paused",
                country=region,
                sent=sent,
                approved=approved,
                until=self.now() + limit.window,
            )


RETENTION = timedelta(days=30)
"""Time for which ended verifications are kept. The app itself needs them for minutes only. The
command `why` shows operators the same period that the longest limit covers, which is 30 days."""


@dataclass(frozen=True)
class Sweeper:
    """Expires open verifications whose time is over, and cancels ended ones at their provider.

    Each verification is canceled `CANCELS` times at most. No limit applies to these calls, because
    each belongs to a message that was counted.
    """

    store: VerificationStore
    limiter: Limiter
    providers: Mapping[str, Provider]
    now: Callable[[], datetime]
    retention: timedelta = RETENTION

    async def sweep(self) -> None:
        """Close and cancel every verification that is due, then delete old rows."""
        seen: set[str] = set()
        while verification := await self._next(seen):
            seen.add(verification.id)
            await self.store.close(verification.id, Status.EXPIRED, verification.reference)
            await self._cancel(verification)
        await self.limiter.prune(self.now())
        await self.store.forget(self.now() - self.retention)

    async def _next(self, seen: set[str]) -> Verification | None:
        """Read the next verification to end, if any.

        The store is read before each cancel, because a reference may be in use again by then.
        """
        ended = await self.store.ended(self.now())
        return next((one for one in ended if one.id not in seen), None)

    async def _cancel(self, over: Verification) -> None:
        """Cancel *over* at its provider. A failed cancel is retried by a later sweep."""
        provider = self._guarded.get(over.provider)
        if provider and over.reference:
            allowance = await self._budget.spend_cancel(over)
            if allowance is None:
                return
            try:
                await provider.cancel(allowance, over.reference)
            except ProviderError as exc:
                left = CANCELS - over.cancels - 1
                log.warning("cancellation.failed", id=over.id, why=exc.code, tries_left=left)
                return
        await self.store.mark_canceled(over.id, over.reference)

    @cached_property
    def _guarded(self) -> Mapping[str, CircuitBreakerProvider]:
        return {
            name: CircuitBreakerProvider(provider, self.now)
            for name, provider in self.providers.items()
        }

    @cached_property
    def _budget(self) -> Budget:
        """A budget without limits: only `CANCELS` bounds the cancels."""
        return Budget(self.limiter, (), self.now, self.store)


@asynccontextmanager
async def run_in_background(
    work: Coroutine[Any, Any, None], stop: Callable[[], None]
) -> AsyncIterator[None]:
    """Run *work* as a task inside the context. If *work* ends by itself, log it and call *stop*."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.critical("background.crashed", error=type(task.exception()).__name__)
            stop()

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


_T = TypeVar("_T")

ABANDONED_AFTER = timedelta(seconds=30)
"""Age after which a call without a result counts as abandoned. Providers respond within 5 s or time
out, so the process that made an older call has crashed or its request was canceled."""

EARLIEST = datetime.min.replace(tzinfo=UTC)
"""A time before the first call."""

CLOCK_SKEW = timedelta(hours=1)
"""Generous upper bound of the difference between the clocks of several servers."""


@dataclass
class AbandonedCalls:
    """Records `unknown` for calls that were abandoned by a crash or a canceled request."""

    audit_store: AuditStore
    now: Callable[[], datetime]
    since: datetime = EARLIEST
    """Every call made before has a result."""

    async def sweep(self) -> None:
        """Record `unknown` for the calls that were abandoned since the last sweep."""
        until = self.now() - ABANDONED_AFTER
        await self.audit_store.abandon(self.now(), self.since, until)
        self.since = until - CLOCK_SKEW


CATCH_UP_AFTER = timedelta(minutes=1)
"""Time after which a running server has closed an expired verification: the sweeper has run, and
the last guess has its result."""


@dataclass
class ExpiryCatchUp:
    """Expires verifications that expired while no server was running.

    The sweeper covers the last minutes only, and without an expiry there is no event.
    """

    store: VerificationStore
    now: Callable[[], datetime]
    since: datetime = EARLIEST
    """Verifications that expired before are closed already."""

    async def catch_up(self) -> None:
        """Expire the open verifications that expired since the last call."""
        until = self.now() - CATCH_UP_AFTER
        await self.store.expire(self.since, until)
        self.since = until - CLOCK_SKEW

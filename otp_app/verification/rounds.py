"""The loop that runs background jobs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import OtpError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INTERVAL = 5.0  # seconds between two runs; each job is one or two indexed queries

log = structlog.get_logger(__name__)


async def go_round(*jobs: Callable[[], Awaitable[None]]) -> None:
    """Run all *jobs* every `INTERVAL` seconds until canceled.

    A job that raises `OtpError` is logged and runs again next time. Any other exception is a bug
    and is raised; the server must not continue without its background jobs.
    """
    while True:
        await asyncio.sleep(INTERVAL)
        for job in jobs:
            await _attempt(job)


async def _attempt(job: Callable[[], Awaitable[None]]) -> None:
    try:
        await job()
    except OtpError as exc:
        log.warning("round.failed", job=job.__qualname__, why=exc.code)

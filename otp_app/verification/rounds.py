"""What has to be done again and again, without anybody asking."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import OtpError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INTERVAL = 5.0  # seconds between two rounds; each job is one or two indexed queries

log = structlog.get_logger(__name__)


async def go_round(*jobs: Callable[[], Awaitable[None]]) -> None:
    """Do all *jobs* until canceled. What fails by a name of ours is tried again next time.

    Anything else is a bug, and ends it: who started it must not go on without it.
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

"""The store alone: `python -m bench.store [SECONDS]`, without HTTP and with a provider in memory.

A flow is a code that is requested and checked, with all limits, the audit and a session. The table
has flows a second and milliseconds of processor time a flow, of the domain and the store together.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import structlog

from otp_app.phone import PhoneNumber
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.store import SqlStore
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions
from tests.fakes import RIGHT, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLERS = (1, 16, 64)
WARM_UP = 100
"""Flows before the measurement. The first ones compile statements and regular expressions."""

SECRET = b"secret of the benchmark"
WIDE = [replace(limit, amount=10**9) for limit in POLICY if not limit.name.endswith("BURST")]
"""The policy with amounts that nobody reaches. Its limits count in sub-buckets, the larger form."""


def numbers() -> Iterator[PhoneNumber]:
    """Yield mobile numbers of one country, the next one in another block."""
    for index in count():
        yield PhoneNumber(f"+4474{index % 10_000:04}{index // 10_000:04}")


async def flow(
    service: VerificationService, sessions: Sessions, index: int, phone: PhoneNumber
) -> None:
    """Request a code, check it and open a session, from one of 65,536 addresses."""
    client = Client(Flow(f"flow-{index}"), f"198.18.{index // 256 % 256}.{index % 256}")
    started = await service.start(client, phone, Channel.SMS)
    await service.check(client, started.id, RIGHT)
    await sessions.open(client.flow, started.id)


async def measure(synchronous: str, callers: int, seconds: float) -> tuple[float, float]:
    """Return flows a second and milliseconds of processor time a flow."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/otp.db"
        await migrate(url)
        engine = open_engine(url, synchronous)
        encryption, provider = PhoneEncryption(SECRET), FakeProvider()
        store, limiter = SqlStore(engine, encryption), SqlLimiter(engine, SECRET)
        await limiter.prune(_now())
        service = VerificationService(store, limiter, {"fake": provider}, "fake", _now, limits=WIDE)
        sessions, indexes, phones = (
            Sessions(SqlSessions(engine, encryption), _now),
            count(),
            numbers(),
        )
        for _ in range(WARM_UP):
            await flow(service, sessions, next(indexes), next(phones))
        began, cpu, done = time.monotonic(), time.process_time(), 0

        async def call() -> None:
            nonlocal done
            while time.monotonic() < began + seconds:
                await flow(service, sessions, next(indexes), next(phones))
                done += 1

        await asyncio.gather(*(call() for _ in range(callers)))
        took, used = time.monotonic() - began, time.process_time() - cpu
        await engine.dispose()
    return done / took, 1000 * used / done


def _now() -> datetime:
    return datetime.now(UTC)


async def main(seconds: float) -> None:
    """Print the table in `docs/performance.md`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    sys.stdout.write(
        "| synchronous | callers | flows/s | CPU ms a flow |\n| --- | --- | --- | --- |\n"
    )
    for synchronous in ("NORMAL", "FULL"):
        for callers in CALLERS:
            rate, cpu = await measure(synchronous, callers, seconds)
            sys.stdout.write(f"| {synchronous} | {callers} | {rate:.0f} | {cpu:.2f} |\n")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))

"""Simulation of attacks for one day: `python -m bench.abuse`, a few minutes on two cores.

The simulation runs the real service and store with the default policy. A fake provider counts
messages and guesses. The clock jumps to the time in each refusal, so no wait takes real time. Every
bot has its own browser and address, and acts without breaks.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import (
    AttemptsExhausted,
    CodeMismatch,
    InvalidPhoneNumber,
    OtpError,
    RateLimited,
    ResendTooSoon,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlStore
from otp_app.verification.background import CountryPause
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, Flow
from otp_app.verification.service import VerificationService
from tests.emulator import Clock
from tests.fakes import WRONG, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Act = Callable[["World", int], Awaitable[datetime]]

DAY = timedelta(days=1)
CODES = 10**6
PRICE = 0.05  # dollars for a message, a common price; premium routes cost more
MOBILES = ("+44740", "+3361", "+3162", "+3461")  # prefixes of mobile numbers in four countries
VICTIM = PhoneNumber("+447400123456")


@dataclass
class World:
    """One simulated day."""

    service: VerificationService
    breaker: CountryPause
    provider: FakeProvider
    clock: Clock
    look_at: datetime
    end: datetime
    due: list[tuple[datetime, int]] = field(default_factory=list)

    async def run(self, bots: int, act: Act) -> None:
        """Run *bots* until the end of the day. Each acts again at the time that *act* returns."""
        self.due = [(self.clock.now(), bot) for bot in range(bots)]
        while self.due and self.due[0][0] < self.end:
            moment, bot = heapq.heappop(self.due)
            self.clock.tick(max(0.0, (moment - self.clock.now()).total_seconds()))
            await self._look()
            again = await act(self, bot)
            heapq.heappush(self.due, (again, bot))

    async def _look(self) -> None:
        """Run the country breaker once a minute.

        The app runs it more often. Here that would take long and pause countries hardly sooner.
        """
        if self.clock.now() >= self.look_at:
            self.look_at = self.clock.now() + timedelta(minutes=1)
            await self.breaker.review()


def client(bot: int, life: int = 0) -> Client:
    """Return the client of *bot*: a new browser for each *life*, always at the same address."""
    return Client(Flow(f"bot-{bot}-{life}"), f"198.51.{bot // 250}.{bot % 250}")


async def guess(world: World, bot: int) -> datetime:
    """Request a code to the victim's number and guess until refused. Return the next time."""
    me = client(bot, int(world.clock.now().timestamp()) // 600)
    now = world.clock.now()
    try:
        started = await world.service.start(me, VICTIM, Channel.SMS)
        for _ in range(6):
            await _miss(world.service, me, started.id)
    except (RateLimited, AttemptsExhausted, ResendTooSoon) as refusal:
        return _until(refusal, now)
    return now + timedelta(seconds=30)


_fresh = count()


async def pump(world: World, bot: int) -> datetime:
    """Request a message to a new number in a new block. Return the time of the next request."""
    index = next(_fresh)
    now = world.clock.now()
    number = PhoneNumber(_mobile(index))
    try:
        await world.service.start(client(bot, index), number, Channel.SMS)
    except InvalidPhoneNumber:
        return now + timedelta(seconds=1)  # not a valid mobile number: try the next
    except OtpError as refusal:
        return _until(refusal, now)
    return now + timedelta(seconds=1)


def _mobile(index: int) -> str:
    """Return the number with this index, in its own block of one of four countries."""
    start = MOBILES[index % len(MOBILES)]
    length = 12 if start != "+44740" else 13
    block = index // len(MOBILES)
    return f"{start}{block:0{length - 4 - len(start)}}0000"


async def _miss(service: VerificationService, me: Client, id_: str) -> None:
    try:
        await service.check(me, id_, WRONG)
    except CodeMismatch:
        return


def _until(refusal: OtpError, now: datetime) -> datetime:
    until = refusal.params.get("until")
    return max(until, now + timedelta(seconds=1)) if isinstance(until, datetime) else now + DAY


async def day(bots: int, act: Act) -> FakeProvider:
    """Simulate a day of *bots* and return the provider with its messages and checks."""
    clock, provider = Clock(datetime(2026, 3, 1, tzinfo=UTC)), FakeProvider()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/otp.db"
        await migrate(url)
        engine = open_engine(url)
        store, limiter = SqlStore(engine, PhoneEncryption(b"bench")), SqlLimiter(engine, b"bench")
        service = VerificationService(store, limiter, {"fake": provider}, "fake", clock.now)
        breaker = CountryPause(store, limiter, POLICY, clock.now)
        world = World(service, breaker, provider, clock, clock.now(), clock.now() + DAY)
        await world.run(bots, act)
        await engine.dispose()
    return provider


async def main() -> None:
    """Print the table in `docs/security.md`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    write = sys.stdout.write
    write(
        "| attackers | guesses at one number a day | odds a day | messages a day | cost a day |\n"
    )
    write("| --- | --- | --- | --- | --- |\n")
    for bots in (1, 20, 200):
        guesses = len((await day(bots, guess)).checked)
        messages = len((await day(bots, pump)).sent)
        odds, cost = guesses / CODES, messages * PRICE
        write(f"| {bots} | {guesses} | {odds:.4%} | {messages} | ${cost:.2f} |\n")


if __name__ == "__main__":
    asyncio.run(main())

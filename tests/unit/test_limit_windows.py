"""The windows of limits: what a row keeps, and that no window ever has too many uses."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import StoreUnavailable
from otp_app.storage.limit_rows import (
    BUCKETS,
    EXACT,
    Use,
    Window,
    decode,
    encode,
    pack,
    unpack,
    width_for,
)
from otp_app.storage.limits import SqlLimiter
from otp_app.verification.limits import POLICY, LimitUse
from tests.database import uses_of_limits
from tests.unit.conftest import LIMIT_KEY

if TYPE_CHECKING:
    from otp_app.storage.store import SqlStore
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

HOUR = 3_600_000_000  # microseconds
GLOBAL = next(limit for limit in POLICY if limit.name == "LIMIT_SEND_TOTAL")
BY_SESSION = next(limit for limit in POLICY if limit.name == "LIMIT_SEND_SESSION")


def window(amount: int, uses: list[Use] | None = None) -> Window:
    return Window(amount, HOUR, width_for(amount, HOUR, 0), uses or [])


def spend_at(amount: int, times: list[int]) -> list[int]:
    """Return those of *times* at which a use was counted."""
    found, counted = window(amount), []
    for at in times:
        if found.full_until(at) is None:
            found = window(amount, found.add(at))
            counted.append(at)
    return counted


def most_in_a_window(times: list[int]) -> int:
    return max(sum(start <= at < start + HOUR for at in times) for start in times)


@pytest.mark.parametrize("amount", [1, 5, EXACT, EXACT + 1, 200])
@pytest.mark.parametrize("seed", range(5))
def test_no_window_has_more_uses_than_its_limit_allows(amount: int, seed: int) -> None:
    chance = random.Random(seed)
    start = chance.randrange(HOUR)
    burst = [start + HOUR - 1 - n for n in reversed(range(amount))]  # at the end of a window
    then = [start + HOUR + n * HOUR // (4 * amount) for n in range(12 * amount)]
    some = sorted(chance.randrange(start, start + 5 * HOUR) for _ in range(6 * amount))

    for times in (burst + then, some):
        assert most_in_a_window(spend_at(amount, times)) == amount


@pytest.mark.parametrize("amount", [EXACT + 1, 200, 10_000])
def test_a_large_limit_counts_a_use_a_thirtieth_too_long_at_most(amount: int) -> None:
    counted = spend_at(amount, [*range(1, amount + 1)])
    until = window(amount, [(HOUR // BUCKETS, amount, 0)]).full_until(amount)

    assert len(counted) == amount
    assert until is not None
    assert until <= 1 + HOUR + HOUR // BUCKETS


@pytest.mark.parametrize("amount", [EXACT, 200, 10_000])
def test_a_list_does_not_grow_with_the_uses(amount: int) -> None:
    found = window(amount)
    for at in range(0, 3 * HOUR, HOUR // 20_000):
        if found.full_until(at) is None:
            found = window(amount, found.add(at))

    assert len(found.uses) <= max(EXACT, BUCKETS + 2)


@pytest.mark.parametrize("amount", [5, 200])
def test_what_is_given_back_makes_room_again(amount: int) -> None:
    found = window(amount)
    for at in range(amount):
        found = window(amount, found.add(at))
    assert found.full_until(amount) is not None

    found = window(amount, found.remove(3))

    assert found.full_until(amount) is None
    assert found.used(amount) == amount - 1
    assert window(amount, found.remove(HOUR // 2)).used(amount) == amount - 1  # there was none


def test_a_row_is_read_as_it_was_written() -> None:
    lists = {1: encode([(7, 1, 0), (9, 3, 2**64 - 1)]), 2: encode([(2**62, 1, 0)])}

    assert unpack(pack(lists)) == lists
    assert decode(lists[1]) == [(7, 1, 0), (9, 3, 2**64 - 1)]
    assert unpack(b"") == {}


def test_a_row_of_a_newer_version_refuses_everything() -> None:
    with pytest.raises(StoreUnavailable):
        unpack(b"\x02whatever")


TAKING = """
import asyncio, sys
from dataclasses import replace
from datetime import UTC, datetime
from otp_app.errors import RateLimited
from otp_app.storage import engine as engine_module
from otp_app.storage.engine import open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.verification.limits import POLICY, LimitUse, Scope

engine_module.PATIENCE = 60.0

async def main():
    limiter = SqlLimiter(open_engine(sys.argv[1]), b"s" * 32)
    limits = [limit for limit in POLICY if limit.scope is Scope.GLOBAL]
    uses = [LimitUse(replace(limit, amount=80), "") for limit in limits]
    async def take(n):
        try:
            await limiter.spend(uses[:2], datetime(2026, 3, 1, 12, 0, 0, n, UTC))
        except RateLimited:
            return 0
        return 1
    print("ready", flush=True)
    sys.stdin.readline()
    print(sum(await asyncio.gather(*(take(n) for n in range(400)))), flush=True)

asyncio.run(main())
"""


async def test_hundreds_of_callers_in_two_processes_get_what_a_limit_allows_and_no_more(
    sql_store: SqlStore,
) -> None:
    pipe = asyncio.subprocess.PIPE
    both = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", TAKING, str(sql_store.engine.url), stdin=pipe, stdout=pipe
        )
        for _ in range(2)
    ]
    for process in both:
        assert process.stdout
        assert await process.stdout.readline() == b"ready\n"
    found = await asyncio.gather(*(process.communicate(b"\n") for process in both))

    assert sum(int(out.split()[-1]) for out, _ in found) == 80


async def test_a_row_without_recent_uses_is_deleted_however_many_rows_there_are(
    sql_store: SqlStore, clock: Clock
) -> None:
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    for subject in range(620):
        await limiter.spend([LimitUse(BY_SESSION, str(subject))], clock.now())
    clock.tick(10 * 60)
    await limiter.spend([LimitUse(BY_SESSION, "recent")], clock.now())
    clock.tick(10 * 60)

    for _ in range(3):
        await limiter.prune(clock.now())

    assert await uses_of_limits(sql_store.engine) == 1

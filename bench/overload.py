"""Arrivals above the capacity of this app: `make bench-overload`.

The capacity is the rate of a fixed number of callers. Then people arrive at that rate and at twice
that rate, whether the server keeps up or not. Each person has a new connection, and the vendor
takes 100 ms for a response.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from argparse import ArgumentParser
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import FlowFailed, Target, connected, everybody, flow, percentile, run
from bench.report import head, machine, row, write
from bench.servers import LOAD_CORES, Server, ours
from bench.vendor import Vendor

LATENCY = 0.1  # seconds of the vendor
CALLERS = 128  # fewer than the sends that may be under way, and enough to use one core
PATIENCE = 10.0  # seconds after which a flow counts as unanswered
HEAD = (
    *("arrivals/s", "× capacity", "done/s", "p50 ms", "p99 ms"),
    *("refused", "p50 ms", "p99 ms", "unanswered", "failed"),
)


@dataclass
class Arrivals:
    """The results of the flows of one rate.

    Attributes:
        served: the seconds that each successful flow took.
        refused: the seconds that each refusal took, from the start of the flow.
        unanswered: the number of flows without a response in time.
        failed: the number of other failures, by the reason.
    """

    served: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    unanswered: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    async def arrive(self, target: Target) -> None:
        """Run the flow of one person, and record its result."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                await _visit(target)
            self.served.append(time.perf_counter() - began)
        except TimeoutError:
            self.unanswered += 1
        except FlowFailed as failure:
            if b"overloaded" in failure.args[1]:
                self.refused.append(time.perf_counter() - began)
            else:
                self.failed[repr(failure)] += 1
        except ConnectionError as error:
            self.failed[repr(error)] += 1


async def _visit(target: Target) -> None:
    async with connected(target.port) as connection:
        await flow(target, connection, next(everybody))


async def arrivals(target: Target, rate: float, seconds: float) -> Arrivals:
    """Return the results of *rate* people a second for *seconds*."""
    found, began = Arrivals(), time.perf_counter()
    async with asyncio.TaskGroup() as people:
        for index in range(int(rate * seconds)):
            await asyncio.sleep(began + index / rate - time.perf_counter())
            people.create_task(found.arrive(target))
    return found


async def main(seconds: float, settings: dict[str, str]) -> None:
    """Print the table in `docs/performance.md`."""
    os.sched_setaffinity(0, LOAD_CORES)
    vendor = Vendor()
    await vendor.start()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        url = f"sqlite:///{folder}/otp.db"
        server = Server(ours("ours", vendor.url, url, **settings), Path(folder))
        try:
            await server.wait()
            vendor.latency = LATENCY
            await run(server.target, CALLERS, 1.0)  # warms the server up
            capacity = (await run(server.target, CALLERS, seconds)).rate
            write(f"capacity: {capacity:.0f} flows/s with {CALLERS} callers", "", *head(HEAD))
            for factor in (1, 2):
                rate = factor * capacity
                found = await arrivals(server.target, rate, seconds)
                write(_row(rate, factor, seconds, found), *map(str, found.failed.most_common(3)))
        finally:
            server.stop()
    write("", machine())


def _row(rate: float, factor: int, seconds: float, found: Arrivals) -> str:
    times, refusals = (_percentiles(results) for results in (found.served, found.refused))
    return row(
        *(f"{rate:.0f}", factor, f"{len(found.served) / seconds:.0f}", *times),
        *(len(found.refused), *refusals, found.unanswered, found.failed.total()),
    )


def _percentiles(seconds: list[float]) -> list[str]:
    return [f"{percentile(seconds, share):.0f}" if seconds else "–" for share in (0.5, 0.99)]


if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement (10)")
    parser.add_argument("settings", nargs="*", metavar="NAME=VALUE", help="settings of the app")
    options = parser.parse_args()
    asyncio.run(main(options.seconds, dict(one.split("=", 1) for one in options.settings)))

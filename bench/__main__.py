"""Compares this app with the servers of both vendors' guides: `make bench`.

Every server runs on one core. The load and an instant or slow vendor run on the other. All servers
are measured in turn, once in each round, and the table has the medians of the rounds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.load import run
from bench.report import cores, head, machine, row, write
from bench.servers import (
    LOAD_CORES,
    PEERS,
    Server,
    System,
    busy_seconds,
    express,
    fastify,
    javascript,
    ours,
)
from bench.vendor import Vendor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


WARM_UP = 16  # callers before the first measurement: V8 compiles what runs often


class Cell(NamedTuple):
    """Number of callers, and the seconds that the vendor takes for a response."""

    callers: int
    latency: float


CELLS = (Cell(1, 0.0), Cell(16, 0.0), Cell(64, 0.0), Cell(256, 0.1))
NAMES = ("fastify", "express", "ours-NORMAL", "ours-FULL", "ours-PostgreSQL")
HEAD = (
    *("callers", "vendor", "server", "flows/s", "× fastify"),
    *("p50 ms", "p99 ms", "CPU ms", "× fastify", "failures"),
)


class Result(NamedTuple):
    """One measurement.

    Attributes:
        rate: flows a second.
        p50, p99: milliseconds within which half, and 99 %, of the flows were done.
        cpu: milliseconds of the server's processor time for a flow.
        failures: number of failed flows, by the reason.
        load: processor time of the load and the vendor, in seconds for a second.
        others: that of all other programs.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    failures: Counter[str]
    load: float
    others: float


async def measure(server: Server, callers: int, seconds: float) -> Result:
    """Return the result of *callers* on *server* for *seconds*."""
    gc.collect()
    server_began, own_began, busy_began = server.cpu, time.process_time(), busy_seconds()
    load = await run(server.target, callers, seconds)
    used, own = server.cpu - server_began, time.process_time() - own_began
    return Result(
        load.rate,
        load.percentile(0.5),
        load.percentile(0.99),
        1000 * used / max(1, len(load.times)),
        load.failures,
        own / load.seconds,
        (busy_seconds() - busy_began - used - own) / load.seconds,
    )


NO_GATE = {"MAX_SENDS_IN_FLIGHT": "512", "MAX_CHECKS_IN_FLIGHT": "512"}
"""Settings that let the app admit the largest number of callers in the table."""


def systems(vendor: str, folder: Path, only: Sequence[str]) -> list[System]:
    """Return the servers to be measured, or those of them in *only*."""
    found = [
        fastify(vendor),
        express(vendor),
        *(
            ours(
                f"ours-{mode}",
                vendor,
                f"sqlite:///{folder}/{mode}.db",
                SQLITE_SYNCHRONOUS=mode,
                **NO_GATE,
            )
            for mode in ("NORMAL", "FULL")
        ),
    ]
    if url := os.environ.get("DATABASE_URL"):
        found.append(ours("ours-PostgreSQL", vendor, url, **NO_GATE))
    return [system for system in found if system.name in only]


async def main(options: Namespace) -> None:
    """Print the table in `docs/performance.md`."""
    os.sched_setaffinity(0, LOAD_CORES)
    vendor = Vendor()
    await vendor.start()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as running:
        servers = [
            Server(each, Path(folder)) for each in systems(vendor.url, Path(folder), options.only)
        ]
        for server in servers:
            running.callback(server.stop)
        for server in servers:
            await warm_up(server, options.seconds)
        write(*head(HEAD))
        everything: list[Result] = []
        for cell in CELLS:
            vendor.latency = cell.latency
            results = await rounds(servers, cell, options)
            write(*rows(cell, results))
            everything += chain.from_iterable(results.values())
    write("", machine(), cores(), f"{', '.join(_peers())}.", *_doubts(everything))


async def warm_up(server: Server, seconds: float) -> None:
    """Wait until *server* responds, and run flows on it for *seconds*.

    Raises:
        RuntimeError: no flow succeeds.
    """
    await server.wait()
    load = await run(server.target, WARM_UP, seconds)
    if not load.times:
        raise RuntimeError(f"{server.name}: {load.failures}")


async def rounds(
    servers: Sequence[Server], cell: Cell, options: Namespace
) -> dict[str, list[Result]]:
    """Measure all *servers* in turn, and return the results of each by its name."""
    results: dict[str, list[Result]] = {server.name: [] for server in servers}
    for _ in range(options.rounds):
        for server in servers:
            results[server.name].append(await measure(server, cell.callers, options.seconds))
    return results


def rows(cell: Cell, results: dict[str, list[Result]]) -> Iterator[str]:
    """Yield a row of the table for each server: the medians of its results, and all failures."""
    rates = {name: median(each.rate for each in found) for name, found in results.items()}
    costs = {name: median(each.cpu for each in found) for name, found in results.items()}
    for name, found in results.items():
        yield row(
            cell.callers,
            f"{1000 * cell.latency:.0f} ms",
            name,
            f"{rates[name]:.0f}",
            _ratio(rates, name),
            f"{median(each.p50 for each in found):.1f}",
            f"{median(each.p99 for each in found):.1f}",
            f"{costs[name]:.2f}",
            _ratio(costs, name),
            sum(each.failures.total() for each in found),
        )


def _ratio(figures: dict[str, float], name: str) -> str:
    """Return the figure of the server *name* divided by Fastify's, if Fastify was measured."""
    return f"{figures[name] / figures['fastify']:.2f}" if figures.get("fastify") else "–"


def _peers() -> Iterator[str]:
    """Yield the versions of the program that runs the peers, and of their packages."""
    program = javascript()
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    yield f"{Path(program).name} {done.stdout.strip()}"
    for peer in ("fastify", "express"):
        package = json.loads((PEERS / peer / "package.json").read_text())
        yield from (f"{name} {release}" for name, release in package["dependencies"].items())


def _doubts(results: Sequence[Result]) -> Iterator[str]:
    """Yield lines with what may have disturbed the measurements, and the commonest failures."""
    yield f"The load and the vendor used {max(each.load for each in results):.2f} cores at most."
    yield f"Other programs used {median(each.others for each in results):.2f} cores."
    for reason, number in sum((each.failures for each in results), Counter()).most_common(5):
        yield f"{number} failures: {reason}"


def _options() -> Namespace:
    parser = ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (5)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each server (3)")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, help="the servers")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))

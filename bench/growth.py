"""The store with many old rows beside an empty one: `python -m bench.growth [VERIFICATIONS]`.

The old rows are copies of the rows of one real flow, with other keys and with times in the last
month, so the copies are as large and as many as real rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import create_engine, insert, select

from bench.report import head, machine, row, write
from bench.store import SECRET, WIDE, flow, numbers
from otp_app.storage.engine import Engine, migrate, open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.sessions import SqlSessions
from otp_app.storage.store import SqlStore
from otp_app.storage.tables import metadata
from otp_app.verification.service import VerificationService
from otp_app.verification.sessions import Sessions
from tests.fakes import FakeProvider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Table

    from otp_app.phone import PhoneNumber

OLD = 200_000  # verifications
MONTH = timedelta(days=30)
AT_ONCE = 1000  # flows whose copies are inserted by one statement
KEYS = {
    *("id", "flow", "phone_key", "reference", "source", "verification", "token", "attempt"),
    *("number", "block", "key"),
}
"""The columns whose values no two flows share, apart from the short keys in `limits`."""
HASH = 16  # bytes of a key in `limits`; the key of a country is shorter
CALLERS, SECONDS, ROUNDS, WARM_UP = 16, 3.0, 3, 100


@dataclass
class Store:
    """A database with its service."""

    engine: Engine
    indexes: Iterator[int] = field(default_factory=count)
    phones: Iterator[PhoneNumber] = field(default_factory=numbers)

    def __post_init__(self) -> None:
        encryption = PhoneEncryption(SECRET)
        store, limiter = SqlStore(self.engine, encryption), SqlLimiter(self.engine, SECRET)
        providers = {"fake": FakeProvider()}
        self.service = VerificationService(store, limiter, providers, "fake", _now, limits=WIDE)
        self.sessions = Sessions(SqlSessions(self.engine, encryption), _now)

    async def flow(self) -> None:
        """Make one flow of a new person."""
        await flow(self.service, self.sessions, next(self.indexes), next(self.phones))

    async def measure(self) -> tuple[float, float]:
        """Return flows a second and milliseconds of processor time a flow."""
        began, cpu, done = time.monotonic(), time.process_time(), 0

        async def call() -> None:
            nonlocal done
            while time.monotonic() < began + SECONDS:
                await self.flow()
                done += 1

        await asyncio.gather(*(call() for _ in range(CALLERS)))
        return done / (time.monotonic() - began), 1000 * (time.process_time() - cpu) / done


async def main(old: int) -> None:
    """Print the table in `docs/performance.md`."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        paths = [Path(folder) / f"{name}.db" for name in ("empty", "full", "one")]
        empty, full = [await _opened(path, WARM_UP) for path in paths[:2]]
        await (await _opened(paths[2], 1)).engine.dispose()
        fill(paths[1], rows_of(paths[2]), old)
        results = [(await empty.measure(), await full.measure()) for _ in range(ROUNDS)]
        write(*head(("old verifications", "size of the file", "flows/s", "CPU ms a flow")))
        for number, path, found in zip((0, old), paths, zip(*results, strict=True), strict=False):
            rates, costs = zip(*found, strict=True)
            size = f"{path.stat().st_size / 1e6:.0f} MB"
            write(row(f"{number:,}", size, f"{median(rates):.0f}", f"{median(costs):.2f}"))
        for store in (empty, full):
            await store.engine.dispose()
    write("", machine())


async def _opened(path: Path, flows: int) -> Store:
    """Return a new database at *path*, after the first *flows*."""
    await migrate(f"sqlite:///{path}")
    store = Store(open_engine(f"sqlite:///{path}", "NORMAL"))
    for _ in range(flows):
        await store.flow()
    return store


def rows_of(path: Path) -> dict[Table, list[dict[str, Any]]]:
    """Return all rows of the database at *path*, by table."""
    with create_engine(f"sqlite:///{path}").connect() as connection:
        return {
            table: [dict(each) for each in connection.execute(select(table)).mappings()]
            for table in metadata.sorted_tables
        }


def fill(path: Path, rows: dict[Table, list[dict[str, Any]]], old: int) -> None:
    """Insert *old* copies of *rows* in the database at *path*."""
    engine = create_engine(f"sqlite:///{path}")
    for start in range(0, old, AT_ONCE):
        copies = range(start, min(old, start + AT_ONCE))
        with engine.begin() as connection:
            for table, originals in rows.items():
                values = [_copy(each, copy / old) for copy in copies for each in originals]
                if values:
                    connection.execute(insert(table).prefix_with("OR IGNORE"), values)
    engine.dispose()


def _copy(original: dict[str, Any], share: float) -> dict[str, Any]:
    """Return a row with keys of its own. *share* is the part of the month that had passed."""
    return {
        name: _key(value, share) if name in KEYS else _moved(value, MONTH * (1 - share))
        for name, value in original.items()
        if not (name == "id" and isinstance(value, int))  # a number that the database gives
    }


def _key(value: Any, share: float) -> Any:  # noqa: ANN401 - a value of any column
    """Return another key for each *share*, the same one for the same *value*."""
    match value:
        case str():
            return hashlib.sha256(f"{value} {share}".encode()).hexdigest()
        case bytes() if len(value) == HASH:
            return value[:1] + hashlib.sha256(value + str(share).encode()).digest()[: HASH - 1]
        case _:
            return value


def _moved(value: Any, back: timedelta) -> Any:  # noqa: ANN401 - a value of any column
    return value - back if isinstance(value, datetime) else value


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else OLD))

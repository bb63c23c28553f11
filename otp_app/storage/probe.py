"""The probe of the database behind `/ready`."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete

from otp_app.errors import StoreUnavailable
from otp_app.storage import migrations
from otp_app.storage.engine import transact
from otp_app.storage.tables import limit_hits

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

TURN = 0.02
"""Seconds of one wait. The probe counts waits instead of time: on a busy event loop each wait takes
longer, so a delay of the loop does not count as a delay of the database."""

PATIENCE = 0.2
"""Seconds after which the database counts as busy: a page needs several statements."""

GIVE_UP = 3.0
"""Seconds without a success after which the database counts as failing. One attempt waits a second
for a lock or a connection, so several attempts have failed by then."""

AGAIN = 0.1  # seconds between a failed attempt and the next
FRESH = 1.0  # seconds for which a result is reused: a flood of requests costs one probe a second
LONGEST = 1.0  # seconds until a response at most: load balancers time out after one or two


def now() -> float:
    """Return the seconds of a monotonic clock."""
    return time.monotonic()


class Database(StrEnum):
    """The result of a probe."""

    OK = "ok"
    BUSY = "busy"  # no response within `PATIENCE`
    OTHER_VERSION = "other_version"  # the tables are those of another version of the app
    FAILING = "failing"  # no response, or no successful write, for `GIVE_UP`


@dataclass
class Probe:
    """Probes the database of *engine*. Concurrent callers share one probe."""

    engine: AsyncEngine
    _looking: asyncio.Task[Database] | None = field(default=None, init=False)
    _found: Database = field(default=Database.OK, init=False)
    _ended: float = field(default=-FRESH, init=False)

    async def look(self) -> Database:
        """Return the state of the database, by a write that changes nothing.

        Until the probe ends, the result is `FAILING` if the last one was, otherwise `BUSY`.
        """
        if now() - self._ended < FRESH:
            return self._found
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        await _within(PATIENCE, self._looking, until=now() + LONGEST)
        if self._looking.done():
            return self._looking.result()
        return Database.FAILING if self._found is Database.FAILING else Database.BUSY

    async def _look(self) -> Database:
        """Repeat the attempt until it succeeds, for `GIVE_UP` at most."""
        attempts = asyncio.create_task(self._attempts())
        if await _within(GIVE_UP, attempts):
            self._found = attempts.result()
        else:
            attempts.cancel()
            self._found = Database.FAILING
        self._ended = now()
        return self._found

    async def _attempts(self) -> Database:
        while True:
            with suppress(StoreUnavailable):
                return await transact(self.engine, self._attempt)
            await asyncio.sleep(AGAIN)

    async def _attempt(self, connection: AsyncConnection) -> Database:
        # The DELETE matches no row, but it needs write permission and, on SQLite, the write lock.
        await connection.execute(delete(limit_hits).where(limit_hits.c.key == ""))
        revision = await connection.run_sync(_revision)
        return Database.OK if revision == self._newest else Database.OTHER_VERSION

    @cached_property
    def _newest(self) -> str | None:
        return migrations.steps().get_current_head()


async def _within(seconds: float, task: asyncio.Task[Any], until: float = math.inf) -> bool:
    """Wait for *task*, for at most *seconds* in waits of `TURN`, and not beyond *until*.

    Returns:
        True if the task is done.
    """
    for _ in range(round(seconds / TURN)):
        if task.done() or now() > until:
            break
        await asyncio.wait({task}, timeout=TURN)
    return task.done()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()

"""Whether the database can be worked with, asked again and again by who sends traffic here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete

from otp_app.errors import StoreUnavailable
from otp_app.storage import migrations
from otp_app.storage.engine import transact
from otp_app.storage.tables import limit_hits

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

PATIENCE = 0.2
"""Seconds. Who comes now would wait as long for each statement, and a page needs several."""


class Database(StrEnum):
    """What a look at the database finds."""

    OK = "ok"
    OTHER_VERSION = "other_version"  # its tables are not those of this version of the app
    FAILING = "failing"  # it does not answer in time, or cannot be written


@dataclass
class Probe:
    """Looks at the database of *engine*; whoever asks meanwhile hears the same answer."""

    engine: AsyncEngine
    _looking: asyncio.Task[Database] | None = field(default=None, init=False)

    async def look(self) -> Database:
        """See whether it takes what we would write, within `PATIENCE`. Changes nothing."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(PATIENCE):
                return await asyncio.shield(self._looking)
        except TimeoutError:
            return Database.FAILING

    async def _look(self) -> Database:
        try:
            return await transact(self.engine, self._try)
        except StoreUnavailable:
            return Database.FAILING

    async def _try(self, connection: AsyncConnection) -> Database:
        # Of no row, and yet it needs the right to write and, on SQLite, its turn.
        await connection.execute(delete(limit_hits).where(limit_hits.c.key == ""))
        revision = await connection.run_sync(_revision)
        return Database.OK if revision == self._newest else Database.OTHER_VERSION

    @cached_property
    def _newest(self) -> str | None:
        return migrations.steps().get_current_head()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()

"""The database: SQLite in a file of its own, or PostgreSQL; and a probe of its health."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, delete, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from otp_app.errors import StoreUnavailable
from otp_app.storage import migrations
from otp_app.storage.tables import limit_hits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Executable, RowMapping, Table, UpdateBase
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

_T = TypeVar("_T")

PATIENCE = 1.0  # seconds to wait for a lock or a connection, while a person waits for a page

_OPTIONS = {"hide_parameters": True, "pool_timeout": PATIENCE}  # no phone number in an error
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
    "secure_delete=ON",  # overwrite deleted and re-encrypted data in the file
)
_LIBPQ = {"connect_timeout": "2", "tcp_user_timeout": "2000", "options": "-c lock_timeout=1s"}
_ALONE = {  # makes a second process wait until the first one has migrated
    # A migration copies and drops a table, which must not cascade to rows that refer to it.
    "sqlite": ("PRAGMA busy_timeout=30000", "PRAGMA foreign_keys=OFF", "BEGIN IMMEDIATE"),
    "postgresql": ("SET LOCAL lock_timeout='30s'", "SELECT pg_advisory_xact_lock(6073201)"),
}

_INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for database errors, except for violated constraints."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, PoolTimeout, OSError) as exc:
        raise StoreUnavailable from exc


async def transact(engine: AsyncEngine, work: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
    """Run *work* in one transaction, which completes even if the caller is canceled.

    A canceled transaction would leave SQLite locked until its cursor is garbage-collected.

    Raises:
        IntegrityError: a constraint is violated.
        StoreUnavailable: the database does not respond.
    """

    async def transaction() -> _T:
        with store_errors():
            async with engine.begin() as connection:
                return await work(connection)

    return await asyncio.shield(transaction())


async def rows(engine: AsyncEngine, statement: Executable) -> Sequence[RowMapping]:
    """Run *statement* in a separate transaction and return its rows."""

    async def work(connection: AsyncConnection) -> Sequence[RowMapping]:
        return (await connection.execute(statement)).mappings().all()

    return await transact(engine, work)


async def execute(engine: AsyncEngine, statement: UpdateBase) -> int:
    """Run *statement* in a separate transaction and return the number of changed rows."""

    async def work(connection: AsyncConnection) -> int:
        return (await connection.execute(statement)).rowcount

    return await transact(engine, work)


def insert_into(engine: AsyncEngine, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT of the engine's dialect, which supports `ON CONFLICT`."""
    return _INSERTS[engine.dialect.name](table)


def open_engine(url: str) -> AsyncEngine:
    """Return an engine for *url*, which is `sqlite:///path` or `postgresql://…`.

    A missing SQLite file is created, readable by its owner only.

    Raises:
        ValueError: *url* is neither of them, or a package is missing.
        StoreUnavailable: the file cannot be created.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their text may contain a part of the password
        raise ValueError("it is not a database URL") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+aiosqlite":
            return _open_sqlite(parsed.set(drivername="sqlite+aiosqlite"))
        case "postgres" | "postgresql" | "postgresql+psycopg":
            return _open_postgresql(parsed.set(drivername="postgresql+psycopg"))
        case _:
            raise ValueError("the database is neither sqlite:/// nor postgresql://")


async def migrate(url: str) -> None:
    """Apply all missing migrations to the database at *url*, one process at a time.

    Raises:
        ValueError: *url* is invalid, or a package is missing.
        StoreUnavailable: the database does not respond, or its file cannot be created.
    """
    engine = open_engine(url)
    try:
        with store_errors():
            async with engine.begin() as connection:
                for statement in _ALONE[engine.dialect.name]:
                    await connection.exec_driver_sql(statement)
                await connection.run_sync(migrations.upgrade)
    finally:
        await engine.dispose()


def _open_sqlite(url: URL) -> AsyncEngine:
    if url.database in (None, "", ":memory:"):
        raise ValueError("the database needs a file: sqlite:///path")
    path = Path(url.database).resolve()
    with store_errors():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    # IMMEDIATE: a transaction takes the write lock before it reads the rows that it will change.
    waiting = {"timeout": PATIENCE, "isolation_level": "IMMEDIATE"}
    # SQLite allows one writer at a time. The queue of a small pool is fair, SQLite's lock is not.
    url = url.set(database=str(path))
    engine = create_async_engine(url, connect_args=waiting, pool_size=4, max_overflow=0, **_OPTIONS)
    _watch(engine, path)
    return engine


def _open_postgresql(url: URL) -> AsyncEngine:
    url = url.set(query={**_LIBPQ, **url.query})
    try:
        return create_async_engine(url, pool_pre_ping=True, **_OPTIONS)
    except ImportError as exc:
        missing = "PostgreSQL needs the package psycopg: pip install 'psycopg[binary]'"
        raise ValueError(missing) from exc


def _watch(engine: AsyncEngine, path: Path) -> None:
    """Add listeners that configure each connection and check that its file still exists.

    No connection is made without a file, and a connection is dropped when *path* was replaced.
    """

    @event.listens_for(engine.sync_engine, "do_connect")
    def _find(_dialect: Dialect, entry: ConnectionPoolEntry, *_arguments: object) -> None:
        # `stat` fails without a file. SQLite would create an empty one, readable by everybody.
        entry.info["file"] = path.stat().st_ino

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "checkout")
    def _find_again(
        _connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        if path.stat().st_ino != entry.info["file"]:
            raise DisconnectionError("the database file was replaced")


TURN = 0.02
"""Seconds of one wait. The probe counts waits instead of time: on a busy event loop each wait takes
longer, so a delay of the loop does not count as a delay of the database."""

PROBE_PATIENCE = 0.2
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


class DatabaseState(StrEnum):
    """The result of a probe."""

    OK = "ok"
    BUSY = "busy"  # no response within `PROBE_TIMEOUT`
    OTHER_VERSION = "other_version"  # the tables are those of another version of the app
    FAILING = "failing"  # no response, or no successful write, for `GIVE_UP`


@dataclass
class DatabaseProbe:
    """Probes the database of *engine*. Concurrent callers share one probe."""

    engine: AsyncEngine
    _checking: asyncio.Task[DatabaseState] | None = field(default=None, init=False)
    _found: DatabaseState = field(default=DatabaseState.OK, init=False)
    _ended: float = field(default=-FRESH, init=False)

    async def check(self) -> DatabaseState:
        """Return the state of the database, by a write that changes nothing.

        Until the probe ends, the result is `FAILING` if the last one was, otherwise `BUSY`.
        """
        if now() - self._ended < FRESH:
            return self._found
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        await _within(PROBE_PATIENCE, self._checking, until=now() + LONGEST)
        if self._checking.done():
            return self._checking.result()
        return DatabaseState.FAILING if self._found is DatabaseState.FAILING else DatabaseState.BUSY

    async def _check(self) -> DatabaseState:
        """Repeat the attempt until it succeeds, for `GIVE_UP` at most."""
        attempts = asyncio.create_task(self._attempts())
        if await _within(GIVE_UP, attempts):
            self._found = attempts.result()
        else:
            attempts.cancel()
            self._found = DatabaseState.FAILING
        self._ended = now()
        return self._found

    async def _attempts(self) -> DatabaseState:
        while True:
            with suppress(StoreUnavailable):
                return await transact(self.engine, self._attempt)
            await asyncio.sleep(AGAIN)

    async def _attempt(self, connection: AsyncConnection) -> DatabaseState:
        # The DELETE matches no row, but it needs write permission and, on SQLite, the write lock.
        await connection.execute(delete(limit_hits).where(limit_hits.c.key == ""))
        revision = await connection.run_sync(_revision)
        return DatabaseState.OK if revision == self._newest else DatabaseState.OTHER_VERSION

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

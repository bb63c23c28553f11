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

from sqlalchemy import URL, NullPool, create_engine, delete, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError

from otp_app.errors import StoreUnavailable
from otp_app.storage import migrations, unavailable
from otp_app.storage.jobs import PostgresqlRunner
from otp_app.storage.sqlite_jobs import WAL_SIZE, SqliteReader, SqliteWriter
from otp_app.storage.tables import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Executable, RowMapping, Table, UpdateBase
    from sqlalchemy import Engine as SyncEngine
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.pool import ConnectionPoolEntry

    from otp_app.storage.jobs import JobRunner

_T = TypeVar("_T")

PATIENCE = 1.0  # seconds to wait for a lock or a connection, while a person waits for a page
POSTGRESQL_THREADS = 8
"""Threads for PostgreSQL, each with one connection. A transaction takes a few milliseconds."""

_PRAGMAS = (
    "journal_mode=WAL",
    "wal_autocheckpoint=0",  # see `SqliteWriter`
    f"journal_size_limit={WAL_SIZE // 2}",  # a log that begins anew is shortened to this
    "foreign_keys=ON",
    "secure_delete=ON",  # overwrite deleted and re-encrypted data in the file
)
_LIBPQ = {"connect_timeout": "2", "tcp_user_timeout": "2000"}
_ALONE = {  # makes a second process wait until the first one has migrated
    # A migration copies and drops a table, which must not cascade to rows that refer to it.
    "sqlite": ("PRAGMA busy_timeout=30000", "PRAGMA foreign_keys=OFF", "BEGIN IMMEDIATE"),
    "postgresql": ("SET LOCAL lock_timeout='30s'", "SELECT pg_advisory_xact_lock(6073201)"),
}


@contextmanager
def store_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for database errors, except for violated constraints."""
    try:
        yield
    except IntegrityError:
        raise
    except (DBAPIError, OSError) as exc:
        raise unavailable(exc) from exc


INSERTS: Mapping[str, Callable[[Table], sqlite.Insert | postgresql.Insert]] = {
    "sqlite": sqlite.insert,
    "postgresql": postgresql.insert,
}


@dataclass(frozen=True)
class Engine:
    """The database. It runs jobs, see `jobs`: functions of a connection, each in one transaction.

    All methods raise `StoreUnavailable` if the database does not respond.

    Attributes:
        sync_engine: SQLAlchemy's engine, the source of all connections.
        reader: the thread for jobs that only read. On SQLite they never wait for a writer.
        writer: the thread or threads for all other jobs.
    """

    sync_engine: SyncEngine
    reader: JobRunner
    writer: JobRunner

    async def read(self, job: Callable[[Connection], _T]) -> _T:
        """Return the result of *job*, which writes nothing."""
        return await self.reader.run(job)

    async def write(self, job: Callable[[Connection], _T]) -> _T:
        """Commit *job* and return its result. It completes even if the caller is canceled."""
        return await self.writer.run(job)

    async def rows(self, statement: Executable) -> Sequence[RowMapping]:
        """Return the rows of *statement*, which writes nothing."""
        return await self.read(lambda connection: connection.execute(statement).mappings().all())

    async def execute(self, statement: UpdateBase) -> int:
        """Run *statement* and return the number of changed rows."""
        return await self.write(lambda connection: connection.execute(statement).rowcount)

    async def dispose(self) -> None:
        """End the threads and close their connections. A later job opens new ones."""
        await self.writer.stop()
        await self.reader.stop()
        self.sync_engine.dispose()

    @property
    def dialect(self) -> Dialect:
        """SQLAlchemy's dialect of the database."""
        return self.sync_engine.dialect

    @property
    def url(self) -> URL:
        """The address of the database."""
        return self.sync_engine.url


def open_engine(url: str, synchronous: str = "NORMAL") -> Engine:
    """Return the database at *url*, which is `sqlite:///path` or `postgresql://…`.

    A missing SQLite file is created, readable by its owner only.

    Args:
        url: the address of the database.
        synchronous: SQLite's setting. With `FULL`, a committed transaction survives a power cut.
            With `NORMAL` it survives the end of the process only.

    Raises:
        ValueError: *url* is neither of them, or a package is missing.
        StoreUnavailable: the file cannot be created.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their text may contain a part of the password
        raise ValueError("it is not a database URL") from None
    match parsed.drivername:
        case "sqlite" | "sqlite+aiosqlite" | "sqlite+pysqlite":
            return _open_sqlite(parsed.set(drivername="sqlite"), synchronous)
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
        await asyncio.to_thread(_migrate, engine.sync_engine)
    finally:
        await engine.dispose()


def _migrate(engine: SyncEngine) -> None:
    with store_errors(), engine.begin() as connection:
        for statement in _ALONE[engine.dialect.name]:
            connection.exec_driver_sql(statement)
        migrations.upgrade(connection)


def _open_sqlite(url: URL, synchronous: str) -> Engine:
    if url.database in (None, "", ":memory:"):
        raise ValueError("the database needs a file: sqlite:///path")
    path = Path(url.database).resolve()
    with store_errors():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    # Without an isolation level, the driver begins no transaction: the threads begin their own.
    waiting = {"timeout": PATIENCE, "isolation_level": None}
    url = url.set(database=str(path))
    engine = create_engine(url, connect_args=waiting, poolclass=NullPool, hide_parameters=True)
    pragmas = (*_PRAGMAS, f"synchronous={synchronous}")

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    reader, writer = (kind(engine, PATIENCE, path=path) for kind in (SqliteReader, SqliteWriter))
    return Engine(engine, reader, writer)


def _open_postgresql(url: URL) -> Engine:
    url = url.set(query={**_LIBPQ, **url.query})
    pool = {"pool_size": POSTGRESQL_THREADS, "max_overflow": 0, "pool_pre_ping": True}
    # A pooler gives each transaction another connection, so no statement can be prepared.
    unprepared = {"prepare_threshold": None}
    try:
        engine = create_engine(url, connect_args=unprepared, hide_parameters=True, **pool)
    except ImportError as exc:
        missing = "PostgreSQL needs the package psycopg: pip install 'psycopg[binary]'"
        raise ValueError(missing) from exc
    runner = PostgresqlRunner(engine, PATIENCE, POSTGRESQL_THREADS)
    return Engine(engine, runner, runner)


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
    BUSY = "busy"  # no response within `PROBE_PATIENCE`
    OTHER_VERSION = "other_version"  # the tables are those of another version of the app
    FAILING = "failing"  # no response, or no successful write, for `GIVE_UP`


@dataclass
class DatabaseProbe:
    """Probes the database of *engine*. Concurrent callers share one probe."""

    engine: Engine
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
                return await self.engine.write(self._attempt)
            await asyncio.sleep(AGAIN)

    def _attempt(self, connection: Connection) -> DatabaseState:
        # The DELETE matches no row, but it needs write permission and, on SQLite, the write lock.
        connection.execute(delete(limits).where(limits.c.key == b""))
        is_newest = migrations.current(connection) == self._newest
        return DatabaseState.OK if is_newest else DatabaseState.OTHER_VERSION

    @cached_property
    def _newest(self) -> str:
        return migrations.revisions()[0]


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

"""The database engine and its transactions, for SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import URL, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from otp_app.errors import StoreUnavailable
from otp_app.storage import migrations

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from sqlalchemy import Dialect, Executable, RowMapping, Table, UpdateBase
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
        raise ValueError("it is no database URL") from None
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

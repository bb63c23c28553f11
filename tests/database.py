"""A connection to the app's database for tests, beside the app's own threads."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import select

from otp_app.storage.limit_rows import decode, unpack
from otp_app.storage.tables import limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Connection, CursorResult, Executable, ScalarResult

    from otp_app.storage.engine import Engine

_T = TypeVar("_T")


@dataclass(frozen=True)
class TestConnection:
    """A connection that commits at the end of `connected`, or on SQLite with each statement."""

    connection: Connection

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:  # noqa: ANN401
        return self.connection.execute(statement, values)

    async def scalars(self, statement: Executable) -> ScalarResult[Any]:
        return self.connection.scalars(statement)

    async def scalar(self, statement: Executable) -> Any:  # noqa: ANN401
        return self.connection.scalar(statement)

    async def exec_driver_sql(self, text: str, values: Any = None) -> CursorResult[Any]:  # noqa: ANN401
        return self.connection.exec_driver_sql(text, values)

    async def run_sync(self, work: Callable[[Connection], _T]) -> _T:
        return work(self.connection)


@asynccontextmanager
async def connected(engine: Engine) -> AsyncIterator[TestConnection]:
    """Open a connection to the database of *engine*."""
    with engine.sync_engine.begin() as connection:
        yield TestConnection(connection)


async def uses_of_limits(engine: Engine) -> int:
    """Return the number of uses in all rows of `limits`."""
    async with connected(engine) as connection:
        states = (await connection.scalars(select(limits.c.state))).all()
    lists = [uses for state in states for uses in unpack(state).values()]
    return sum(number for uses in lists for _, number, _ in decode(uses))


@asynccontextmanager
async def statements(
    engine: Engine, transactions: list[str] | None = None
) -> AsyncIterator[list[str]]:
    """Collect the statements that the threads of *engine* run meanwhile.

    The first statement of each transaction is added to *transactions* instead. Ends of transactions
    are left out.
    """
    found: list[str] = []

    def add(statement: str) -> None:
        if statement.startswith("BEGIN"):
            if transactions is not None:
                transactions.append(statement)
        elif statement not in ("COMMIT", "ROLLBACK"):
            found.append(statement)

    for runner in (engine.reader, engine.writer):
        await runner.run(lambda connection: _trace(connection, add))
    yield found
    for runner in (engine.reader, engine.writer):
        await runner.run(lambda connection: _trace(connection, None))


def _trace(connection: Connection, add: Callable[[str], None] | None) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.set_trace_callback(add)

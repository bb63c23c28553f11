"""The threads of SQLite: all jobs that wait run in one transaction ("group commit").

The commit is the expensive part of a transaction. Two cases need care:

* A job that raises before it has written anything fails alone. Most errors are of this kind.
* A job that raises after it has written makes the thread roll the transaction back. The thread then
  runs every job of the batch in a separate transaction.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy.exc import DBAPIError

from otp_app.storage.jobs import JobRunner, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from otp_app.storage.jobs import Job

WAL_SIZE = 32 * 1024 * 1024
"""Size in bytes of SQLite's write-ahead log from which its content is moved to the database file.
SQLite would do that itself after 4 MB, within a commit: the job then waits for 30 to 100 ms."""


@dataclass
class SqliteReader(JobRunner):
    """One thread with one connection, which runs all jobs that wait in one transaction.

    Attributes:
        path: the database file. If it was replaced, the thread opens the new one.
    """

    path: Path = Path()
    _connection: Connection | None = field(default=None, init=False)

    BEGIN = "BEGIN"

    def _run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        outcomes = self._transaction(jobs)
        if outcomes is None:
            alone = [self._transaction([job]) for job in jobs]
            outcomes = [outcome for found in alone for outcome in found or ()]
        return outcomes

    def _transaction(self, jobs: Sequence[Job]) -> Sequence[Outcome] | None:
        """Run *jobs* in one transaction.

        Returns:
            None if the transaction was rolled back because one of several jobs spoiled it.
        """
        whole, outcomes = Outcome(), [Outcome() for _ in jobs]
        is_spoiled = False
        with whole:
            connection = self._connect()
            driver = _driver(connection)
            driver.execute(self.BEGIN)
            for job, outcome in zip(jobs, outcomes, strict=True):
                changes = driver.total_changes
                with outcome:
                    outcome.value = job(connection)
                if outcome.error and (driver.total_changes > changes or not driver.in_transaction):
                    is_spoiled = True
                    break
            _end(connection, is_spoiled=is_spoiled)
        if whole.error:
            self._disconnect()
            return [Outcome(whole.error) for _ in jobs]
        return None if is_spoiled and len(jobs) > 1 else outcomes

    def _connect(self) -> Connection:
        # `stat` fails without a file. SQLite would create an empty one, readable by everybody.
        file = self.path.stat().st_ino
        if self._connection and self._connection.info["file"] != file:
            self._disconnect()
        if self._connection is None:
            self._connection = self.engine.connect()
            self._connection.info["file"] = file
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            with suppress(DBAPIError, sqlite3.Error):
                connection.close()


@dataclass
class SqliteWriter(SqliteReader):
    """The only thread of this process that writes to the database file.

    The thread takes SQLite's lock before its jobs read the rows that they will change.
    """

    _checkpoint: threading.Thread | None = field(default=None, init=False)

    BEGIN = "BEGIN IMMEDIATE"

    def _run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        outcomes = super()._run(jobs)
        self._bound_log()
        return outcomes

    def _bound_log(self) -> None:
        """Keep the write-ahead log small without a long wait.

        Another thread does most of the work. A short checkpoint between two batches then copies the
        rest, and SQLite begins the log anew.
        """
        if self._checkpoint:
            if not self._checkpoint.is_alive():
                self._checkpoint = None
                if self._connection:
                    with suppress(sqlite3.Error):
                        _checkpoint(self._connection)
        elif _size(self.path.with_name(f"{self.path.name}-wal")) > WAL_SIZE:
            self._checkpoint = threading.Thread(target=self._checkpoint_apart, daemon=True)
            self._checkpoint.start()

    def _checkpoint_apart(self) -> None:
        with (
            suppress(DBAPIError, sqlite3.Error, OSError),
            self.engine.connect() as connection,
        ):
            _checkpoint(connection)


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _end(connection: Connection, *, is_spoiled: bool) -> None:
    """Commit the transaction, or roll it back if *is_spoiled*.

    SQLite may have rolled back by itself, for example because the disk is full. COMMIT fails then.
    """
    driver = _driver(connection)
    if is_spoiled:
        driver.rollback()
    else:
        driver.execute("COMMIT")
    # A job that has run a statement by SQLAlchemy has begun a transaction of SQLAlchemy. Its end
    # has no effect on the database any more.
    connection.rollback()


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _checkpoint(connection: Connection) -> None:
    """Copy from the write-ahead log what no reader needs there. Nobody has to wait."""
    _driver(connection).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

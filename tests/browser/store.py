"""The app's database, read by the tests; they change nothing in it but its times."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from otp_app.storage.limit_rows import decode, encode, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_TIMES = ("sent_at", "resend_at", "expires_at", "created_at")


class Times(NamedTuple):
    """The times of the last message, of the next possible message, and of the end."""

    sent_at: datetime
    resend_at: datetime
    expires_at: datetime


class Store:
    """The SQLite file of a running app."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def phones(self) -> set[str]:
        """Return every phone number in the table of verifications."""
        return self._column("phone")

    def references(self) -> set[str]:
        """Return every stored id of a provider."""
        return self._column("reference")

    def times(self, phone: str) -> Times:
        """Return the times of the newest verification of *phone*."""
        query = (
            "SELECT sent_at, resend_at, expires_at FROM verifications"
            " WHERE phone = ? ORDER BY created_at DESC LIMIT 1"
        )
        with self._connection() as connection:
            return Times(*map(_read, connection.execute(query, [phone]).fetchone()))

    def age(self, phones: Collection[str], seconds: float) -> None:
        """Make everything about *phones* so many seconds older, as if the time had passed."""
        by = timedelta(seconds=seconds)
        columns = ", ".join(_TIMES)
        changes = ", ".join(f"{name} = ?" for name in _TIMES)
        with self._connection() as connection:
            for id_, phone, *times in connection.execute(
                f"SELECT id, phone, {columns} FROM verifications"
            ).fetchall():
                if phone in phones:
                    older = [_written(_read(time) - by) for time in times]
                    connection.execute(
                        f"UPDATE verifications SET {changes} WHERE id = ?", [*older, id_]
                    )

    def let_pass(self, seconds: float) -> None:
        """Make everything so many seconds older, limits included."""
        changes = ", ".join(
            f"{name} = strftime('%Y-%m-%d %H:%M:%f', {name}, :by) || '000'" for name in _TIMES
        )
        with self._connection() as connection:
            connection.execute(f"UPDATE verifications SET {changes}", {"by": f"-{seconds} seconds"})
            _let_limits_pass(connection, round(seconds * 1_000_000))

    def _column(self, name: str) -> set[str]:
        with self._connection() as connection:
            rows = connection.execute(f"SELECT DISTINCT {name} FROM verifications")
            return {value for (value,) in rows if value}

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=5)) as connection, connection:
            yield connection


def _let_limits_pass(connection: sqlite3.Connection, microseconds: int) -> None:
    for key, state in connection.execute("SELECT key, state FROM limits").fetchall():
        lists = {
            id_: encode([(at - microseconds, number, tag) for at, number, tag in decode(uses)])
            for id_, uses in unpack(state).items()
        }
        connection.execute(
            "UPDATE limits SET state = ?, until = until - ? WHERE key = ?",
            [pack(lists), microseconds, key],
        )


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _written(moment: datetime) -> str:
    """Format *moment* like SQLAlchemy does, because the app compares the times as texts."""
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")

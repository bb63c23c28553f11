"""The check and re-encryption of all stored numbers, in batches.

The app may run meanwhile, because every row stays readable. After an interruption, finished batches
stay finished.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, select, update

from otp_app.storage.engine import rows, store_errors, transact
from otp_app.storage.numbers import Condition, Numbers
from otp_app.storage.tables import users, verifications

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Select, Table
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

AT_ONCE = 100
"""Rows of one transaction. A batch takes some milliseconds; the app waits a second for a lock."""

_DUE = {Condition.CLEAR, Condition.OLD, Condition.FOREIGN}


class Place(NamedTuple):
    """A table with phone numbers.

    Attributes:
        text: the column of the stored numbers.
        newest: the column with the largest value in the newest row.
    """

    table: Table
    text: Column[str]
    newest: Column[Any]


PLACES = (
    Place(verifications, verifications.c.phone, verifications.c.expires_at),
    Place(users, users.c.phone_number, users.c.id),
)


class Stored(NamedTuple):
    """A stored number: its place, the id of its row, its text and its hash."""

    place: Place
    id: int | str
    text: str
    key: str | None


async def make_ready(engine: AsyncEngine, numbers: Numbers) -> None:
    """Fill in missing hashes, and check that the newest numbers are readable.

    The app must not run before this: a migration leaves the hashes empty, because it does not have
    the secret.

    Raises:
        NumbersUnreadable: the newest number of a table cannot be decrypted, so its key is missing.
        StoreUnavailable: the database does not respond.
    """
    for place in PLACES:
        async for batch in _batches(engine, place, place.table.c.phone_key.is_(None)):
            await _renew(engine, batch, numbers)
        newest = select(place.text).order_by(place.newest.desc()).limit(1)
        for row in await rows(engine, newest):
            numbers.opened(row[place.text])


async def survey(engine: AsyncEngine, numbers: Numbers) -> Counter[Condition]:
    """Count the stored numbers by their condition, without changes."""
    found: Counter[Condition] = Counter()
    for place in PLACES:
        async for batch in _batches(engine, place):
            found.update(numbers.condition(stored.text, stored.key) for stored in batch)
    return found


async def renew(engine: AsyncEngine, numbers: Numbers) -> Counter[Condition]:
    """Re-encrypt and rehash all stored numbers with the current keys.

    Returns:
        The numbers counted by their condition before.

    Raises:
        IntegrityError: a number has two users, and another table refers to the younger one.
        StoreUnavailable: the database does not respond.
    """
    found: Counter[Condition] = Counter()
    for place in PLACES:
        async for batch in _batches(engine, place):
            found += await _renew(engine, batch, numbers)
    await _empty_log(engine)
    return found


async def _batches(
    engine: AsyncEngine, place: Place, *which: ColumnElement[bool]
) -> AsyncIterator[Sequence[Stored]]:
    batch = await _batch(engine, place, which)
    while batch:
        yield batch
        batch = await _batch(engine, place, (*which, place.table.c.id > batch[-1].id))


async def _batch(
    engine: AsyncEngine, place: Place, which: Sequence[ColumnElement[bool]]
) -> list[Stored]:
    table, text = place.table, place.text
    query: Select[Any] = select(table.c.id, text, table.c.phone_key).where(*which)
    found = await rows(engine, query.order_by(table.c.id).limit(AT_ONCE))
    return [Stored(place, row[table.c.id], row[text], row[table.c.phone_key]) for row in found]


async def _renew(
    engine: AsyncEngine, batch: Sequence[Stored], numbers: Numbers
) -> Counter[Condition]:
    conditions = [numbers.condition(stored.text, stored.key) for stored in batch]
    due = [stored for stored, how in zip(batch, conditions, strict=True) if how in _DUE]
    if due:
        await transact(engine, partial(_write, due, numbers))
    return Counter(conditions)


async def _write(due: Sequence[Stored], numbers: Numbers, connection: AsyncConnection) -> None:
    table, text, _ = due[0].place
    phones = [numbers.opened(stored.text) for stored in due]
    keys = [numbers.key(phone) for phone in phones]
    if table is users:
        await _unite(connection, dict(zip((stored.id for stored in due), keys, strict=True)))
    changes = [
        {"row": stored.id, "sealed": numbers.sealed(phone), "key": key}
        for stored, phone, key in zip(due, phones, keys, strict=True)
    ]
    row = update(table).where(table.c.id == bindparam("row"))
    change = row.values({text: bindparam("sealed"), table.c.phone_key: bindparam("key")})
    await connection.execute(change, changes)


async def _unite(connection: AsyncConnection, keys: Mapping[int | str, str]) -> None:
    """Merge users who have, or are about to get, the same hash of *keys* (by user id).

    After a change of SECRET_KEY an existing user is not found, so the number gets a second user.
    """
    owners = defaultdict(set)
    for id_, key in keys.items():
        owners[key].add(id_)
    holders = select(users.c.id, users.c.phone_key).where(users.c.phone_key.in_(owners))
    for id_, key in await connection.execute(holders):
        owners[key].add(id_)
    for same in owners.values():
        if len(same) > 1:
            await _merge(connection, same)


async def _merge(connection: AsyncConnection, ids: Collection[int | str]) -> None:
    """Merge the users *ids* into the oldest one, with the time of the latest proof."""
    query = select(users).where(users.c.id.in_(ids)).order_by(users.c.id)
    oldest, *younger = same = (await connection.execute(query)).mappings().all()
    proofs = [user["phone_verified_at"] for user in same if user["phone_verified_at"]]
    values = {
        "phone_verified_at": max(proofs, default=None),
        "two_factor_enabled": any(user["two_factor_enabled"] for user in same),
    }
    await connection.execute(delete(users).where(users.c.id.in_([user["id"] for user in younger])))
    await connection.execute(update(users).where(users.c.id == oldest["id"]).values(values))


async def _empty_log(engine: AsyncEngine) -> None:
    """Truncate SQLite's write-ahead log, which still contains the old pages."""
    if engine.dialect.name == "sqlite":
        with store_errors():
            async with engine.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

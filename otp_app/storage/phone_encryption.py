"""Phone numbers in the database: encrypted, found by a keyed hash, and encrypted anew.

The app may run while all are encrypted anew: nothing it reads gets worse by it, and what was
done stays done if the walk is cut short.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter, defaultdict
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import bindparam, delete, select, update

from otp_app.errors import PhoneDecryptionFailed
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import store_errors
from otp_app.storage.tables import users, verifications

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Select, Table
    from sqlalchemy import Engine as SyncEngine

    from otp_app.storage.engine import Engine

_PLAINTEXT_PREFIX = (
    "+"  # prefix of a plaintext number in E.164; URL-safe base64, as in Fernet, has no "+"
)

log = structlog.get_logger(__name__)


class EncryptionState(StrEnum):
    """The state of a stored number, compared with the current keys."""

    CURRENT = "good"  # stored with the current keys
    PLAINTEXT = "clear"  # plaintext, although there is a key
    OLD_KEY = "old"  # encrypted with a key that is not the first
    WRONG_HASH_KEY = "foreign"  # its hash is missing, or was made with another key
    UNREADABLE = "lost"  # encrypted with none of the keys


class PhoneEncryption:
    """Encrypts, decrypts and hashes phone numbers.

    Args:
        hash_key: the key of the hash. A plain hash could be reversed by trying all phone numbers.
        keys: Fernet keys (https://github.com/fernet/spec). The first encrypts, all decrypt. Without
            keys, numbers are stored in plaintext.
    """

    def __init__(self, hash_key: bytes, keys: Sequence[str] = ()) -> None:
        self._hash_key = hash_key
        self._fernets = [Fernet(key) for key in keys]

    def search_key(self, phone: PhoneNumber) -> str:
        """Return the HMAC-SHA256 by which *phone* is found: 64 hexadecimal digits."""
        return self.keyed_hash("phone_key", phone.e164)

    def keyed_hash(self, kind: str, text: str) -> str:
        """Return the HMAC-SHA256 of *text*, in hexadecimal. Each *kind* has separate hashes."""
        labelled = f"{kind}\0{text}".encode()
        return hmac.digest(self._hash_key, labelled, hashlib.sha256).hex()

    def encrypt(self, phone: PhoneNumber) -> str:
        """Return *phone* as it is stored: at most 120 characters, different in each call.

        Without a key, this is the plaintext number in E.164.
        """
        if not self._fernets:
            return phone.e164
        return self._fernets[0].encrypt(phone.e164.encode()).decode()

    def decrypt(self, text: str) -> PhoneNumber:
        """Return the number that was stored as *text*.

        Raises:
            NumbersUnreadable: none of the keys decrypts it.
        """
        try:
            return self._decrypt(text, self._fernets)
        except InvalidToken:
            log.error("phone_decryption.failed", setting="PHONE_ENCRYPTION_KEYS")  # noqa: TRY400 - no detail in it
            raise PhoneDecryptionFailed from None

    def state(self, text: str, key: str | None) -> EncryptionState:
        """Return the state of a stored number, given its *text* and its hash *key*."""
        try:
            phone = self._decrypt(text, self._fernets)
        except InvalidToken:
            return EncryptionState.UNREADABLE
        if text.startswith(_PLAINTEXT_PREFIX) and self._fernets:
            return EncryptionState.PLAINTEXT
        if not self._is_newest(text):
            return EncryptionState.OLD_KEY
        return (
            EncryptionState.CURRENT
            if key == self.search_key(phone)
            else EncryptionState.WRONG_HASH_KEY
        )

    def _is_newest(self, text: str) -> bool:
        try:
            self._decrypt(text, self._fernets[:1])
        except InvalidToken:
            return False
        return True

    @staticmethod
    def _decrypt(text: str, fernets: Sequence[Fernet]) -> PhoneNumber:
        if text.startswith(_PLAINTEXT_PREFIX):
            return PhoneNumber(text)
        if not fernets:
            raise InvalidToken
        return PhoneNumber(MultiFernet(fernets).decrypt(text.encode()).decode())


AT_ONCE = 100
"""Rows of one transaction. A batch takes some milliseconds; the app waits a second for a lock."""

_OUTDATED = {EncryptionState.PLAINTEXT, EncryptionState.OLD_KEY, EncryptionState.WRONG_HASH_KEY}


class EncryptedColumn(NamedTuple):
    """A table with phone numbers.

    Attributes:
        text: the column of the stored numbers.
        newest: the column with the largest value in the newest row.
    """

    table: Table
    text: Column[str]
    newest: Column[Any]


ENCRYPTED_COLUMNS = (
    EncryptedColumn(verifications, verifications.c.phone, verifications.c.expires_at),
    EncryptedColumn(users, users.c.phone_number, users.c.id),
)


class StoredNumber(NamedTuple):
    """A stored number: its place, the id of its row, its text and its hash."""

    place: EncryptedColumn
    id: int | str
    text: str
    key: str | None


async def prepare_numbers(engine: Engine, numbers: PhoneEncryption) -> None:
    """Fill in missing hashes, and check that the newest numbers are readable.

    The app must not run before this: a migration leaves the hashes empty, because it does not have
    the secret.

    Raises:
        NumbersUnreadable: the newest number of a table cannot be decrypted, so its key is missing.
        StoreUnavailable: the database does not respond.
    """
    for place in ENCRYPTED_COLUMNS:
        async for batch in _batches(engine, place, place.table.c.phone_key.is_(None)):
            await _reencrypt_batch(engine, batch, numbers)
        newest = select(place.text).order_by(place.newest.desc()).limit(1)
        for row in await engine.rows(newest):
            numbers.decrypt(row[place.text])


async def count_states(engine: Engine, numbers: PhoneEncryption) -> Counter[EncryptionState]:
    """Count the stored numbers by their condition, without changes."""
    found: Counter[EncryptionState] = Counter()
    for place in ENCRYPTED_COLUMNS:
        async for batch in _batches(engine, place):
            found.update(numbers.state(stored.text, stored.key) for stored in batch)
    return found


async def reencrypt(engine: Engine, numbers: PhoneEncryption) -> Counter[EncryptionState]:
    """Re-encrypt and rehash all stored numbers with the current keys.

    Returns:
        The numbers counted by their condition before.

    Raises:
        IntegrityError: a number has two users, and another table refers to the younger one.
        StoreUnavailable: the database does not respond.
    """
    found: Counter[EncryptionState] = Counter()
    for place in ENCRYPTED_COLUMNS:
        async for batch in _batches(engine, place):
            found += await _reencrypt_batch(engine, batch, numbers)
    if engine.dialect.name == "sqlite":
        await asyncio.to_thread(_empty_log, engine.sync_engine)
    return found


async def _batches(
    engine: Engine, place: EncryptedColumn, *which: ColumnElement[bool]
) -> AsyncIterator[Sequence[StoredNumber]]:
    batch = await _batch(engine, place, which)
    while batch:
        yield batch
        batch = await _batch(engine, place, (*which, place.table.c.id > batch[-1].id))


async def _batch(
    engine: Engine, place: EncryptedColumn, which: Sequence[ColumnElement[bool]]
) -> list[StoredNumber]:
    table, text = place.table, place.text
    query: Select[Any] = select(table.c.id, text, table.c.phone_key).where(*which)
    found = await engine.rows(query.order_by(table.c.id).limit(AT_ONCE))
    return [
        StoredNumber(place, row[table.c.id], row[text], row[table.c.phone_key]) for row in found
    ]


async def _reencrypt_batch(
    engine: Engine, batch: Sequence[StoredNumber], numbers: PhoneEncryption
) -> Counter[EncryptionState]:
    conditions = [numbers.state(stored.text, stored.key) for stored in batch]
    due = [stored for stored, how in zip(batch, conditions, strict=True) if how in _OUTDATED]
    if due:
        await engine.write(partial(_write, due, numbers))
    return Counter(conditions)


def _write(due: Sequence[StoredNumber], numbers: PhoneEncryption, connection: Connection) -> None:
    table, text, _ = due[0].place
    phones = [numbers.decrypt(stored.text) for stored in due]
    keys = [numbers.search_key(phone) for phone in phones]
    if table is users:
        _unite(connection, dict(zip((stored.id for stored in due), keys, strict=True)))
    changes = [
        {"row": stored.id, "sealed": numbers.encrypt(phone), "key": key}
        for stored, phone, key in zip(due, phones, keys, strict=True)
    ]
    row = update(table).where(table.c.id == bindparam("row"))
    change = row.values({text: bindparam("sealed"), table.c.phone_key: bindparam("key")})
    connection.execute(change, changes)


def _unite(connection: Connection, keys: Mapping[int | str, str]) -> None:
    """Merge users who have, or are about to get, the same hash of *keys* (by user id).

    After a change of SECRET_KEY an existing user is not found, so the number gets a second user.
    """
    owners = defaultdict(set)
    for id_, key in keys.items():
        owners[key].add(id_)
    holders = select(users.c.id, users.c.phone_key).where(users.c.phone_key.in_(owners))
    for id_, key in connection.execute(holders):
        owners[key].add(id_)
    for same in owners.values():
        if len(same) > 1:
            _merge(connection, same)


def _merge(connection: Connection, ids: Collection[int | str]) -> None:
    """Merge the users *ids* into the oldest one, with the time of the latest proof."""
    query = select(users).where(users.c.id.in_(ids)).order_by(users.c.id)
    oldest, *younger = same = connection.execute(query).mappings().all()
    proofs = [user["phone_verified_at"] for user in same if user["phone_verified_at"]]
    values = {
        "phone_verified_at": max(proofs, default=None),
        "two_factor_enabled": any(user["two_factor_enabled"] for user in same),
    }
    connection.execute(delete(users).where(users.c.id.in_([user["id"] for user in younger])))
    connection.execute(update(users).where(users.c.id == oldest["id"]).values(values))


def _empty_log(engine: SyncEngine) -> None:
    """Truncate SQLite's write-ahead log, which still contains the old pages."""
    with store_errors(), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

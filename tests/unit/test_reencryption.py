"""Stored numbers under other keys: a rotation, an older database, another secret."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import structlog.testing
from alembic import command
from cryptography.fernet import Fernet
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError

from otp_app import bootstrap
from otp_app.config import SettingsError
from otp_app.errors import PhoneDecryptionFailed
from otp_app.phone import PhoneNumber
from otp_app.storage import migrations, phone_encryption
from otp_app.storage.engine import migrate, open_engine
from otp_app.storage.phone_encryption import (
    EncryptionState,
    PhoneEncryption,
    count_states,
    prepare_numbers,
    reencrypt,
)
from otp_app.storage.store import SqlAuditStore, SqlStore
from otp_app.storage.tables import sha256_hex, users, verifications
from otp_app.verification.models import Channel, Flow, Reference, Status, Verification
from tests.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Executable, RowMapping

    from otp_app.storage.engine import Engine

pytestmark = pytest.mark.databases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SECRET, OTHER_SECRET = b"secret of the tests", b"the secret before it"
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
CLEAR = PhoneEncryption(SECRET)
BEFORE = PhoneEncryption(SECRET, [OLD])
BOTH = PhoneEncryption(SECRET, [NEW, OLD])
AFTER = PhoneEncryption(SECRET, [NEW])
PHONE, OTHER_PHONE = PhoneNumber("+14155552671"), PhoneNumber("+447400123456")


@pytest.fixture
def engine(sql_store: SqlStore) -> Engine:
    return sql_store.engine


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read and write 20 numbers at once, so that few numbers make several batches."""
    monkeypatch.setattr(phone_encryption, "AT_ONCE", 20)


def verification(number: int = 0, phone: PhoneNumber = PHONE) -> Verification:
    return Verification(
        id=f"id-{number:04}",
        flow=Flow(f"flow-{number}"),
        phone=phone,
        provider="twilio",
        channel=Channel.SMS,
        status=Status.PENDING,
        attempts_left=5,
        sends=1,
        sent_at=NOW,
        resend_at=NOW,
        expires_at=NOW + timedelta(minutes=10),
        reference=Reference(f"reference-{number}"),
    )


async def prove(store: SqlStore, number: int = 0, phone: PhoneNumber = PHONE) -> None:
    await store.reserve(verification(number, phone))
    assert await store.approve(verification(number).id, NOW + timedelta(seconds=number))


async def all_users(engine: Engine) -> list[RowMapping]:
    async with connected(engine) as connection:
        return list((await connection.execute(select(users).order_by(users.c.id))).mappings())


async def execute(engine: Engine, *statements: Executable) -> None:
    async with connected(engine) as connection:
        for statement in statements:
            await connection.execute(statement)


def files(folder: Path) -> bytes:
    """The database with its log: all that a thief of files would have."""
    return b"".join(file.read_bytes() for file in folder.glob("otp.db*"))


async def test_after_a_rotation_the_new_key_is_enough(engine: Engine) -> None:
    await prove(SqlStore(engine, BEFORE))

    assert await reencrypt(engine, BOTH) == Counter({EncryptionState.OLD_KEY: 2})
    assert await count_states(engine, AFTER) == Counter({EncryptionState.CURRENT: 2})
    latest = await SqlStore(engine, AFTER).latest(Flow("flow-0"))
    assert latest
    assert latest.phone == PHONE


async def test_a_second_rotation_finds_nothing_to_do(engine: Engine) -> None:
    await prove(SqlStore(engine, BEFORE))
    await reencrypt(engine, BOTH)
    async with connected(engine) as connection:
        before = (await connection.execute(select(verifications.c.phone))).all()

    assert await reencrypt(engine, BOTH) == Counter({EncryptionState.CURRENT: 2})
    async with connected(engine) as connection:
        assert (await connection.execute(select(verifications.c.phone))).all() == before


async def test_without_keys_sealed_numbers_stay_sealed(engine: Engine) -> None:
    await prove(SqlStore(engine, BEFORE))

    assert await reencrypt(engine, CLEAR) == Counter({EncryptionState.UNREADABLE: 2})
    assert await count_states(engine, BEFORE) == Counter({EncryptionState.CURRENT: 2})


async def test_what_no_key_opens_is_left_and_does_not_stop_the_rest(engine: Engine) -> None:
    await prove(SqlStore(engine, PhoneEncryption(SECRET, [Fernet.generate_key().decode()])))
    await prove(SqlStore(engine, BEFORE), 1, OTHER_PHONE)

    assert await reencrypt(engine, BOTH) == Counter(
        {EncryptionState.OLD_KEY: 2, EncryptionState.UNREADABLE: 2}
    )
    assert await count_states(engine, AFTER) == Counter(
        {EncryptionState.CURRENT: 2, EncryptionState.UNREADABLE: 2}
    )


@pytest.mark.usefixtures("small_batches")
@pytest.mark.sqlite
async def test_what_was_cut_short_is_gone_on_with(engine: Engine) -> None:
    store = SqlStore(engine, CLEAR)
    for number in range(50):
        await store.reserve(verification(number))
    refuse = "CREATE TRIGGER refuse BEFORE UPDATE ON verifications WHEN NEW.id = 'id-0030'"
    await execute(engine, text(f"{refuse} BEGIN SELECT RAISE(ABORT, 'cut short'); END"))

    with pytest.raises(IntegrityError):
        await reencrypt(engine, BOTH)
    assert await count_states(engine, BOTH) == Counter(
        {EncryptionState.CURRENT: 20, EncryptionState.PLAINTEXT: 30}
    )
    await execute(engine, text("DROP TRIGGER refuse"))

    assert await reencrypt(engine, BOTH) == Counter(
        {EncryptionState.CURRENT: 20, EncryptionState.PLAINTEXT: 30}
    )
    assert await count_states(engine, BOTH) == Counter({EncryptionState.CURRENT: 50})


@pytest.mark.usefixtures("small_batches")
async def test_the_app_works_while_numbers_are_rotated(engine: Engine, database_url: str) -> None:
    for number in range(60):
        await SqlStore(engine, BEFORE).reserve(verification(number))
    command_line = open_engine(database_url)
    store = SqlStore(engine, BOTH)

    rotation = asyncio.create_task(reencrypt(command_line, BOTH))
    for number in range(60, 75):
        await prove(store, number)
        assert await store.take_attempt(f"id-{number - 30:04}", Flow(f"flow-{number - 30}"), NOW)
    await rotation

    assert await count_states(engine, AFTER) == Counter({EncryptionState.CURRENT: 76})
    assert len(await all_users(engine)) == 1
    await command_line.dispose()


@pytest.mark.parametrize("numbers", [BEFORE, BOTH])
@pytest.mark.sqlite
async def test_no_file_of_a_sealed_database_has_a_number(
    engine: Engine, tmp_path: Path, numbers: PhoneEncryption
) -> None:
    await prove(SqlStore(engine, numbers))
    stored = files(tmp_path)

    assert (tmp_path / "otp.db-wal").stat().st_size > 0
    assert numbers.search_key(PHONE).encode() in stored
    assert b"4155552671" not in stored


@pytest.mark.usefixtures("small_batches")
@pytest.mark.sqlite
async def test_what_stood_in_the_clear_is_in_no_file_after_a_rotation(
    engine: Engine, tmp_path: Path
) -> None:
    for number in range(50):
        await prove(SqlStore(engine, CLEAR), number)
    assert b"4155552671" in files(tmp_path)

    assert await reencrypt(engine, AFTER) == Counter({EncryptionState.PLAINTEXT: 51})

    assert b"4155552671" not in files(tmp_path)


@pytest.mark.sqlite
async def test_what_is_forgotten_is_in_no_file(engine: Engine, tmp_path: Path) -> None:
    store = SqlStore(engine, CLEAR)
    await store.reserve(verification())

    await store.forget(LATER)
    await engine.dispose()

    assert b"4155552671" not in files(tmp_path)


async def test_a_number_that_is_proved_again_is_sealed_with_the_first_key(
    engine: Engine,
) -> None:
    await prove(SqlStore(engine, BEFORE))

    await prove(SqlStore(engine, BOTH), 1)

    (user,) = await all_users(engine)
    assert AFTER.decrypt(user["phone_number"]) == PHONE


async def test_a_number_that_cannot_be_opened_is_not_approved(engine: Engine) -> None:
    await SqlStore(engine, BEFORE).reserve(verification())
    store = SqlStore(engine, AFTER)

    with pytest.raises(PhoneDecryptionFailed):
        await store.approve(verification().id, NOW)
    with pytest.raises(PhoneDecryptionFailed):
        await store.latest(Flow("flow-0"))

    assert await SqlStore(engine, BEFORE).latest(Flow("flow-0")) == verification()
    assert await all_users(engine) == []


async def test_another_secret_finds_its_users_once_the_keys_are_renewed(
    engine: Engine,
) -> None:
    await prove(SqlStore(engine, PhoneEncryption(OTHER_SECRET, [NEW])))

    assert await reencrypt(engine, AFTER) == Counter({EncryptionState.WRONG_HASH_KEY: 2})
    await prove(SqlStore(engine, AFTER), 1)

    assert len(await all_users(engine)) == 1
    assert len(await SqlStore(engine, AFTER).of_number(PHONE, 5)) == 2


@pytest.mark.parametrize("secrets", [(OTHER_SECRET, SECRET), (SECRET, OTHER_SECRET), (b"1", b"2")])
async def test_a_number_that_became_two_users_is_one_again(
    engine: Engine, secrets: tuple[bytes, bytes]
) -> None:
    for number, secret in enumerate(secrets):
        await prove(SqlStore(engine, PhoneEncryption(secret, [NEW])), number)
        await execute(engine, update(users).values(two_factor_enabled=number == 0))
    first, second = await all_users(engine)
    second_user = update(users).where(users.c.id == second["id"])
    await execute(engine, second_user.values(two_factor_enabled=True))

    await reencrypt(engine, AFTER)

    (user,) = await all_users(engine)
    assert (user["id"], user["created_at"]) == (first["id"], first["created_at"])
    assert user["phone_verified_at"] == second["phone_verified_at"] > first["phone_verified_at"]
    assert user["two_factor_enabled"] is True
    assert await count_states(engine, AFTER) == Counter({EncryptionState.CURRENT: 3})


async def test_the_start_refuses_numbers_that_it_cannot_open(engine: Engine) -> None:
    await SqlStore(engine, BEFORE).reserve(verification())

    await prepare_numbers(engine, BOTH)
    with pytest.raises(PhoneDecryptionFailed):
        await prepare_numbers(engine, AFTER)
    with pytest.raises(SettingsError) as raised:
        await bootstrap._prepare_numbers(engine, AFTER)

    assert str(raised.value).startswith("PHONE_ENCRYPTION_KEYS: ")
    assert not [key for key in (OLD, NEW, "4155552671") if key in str(raised.value)]


async def test_the_start_does_not_seal_what_stands_in_the_clear(engine: Engine) -> None:
    """Encryption of plaintext rows would take long, and can be done while the app runs."""
    await prove(SqlStore(engine, CLEAR))

    await prepare_numbers(engine, AFTER)

    assert await count_states(engine, AFTER) == Counter({EncryptionState.PLAINTEXT: 2})


OLD_ROWS = (
    "INSERT INTO verifications VALUES ('id-0001', :flow, '+14155552671', 'twilio', 'sms',"
    " 'pending', 5, 1, :now, :now, :end, 'reference-1', :now, NULL, false)",
    "INSERT INTO users VALUES (7, '+14155552671', :now, true, :now)",
    # A table of somebody else that refers to a table of the app.
    "CREATE TABLE others (id TEXT REFERENCES verifications (id) ON DELETE CASCADE)",
    "INSERT INTO others VALUES ('id-0001')",
)
"""A database before 0005."""


@pytest.fixture
async def migrated_engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """An old database with rows, brought up to date."""
    url = f"sqlite:///{tmp_path}/old/otp.db"
    engine = open_engine(url)
    values = {"flow": sha256_hex(Flow("flow-1")), "now": "2026-03-01 12:00:00.000000"}
    values["end"] = "2026-03-01 12:10:00.000000"
    async with connected(engine) as connection:
        await connection.run_sync(lambda bound: command.upgrade(migrations.config(bound), "0002"))
        for row in OLD_ROWS:
            names = re.findall(":([a-z]+)", row)
            await connection.execute(text(row), {name: values[name] for name in names})
    await engine.dispose()
    await migrate(url)
    engine = open_engine(url)
    yield engine
    await engine.dispose()


@pytest.mark.parametrize("numbers", [CLEAR, AFTER])
async def test_the_rows_of_an_older_version_are_found(
    migrated_engine: Engine, numbers: PhoneEncryption
) -> None:
    store = SqlStore(migrated_engine, numbers)

    await prepare_numbers(migrated_engine, numbers)

    assert await count_states(migrated_engine, numbers) == Counter({EncryptionState.CURRENT: 2})
    assert await store.latest(Flow("flow-1")) == verification(1)
    assert await store.approve("id-0001", LATER)
    (user,) = await all_users(migrated_engine)
    assert (user["id"], user["two_factor_enabled"]) == (7, True)
    assert (user["created_at"], user["phone_verified_at"]) == (NOW, LATER)
    assert [found.id for found in await store.of_number(PHONE, 5)] == ["id-0001"]


async def test_a_migration_leaves_what_refers_to_our_rows(migrated_engine: Engine) -> None:
    async with connected(migrated_engine) as connection:
        assert (await connection.scalars(text("SELECT id FROM others"))).all() == ["id-0001"]
        assert (await connection.execute(text("PRAGMA foreign_key_check"))).all() == []


async def test_an_older_version_leaves_no_number_in_the_files(
    migrated_engine: Engine, tmp_path: Path
) -> None:
    await prepare_numbers(migrated_engine, AFTER)
    await reencrypt(migrated_engine, AFTER)

    assert AFTER.search_key(PHONE).encode() in files(tmp_path / "old")
    assert b"4155552671" not in files(tmp_path / "old")


@pytest.fixture
async def older_engine(tmp_path: Path) -> AsyncIterator[Engine]:
    """A database before 0011, whose hashes were made in another way."""
    engine = open_engine(f"sqlite:///{tmp_path}/older/otp.db")
    async with connected(engine) as connection:
        await connection.run_sync(lambda bound: command.upgrade(migrations.config(bound), "0010"))
    yield engine
    await engine.dispose()


CHANGE = "ALTER TABLE verifications"
LATER_COLUMNS = ("source", "counted_at")


@pytest.mark.parametrize("keys", [[], [NEW]])
async def test_the_start_hashes_the_numbers_of_an_older_version_anew(
    older_engine: Engine, tmp_path: Path, keys: list[str]
) -> None:
    before, after = PhoneEncryption(OTHER_SECRET, keys), PhoneEncryption(SECRET, keys)
    await execute(older_engine, *(text(f"{CHANGE} ADD {name}") for name in LATER_COLUMNS))
    for number in range(150):  # more than one batch
        await prove(SqlStore(older_engine, before), number)
    await prove(SqlStore(older_engine, before), 150, OTHER_PHONE)
    await execute(older_engine, *(text(f"{CHANGE} DROP {name}") for name in LATER_COLUMNS))

    with structlog.testing.capture_logs() as logged:
        await migrate(f"sqlite:///{tmp_path}/older/otp.db")
    await prepare_numbers(older_engine, after)

    assert logged == []
    assert await count_states(older_engine, after) == Counter({EncryptionState.CURRENT: 153})
    assert len(await SqlStore(older_engine, after).of_number(PHONE, 1000)) == 150
    await prove(SqlStore(older_engine, after), 151)
    assert len(await all_users(older_engine)) == 2


async def test_an_upgrade_that_forgets_the_uses_of_limits_says_so(
    older_engine: Engine, tmp_path: Path
) -> None:
    now = datetime.now(UTC).timestamp()
    hit = "INSERT INTO limit_hits (key, at, ends, batch) VALUES ('key', 0, :ends, 'batch')"
    async with connected(older_engine) as connection:
        for ends in (now - 60, now + 3600, now + 86400):
            await connection.execute(text(hit), {"ends": ends})

    with structlog.testing.capture_logs() as logged:
        await migrate(f"sqlite:///{tmp_path}/older/otp.db")

    assert logged == [{"event": "limit.uses_forgotten", "log_level": "warning", "uses": 2}]


async def test_the_calls_for_a_number_are_found_after_a_change_of_the_key(
    engine: Engine,
) -> None:
    before, after = (PhoneEncryption(key, [NEW]) for key in (OTHER_SECRET, SECRET))
    for number, phone in enumerate((PHONE, OTHER_PHONE)):
        await SqlStore(engine, before).reserve(verification(number, phone))

    await reencrypt(engine, after)

    assert len(await SqlAuditStore(engine, after).of_number(PHONE, 5)) == 1
    assert await SqlAuditStore(engine, PhoneEncryption(b"other")).of_number(PHONE, 5) == []


async def test_the_migration_can_be_taken_back(migrated_engine: Engine) -> None:
    async with connected(migrated_engine) as connection:
        await connection.run_sync(lambda bound: command.downgrade(migrations.config(bound), "0002"))
        row = (await connection.execute(text("SELECT * FROM users"))).mappings().one()

    assert row["phone_number"] == PHONE.e164
    assert "phone_key" not in row

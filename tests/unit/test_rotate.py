"""The output and exit codes of `python -m otp_app rotate`; `test_reencryption` has its effects."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import text

from otp_app.__main__ import main
from otp_app.phone import PhoneNumber
from otp_app.storage.phone_encryption import PhoneEncryption, count_states
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow
from tests.database import connected
from tests.fakes import RIGHT
from tests.unit.conftest import NUMBER_KEY, SECRET

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from otp_app.storage.store import SqlStore
    from otp_app.verification.service import VerificationService

    Rotate = Callable[..., Awaitable[tuple[int, str]]]

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
PHONE = PhoneNumber("+14155552671")
ME = Client(Flow("flow"), "203.0.113.7")


@pytest.fixture
def rotate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Rotate:
    """The command, beside the event loop of the test: its exit code, and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/otp.db")
    monkeypatch.setenv("SECRET_KEY", SECRET.decode())

    async def run(**environment: str) -> tuple[int, str]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = await asyncio.to_thread(main, ["rotate"])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
async def proved(verifications: VerificationService, sql_store: SqlStore) -> VerificationService:
    """A number that was verified, under the old key."""
    store = replace(sql_store, encryption=PhoneEncryption(NUMBER_KEY, [OLD]))
    service = replace(verifications, store=store)
    started = await service.start(ME, PHONE, Channel.SMS)
    await service.check(ME, started.id, RIGHT)
    return service


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@pytest.mark.usefixtures("proved")
async def test_it_tells_how_many_were_renewed(rotate: Rotate, sql_store: SqlStore) -> None:
    first = await rotate(PHONE_ENCRYPTION_KEYS=f"{NEW},{OLD}")
    second = await rotate(PHONE_ENCRYPTION_KEYS=NEW)

    said = "Numbers, encrypted with the first of PHONE_ENCRYPTION_KEYS: "
    assert first == (0, f"{said}2 renewed, 0 unchanged, 0 cannot be decrypted\n")
    assert second == (0, f"{said}0 renewed, 2 unchanged, 0 cannot be decrypted\n")
    now = PhoneEncryption(NUMBER_KEY, [NEW])
    assert (await count_states(sql_store.engine, now)).keys() == {"good"}


@pytest.mark.usefixtures("proved")
@pytest.mark.parametrize("keys", ["", NEW])
async def test_what_cannot_be_opened_is_a_failure(rotate: Rotate, keys: str) -> None:
    code, told = await rotate(PHONE_ENCRYPTION_KEYS=keys)

    assert code == 1
    assert "0 renewed, 0 unchanged, 2 cannot be decrypted\n" in told
    assert "Add their key" in told


@pytest.mark.usefixtures("sql_store")
async def test_without_keys_it_says_that_numbers_stand_in_the_clear(rotate: Rotate) -> None:
    code, told = await rotate()

    assert code == 0
    assert told.startswith("Numbers, not encrypted, because no key is set: 0 renewed")


@pytest.mark.usefixtures("proved")
async def test_a_user_who_cannot_be_united_is_explained(
    rotate: Rotate, verifications: VerificationService, sql_store: SqlStore
) -> None:
    store = replace(sql_store, encryption=PhoneEncryption(b"the secret of a day", [OLD]))
    service = replace(verifications, store=store)
    started = await service.start(replace(ME, flow=Flow("other")), PHONE, Channel.SMS)
    await service.check(replace(ME, flow=Flow("other")), started.id, RIGHT)
    async with connected(sql_store.engine) as connection:
        await connection.execute(text("CREATE TABLE orders (by INTEGER REFERENCES users (id))"))
        await connection.execute(text("INSERT INTO orders VALUES (2)"))

    code, told = await rotate(PHONE_ENCRYPTION_KEYS=OLD)

    assert code == 1
    assert told.startswith("users: two rows have the same number")


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DATABASE_URL": "sqlite:///not-there.db"}, "DATABASE_URL: "),
        ({"DATABASE_URL": "canary:canary"}, "DATABASE_URL: "),
        ({"SECRET_KEY": ""}, "SECRET_KEY: "),
        ({"PHONE_ENCRYPTION_KEYS": "canary"}, "PHONE_ENCRYPTION_KEYS: "),
    ],
)
async def test_without_what_it_needs_it_says_so_and_makes_nothing(
    rotate: Rotate, tmp_path: Path, environment: dict[str, str], named: str
) -> None:
    code, told = await rotate(**environment)

    assert code == 1
    assert named in told
    assert "canary" not in told
    assert files(tmp_path) == []

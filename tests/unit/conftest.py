"""The domain on its real store, with a fake provider and a clock that ticks when told."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings

from otp_app.identity.keyring import Keyring, Purpose
from otp_app.storage import engine as engine_module
from otp_app.storage.engine import open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlStore
from otp_app.verification.service import VerificationService
from tests.emulator import Clock
from tests.fakes import FakeProvider
from tests.unit import commands as commands_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from otp_app.storage.engine import Engine
    from tests.postgres import Databases
    from tests.unit.commands import Commands

SECRET = b"canary-secret-canary-secret-canary-secret"
NUMBER_KEY = Keyring(SECRET).subkey(Purpose.STORED_NUMBER)
LIMIT_KEY = Keyring(SECRET).subkey(Purpose.LIMIT)


def pytest_configure(config: pytest.Config) -> None:
    """Set how hypothesis makes examples: the same ones in each run, so that no run is luckier."""
    examples = 300 if config.getoption("nightly") else 60
    settings.register_profile(
        "unit", derandomize=True, deadline=None, database=None, max_examples=examples
    )
    settings.load_profile("unit")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests marked `databases` on both databases, except for those marked `sqlite`."""
    marker = metafunc.definition.get_closest_marker
    if "dialect" in metafunc.fixturenames and marker("databases") and not marker("sqlite"):
        metafunc.parametrize("dialect", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """Yield a process that runs command lines of the app."""
    with commands_module.commands() as process:
        yield process


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines that are opened from here on wait long for the database, for a busy machine."""
    monkeypatch.setattr(engine_module, "PATIENCE", 20.0)


@pytest.fixture
def dialect(request: pytest.FixtureRequest) -> str:
    """Return the kind of database of the test."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def database_url(dialect: str, request: pytest.FixtureRequest) -> str:
    """Return the address of an empty database with all tables."""
    if dialect == "sqlite":
        migrated = request.getfixturevalue("migrated")
        return f"sqlite:///{shutil.copy(migrated, request.getfixturevalue('tmp_path'))}"
    databases: Databases = request.getfixturevalue("databases")
    return databases.empty()


@pytest_asyncio.fixture
async def store_engine(
    database_url: str, dialect: str, request: pytest.FixtureRequest
) -> AsyncIterator[Engine]:
    """Yield an engine on an empty database with all tables."""
    if dialect == "sqlite":
        engine = open_engine(database_url)
        yield engine
        await engine.dispose()
    else:
        engine = request.getfixturevalue("databases").engine()
        yield engine
        await engine.writer.stop()


@pytest.fixture
def sql_store(patient: None, store_engine: Engine) -> SqlStore:
    del patient
    return SqlStore(store_engine, PhoneEncryption(NUMBER_KEY))


@pytest.fixture
def verifications(sql_store: SqlStore, provider: FakeProvider, clock: Clock) -> VerificationService:
    """The service without limits; the tests of limits put their own."""
    limiter = SqlLimiter(sql_store.engine, LIMIT_KEY)
    providers = {provider.name: provider}
    return VerificationService(sql_store, limiter, providers, provider.name, clock.now, limits=())

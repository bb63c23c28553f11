"""The environment of every test process, set before the app is imported."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import random
import tempfile
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.logs import Lines, in_production

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.browser.server import Site
    from tests.postgres import Databases

_FOLDER = tempfile.TemporaryDirectory(prefix="otp-app-tests-")  # removed when the process ends

for name in [*os.environ]:  # settings of the shell must not reach the tests
    if name.startswith(
        ("LIMIT_", "NUMBER_LOOKUP", "BRAND_", "WEBHOOK_", "OTEL_", "VONAGE_", "TWILIO_")
    ) or name in {
        "PUBLIC_URL",
        "CHANNELS",
        "ALLOWED_COUNTRIES",
        "DEFAULT_COUNTRY",
        "OTP_LOCALE",
        "PHONE_ENCRYPTION_KEYS",
        "RETENTION_DAYS",
        "HELP_URL",
        "PRIVACY_URL",
        "TERMS_URL",
        "METRICS_TOKEN",
        "TRUSTED_PROXY_HOPS",
        "SOCKETS_PER_ADDRESS",
        "HTTP_POSTS_PER_SECOND",
        "HTTP_READS_PER_SECOND",
        "REFUSAL_MEMORY_SECONDS",
        "SOCKETS_IN_ALL",
        "API_PUBLIC",
        "WORKERS",
        "REDIS_URL",
    }:
        del os.environ[name]

API_KEYS = {name: f"otp_{name}_only-for-tests" for name in ("shop", "bank")}
_HASHES = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in API_KEYS.items()}
FRONT_END = "https://front.example"

os.environ |= {
    "PYTHON_DOTENV_DISABLED": "1",  # a developer's .env must not reach the tests
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
    "DATABASE_URL": f"sqlite:///{_FOLDER.name}/otp.db",
    "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
    "OTP_PROVIDER": "console",
    "APP_ENV": "development",
    "PORT": "3000",
    "ALLOWED_ORIGINS": FRONT_END,
    "API_KEYS": ",".join(f"{name}:{hashed}" for name, hashed in _HASHES.items()),
    "HYPOTHESIS_STORAGE_DIRECTORY": _FOLDER.name,  # no run may depend on examples of an earlier one
}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this test suite."""
    parser.addoption("--nightly", action="store_true", help="the full matrix, and more examples")
    parser.addoption("--shuffle", type=int, metavar="SEED", help="folders, files, tests at random")


def pytest_collection_finish() -> None:
    """Keep all imported objects out of garbage collections, which would visit them each time."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out nightly tests unless they are wanted, and shuffle the rest by option."""
    if not config.getoption("nightly") and not any("::" in name for name in config.args):
        left_out = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=left_out)
    if (seed := config.getoption("shuffle")) is not None:
        items[:] = shuffled(items, random.Random(seed))


def shuffled(items: Iterable[pytest.Item], chance: random.Random) -> list[pytest.Item]:
    """Return *items* in random order. Tests of a file, and files of a folder, stay together."""
    files = [list(tests) for _, tests in groupby(items, key=lambda item: item.path)]
    folders = [list(group) for _, group in groupby(files, key=lambda tests: tests[0].path.parent)]
    chance.shuffle(folders)
    for folder in folders:
        chance.shuffle(folder)
        for tests in folder:
            chance.shuffle(tests)
    return [test for folder in folders for tests in folder for test in tests]


@pytest.fixture(scope="session")
def sites() -> Iterator[dict[str, Site]]:
    """Return the sites with built pages, by provider. Twilio and Vonage share one."""
    from tests.browser.server import Site  # it imports the app

    with tempfile.TemporaryDirectory(prefix="otp_app-") as folder:
        for name in ("console", "services"):
            Path(folder, name).mkdir()
        services = Site.new(Path(folder, "services"))
        console = Site.new(Path(folder, "console"))
        yield {"console": console, "twilio": services, "vonage": services}


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty database to copy: to migrate takes longer than most tests."""
    from otp_app.storage.engine import migrate  # it imports the app

    path = tmp_path_factory.mktemp("migrated") / "otp.db"
    asyncio.run(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Start PostgreSQL when the first test needs it, with databases for the tests."""
    from tests.postgres import Databases, postgres_server  # it imports the app

    with postgres_server() as server:
        found = Databases(server)
        found.prepare()
        yield found
        found.pool.dispose()


@pytest.fixture
def production_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    with in_production():
        yield Lines(capsys)


@pytest.fixture
def debug_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Return the lines of production's log, with every logger at DEBUG."""
    with in_production(debug=True):
        yield Lines(capsys)

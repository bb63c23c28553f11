"""What every test process needs before it imports the app."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.logs import Lines, in_production

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = tempfile.TemporaryDirectory(prefix="otp-app-tests-")  # gone when the process ends

for name in [*os.environ]:  # nor do settings of the shell
    if name.startswith(("LIMIT_", "LOOK", "OTEL_", "VONAGE_", "TWILIO_")) or name in {
        "PUBLIC_URL",
        "ALLOWED_COUNTRIES",
        "DEFAULT_COUNTRY",
        "OTP_LOCALE",
        "NUMBER_KEYS",
        "KEEP_DAYS",
        "METRICS_TOKEN",
        "TRUSTED_PROXY_HOPS",
        "SOCKETS_PER_ADDRESS",
    }:
        del os.environ[name]

os.environ |= {
    "PYTHON_DOTENV_DISABLED": "1",  # a developer's own .env stays out of it
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
    "DATABASE_URL": f"sqlite:///{_FOLDER.name}/otp.db",
    "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
    "OTP_PROVIDER": "console",
    "APP_ENV": "development",
    "PORT": "3000",
}


@pytest.fixture
def production_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    with in_production():
        yield Lines(capsys)


@pytest.fixture
def debug_log(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The log of production, with every logger there is at DEBUG."""
    with in_production(debug=True):
        yield Lines(capsys)

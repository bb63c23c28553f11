"""What every test process needs before it imports the app."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.logs import Lines, in_production

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = tempfile.TemporaryDirectory(prefix="otp-app-tests-")  # gone when the process ends

for name in [*os.environ]:  # nor do settings of the shell
    if name.startswith(
        ("LIMIT_", "LOOK", "BRAND_", "EVENTS_", "OTEL_", "VONAGE_", "TWILIO_")
    ) or name in {
        "PUBLIC_URL",
        "CHANNELS",
        "ALLOWED_COUNTRIES",
        "DEFAULT_COUNTRY",
        "OTP_LOCALE",
        "NUMBER_KEYS",
        "KEEP_DAYS",
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
    }:
        del os.environ[name]

API_KEYS = {name: f"otp_{name}_only-for-tests" for name in ("shop", "bank")}
_HASHES = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in API_KEYS.items()}
FRONT_END = "https://front.example"

os.environ |= {
    "PYTHON_DOTENV_DISABLED": "1",  # a developer's own .env stays out of it
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
    "DATABASE_URL": f"sqlite:///{_FOLDER.name}/otp.db",
    "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
    "OTP_PROVIDER": "console",
    "APP_ENV": "development",
    "PORT": "3000",
    "ALLOWED_ORIGINS": FRONT_END,
    "API_KEYS": ",".join(f"{name}:{hashed}" for name, hashed in _HASHES.items()),
    "HYPOTHESIS_STORAGE_DIRECTORY": _FOLDER.name,  # it keeps nothing that a run could depend on
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

"""What every test process needs before it imports the app."""

from __future__ import annotations

import os
import tempfile

_FOLDER = tempfile.TemporaryDirectory(prefix="otp-app-tests-")  # gone when the process ends

for name in [*os.environ]:  # nor do settings of the shell
    if name.startswith(("LIMIT_", "VONAGE_", "TWILIO_")) or name in {
        "PUBLIC_URL",
        "ALLOWED_COUNTRIES",
        "DEFAULT_COUNTRY",
        "OTP_LOCALE",
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
    "HYPOTHESIS_STORAGE_DIRECTORY": _FOLDER.name,  # it keeps nothing that a run could depend on
}

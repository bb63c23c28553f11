"""What every test process needs before it imports the app."""

from __future__ import annotations

import os
import tempfile

_FOLDER = tempfile.TemporaryDirectory(prefix="otp-app-tests-")  # gone when the process ends

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

"""What every test process needs before it imports the app."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_FOLDER = Path(tempfile.mkdtemp(prefix="otp-app-tests-"))

os.environ |= {
    "PYTHON_DOTENV_DISABLED": "1",  # a developer's own .env stays out of it
    "REFLEX_TELEMETRY_ENABLED": "false",
    "REFLEX_CHECK_LATEST_VERSION": "false",
    "DATABASE_URL": f"sqlite:///{_FOLDER / 'otp.db'}",
    "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
    "OTP_PROVIDER": "console",
    "APP_ENV": "development",
    "PORT": "3000",
}

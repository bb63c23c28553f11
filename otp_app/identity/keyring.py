"""The secret of the app: the setting SECRET_KEY, or in development a file that the app creates."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.config import Settings

SECRET_FILE = Path(".data/secret_key")


def secret_key(settings: Settings) -> str:
    """Return the key of our signatures. In development a key is created and kept in a file."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value()
    SECRET_FILE.parent.mkdir(mode=0o700, exist_ok=True)
    if not SECRET_FILE.exists():
        _write_secret()
    return SECRET_FILE.read_text()


def _write_secret() -> None:
    """Create `SECRET_FILE` atomically. If two processes do so, the file of the first one stays."""
    with NamedTemporaryFile("w", dir=SECRET_FILE.parent) as file:  # mode 0600
        file.write(secrets.token_urlsafe(48))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, SECRET_FILE)

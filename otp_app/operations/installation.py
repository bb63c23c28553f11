"""What the commands need of an installation, as the app finds it; nothing is made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from otp_app.bootstrap import SECRET_FILE
from otp_app.errors import StoreUnavailable
from otp_app.storage.engine import open_engine
from otp_app.storage.numbers import Numbers

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from otp_app.config import Settings

NO_DATABASE = "DATABASE_URL: no migrated database answers. python -m otp_app doctor tells more"
NO_SECRET = (
    f"SECRET_KEY: is not set and {SECRET_FILE} is not there. Numbers and limits are kept under\n"
    "keys made with it, so run this where the app runs and with its settings"
)


def open_existing(settings: Settings) -> AsyncEngine:
    """The database.

    Raises:
        StoreUnavailable: its file is not there, and an engine would make it.
        ValueError: it is no database that the app can use.
    """
    url = settings.database_url.get_secret_value()
    file = sqlite_file(url)
    if file and not file.exists():
        raise StoreUnavailable
    return open_engine(url)


def sqlite_file(url: str) -> Path | None:
    """The file that *url* names, if it names one. Opening an engine would make it."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_sqlite = parsed.drivername.startswith("sqlite")
    return Path(parsed.database) if is_sqlite and parsed.database else None


def find_secret(settings: Settings) -> bytes | None:
    """The setting's, else the one that the app made."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value().encode()
    return SECRET_FILE.read_bytes() if SECRET_FILE.exists() else None


def find_numbers(settings: Settings) -> Numbers | None:
    """How the app stores numbers; None if its secret is not here."""
    secret = find_secret(settings)
    return Numbers(secret, settings.number_key_list) if secret else None

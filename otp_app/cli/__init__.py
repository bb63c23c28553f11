"""The operator's commands, and the parts that they share: the installation and the output.

Each command is a module or a package, except `key` and `message`, which use no database and are in
`otp_app/__main__.py`. Only `rotate` and `events retry` change anything.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from otp_app.errors import StoreUnavailable
from otp_app.identity.keyring import SECRET_FILE, Purpose, find_keyring
from otp_app.storage.engine import open_engine
from otp_app.storage.phone_encryption import PhoneEncryption

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from otp_app.config import Settings
    from otp_app.storage.engine import Engine
    from otp_app.verification.limits import Limit

NO_DATABASE = (
    "DATABASE_URL: there is no migrated database. Run python -m otp_app doctor for details"
)
NO_SECRET = (
    f"SECRET_KEY: is not set and {SECRET_FILE} is not there. Numbers and limits are kept under\n"
    "keys made with it, so run this where the app runs and with its settings"
)


@asynccontextmanager
async def existing_database(settings: Settings) -> AsyncIterator[Engine]:
    """Open the database of an existing installation, and close it at the end.

    Raises:
        StoreUnavailable: the SQLite file does not exist. An engine would create the file.
        ValueError: DATABASE_URL names no database that the app can use.
    """
    url = settings.database_url.get_secret_value()
    file = sqlite_file(url)
    if file and not file.exists():
        raise StoreUnavailable
    engine = open_engine(url)
    try:
        yield engine
    finally:
        await engine.dispose()


def sqlite_file(url: str) -> Path | None:
    """Return the SQLite file that *url* names, or None for another database or an invalid URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    is_sqlite = parsed.drivername.startswith("sqlite")
    return Path(parsed.database) if is_sqlite and parsed.database else None


def find_encryption(settings: Settings) -> PhoneEncryption | None:
    """Return the encryption of stored numbers, or None if the app's secret is not found."""
    keyring = find_keyring(settings)
    if keyring is None:
        return None
    hash_key = keyring.subkey(Purpose.STORED_NUMBER)
    return PhoneEncryption(hash_key, settings.phone_encryption_key_list)


def say(*lines: str, code: int) -> int:
    """Print *lines* and return *code*, the exit code of the command."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return code


def rate(limit: Limit) -> str:
    """Return the rate of *limit* as text, such as `5 in 0:15:00` or `10 in 1 day`."""
    return f"{limit.amount} in {limit.window}".removesuffix(", 0:00:00")


class Severity(StrEnum):
    """The severity of a finding of the doctor."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """The result of one check of the doctor, and the fix for it.

    No field holds a secret or a phone number.
    """

    severity: Severity
    check: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        fix = f". Fix: {self.fix}" if self.fix else ""
        return f"{self.severity:<4}  {self.check:<18}  {self.what}{fix}"


def ok(check: str, what: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding(Severity.OK, check, what)


def warn(check: str, what: str, fix: str) -> Finding:
    """Return a finding about a problem with which the app still works safely."""
    return Finding(Severity.WARN, check, what, fix)


def fail(check: str, what: str, fix: str) -> Finding:
    """Return a finding about a problem with which the app does not work or is not safe."""
    return Finding(Severity.FAIL, check, what, fix)


def unsafe(check: str, what: str, fix: str, *, production: bool) -> Finding:
    """Return a finding about a problem that fails in production and warns in development."""
    return (fail if production else warn)(check, what, fix)

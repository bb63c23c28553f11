"""The secret of the app, and the keys that are derived from it: one for each purpose.

The secret is the setting SECRET_KEY, or in development a file that the app creates. The secret
itself is the key of nothing. A key that is used for one purpose tells nothing about the other keys.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from otp_app.config import Settings

SECRET_FILE = Path(".data/secret_key")
SUBKEY = 32  # bytes, the size of a SHA-256


class Purpose(StrEnum):
    """The purposes of the subkeys.

    A value goes into the derivation. A changed value changes the subkey, and with it all cookies,
    tokens or stored hashes that were made with it.
    """

    FLOW_COOKIE = "flow cookie"  # signs the cookie that names a browser
    DEVICE_COOKIE = "device cookie"  # signs the cookie that remembers confirmed numbers
    DEVICE_NUMBER = "device number"  # hashes the numbers in that cookie
    VERIFICATION = "verification"  # signs verification tokens
    PROOF = "proof"  # signs the proof that a page entered the right code
    STORED_NUMBER = "stored number"  # hashes numbers, blocks and addresses in the database
    LIMIT = "limit"  # hashes the subjects of limits in the database
    IDEMPOTENCY = "idempotency"  # hashes idempotency keys and their requests in the database
    CONSOLE_CODE = "console code"  # seals the codes of the console provider


@dataclass(frozen=True)
class Keyring:
    """Derives a subkey of *secret* for each purpose, by HKDF-SHA256 (RFC 5869)."""

    secret: bytes = field(repr=False)

    def subkey(self, purpose: Purpose) -> bytes:
        """Return the 32 bytes of the key for *purpose*, always the same."""
        info = f"otp_app {purpose}".encode()
        return HKDF(SHA256(), SUBKEY, salt=None, info=info).derive(self.secret)


def open_keyring(settings: Settings) -> Keyring:
    """Return the keyring of the app. In development a secret is created and kept in a file."""
    if not settings.secret_key and not SECRET_FILE.exists():
        SECRET_FILE.parent.mkdir(mode=0o700, exist_ok=True)
        _write_secret()
    return Keyring(_secret(settings))


def find_keyring(settings: Settings) -> Keyring | None:
    """Return the keyring of an existing installation, or None without a secret."""
    has_secret = settings.secret_key or SECRET_FILE.exists()
    return Keyring(_secret(settings)) if has_secret else None


def _secret(settings: Settings) -> bytes:
    if settings.secret_key:
        return settings.secret_key.get_secret_value().encode()
    return SECRET_FILE.read_bytes()


def _write_secret() -> None:
    """Create `SECRET_FILE` atomically. If two processes do so, the file of the first one stays."""
    with NamedTemporaryFile("w", dir=SECRET_FILE.parent) as file:  # mode 0600
        file.write(secrets.token_urlsafe(48))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, SECRET_FILE)

"""Tokens and keys of callers: signed verification tokens, API keys, and the key that signs.

A verification token holds the flow of the call, the id of the verification, and a signature over
both and the caller's name. Its holder may check and resend this one verification, and no other; a
token of an API key is worth nothing without that key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, Signer

from otp_app.errors import (
    ApiKeyRefused,
)
from otp_app.verification.models import Flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_app.config import (
        Settings,
    )


class VerificationTokens:
    """Issues and opens handles, signed with *secret*."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, flow: Flow, id_: str, caller: str = "") -> str:
        """Return a handle for *id_* that is bound to *caller*.

        *caller* is the name of an API key, or empty for any bearer.
        """
        return self._signer(caller).sign(f"{flow}.{id_}").decode()

    def read(self, token: str, caller: str = "") -> tuple[Flow, str] | None:
        """Return the flow and the id in *token*, or None if it was not issued to *caller*."""
        try:
            text = self._signer(caller).unsign(token).decode()
        except BadSignature:
            return None
        flow, _, id_ = text.partition(".")
        return Flow(flow), id_

    def _signer(self, caller: str) -> Signer:
        return Signer(self._secret, salt=f"otp_app.handle.{caller}")


class Proofs:
    """Issues and opens proofs, signed with *secret*."""

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="otp_app.proof")

    def issue(self, flow: Flow, id_: str) -> str:
        """Return the proof for the page that entered the right code of *id_* in *flow*."""
        return f"{id_}.{self._signature(flow, id_)}"

    def open(self, proof: str, flow: Flow) -> str | None:
        """Return the verification id in *proof*, or None if *proof* was not issued in *flow*."""
        id_, _, signature = proof.rpartition(".")
        is_ours = self._signer.verify_signature(_signed(flow, id_), signature)
        return id_ if is_ours else None

    def _signature(self, flow: Flow, id_: str) -> str:
        return self._signer.get_signature(_signed(flow, id_)).decode()


def _signed(flow: Flow, id_: str) -> str:
    return f"{flow}.{id_}"


NAME = "[a-z0-9-]{1,32}"
_BEARER = re.compile(rf"Bearer +(otp_({NAME})_[A-Za-z0-9_-]+)", re.IGNORECASE)


def new_key(name: str) -> tuple[str, str]:
    """Return a new key, and the entry for it in the setting `API_KEYS`.

    Raises:
        ValueError: *name* is not 1 to 32 lower-case letters, digits and hyphens.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError("a name has 1 to 32 lower-case letters, digits and hyphens")
    key = f"otp_{name}_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_hash(key)}"


def name_of(authorization: str, hashes: Mapping[str, str]) -> str:
    """Return the name of the key in an `Authorization` header (RFC 6750 section 2.1).

    Args:
        authorization: value of the header.
        hashes: SHA-256 of each valid key in hexadecimal, by the name of the key.

    Raises:
        ApiKeyRefused: the header holds no valid key.
    """
    match = _BEARER.fullmatch(authorization)
    if match is None or not hmac.compare_digest(_hash(match[1]), hashes.get(match[2], "")):
        raise ApiKeyRefused
    return match[2]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


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

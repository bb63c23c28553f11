"""API keys: how programs say who they are.

A key is `otp_NAME_SECRET`. The settings hold its SHA-256 only. A slow hash would add nothing: the
secret is 256 random bits, which nobody guesses from any hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING

from otp_app.errors import ApiKeyRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "[a-z0-9-]{1,32}"
_BEARER = re.compile(rf"Bearer +(otp_({NAME})_[A-Za-z0-9_-]+)", re.IGNORECASE)


def new_key(name: str) -> tuple[str, str]:
    """A new key, and what goes into `API_KEYS` for it.

    Raises:
        ValueError: *name* is not 1 to 32 small letters, digits and hyphens.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError("a name has 1 to 32 small letters, digits and hyphens")
    key = f"otp_{name}_{secrets.token_urlsafe(32)}"
    return key, f"{name}:{_hash(key)}"


def name_of(authorization: str, hashes: Mapping[str, str]) -> str:
    """The name of the key in an `Authorization` header (RFC 6750 section 2.1).

    Raises:
        ApiKeyRefused: it is none of *hashes*, which are by name.
    """
    match = _BEARER.fullmatch(authorization)
    if match is None or not hmac.compare_digest(_hash(match[1]), hashes.get(match[2], "")):
        raise ApiKeyRefused
    return match[2]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()

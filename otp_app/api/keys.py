"""API keys, which authenticate programs.

A key has the form `otp_NAME_SECRET`. The settings hold only the SHA-256 of the key. A slow hash
would add no security: the secret is 256 random bits, too many to guess from any hash.
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
    """Return a new key, and the entry for it in the setting `API_KEYS`.

    Raises:
        ValueError: *name* is not 1 to 32 lower-case letters, digits and hyphens.
    """
    if not re.fullmatch(NAME, name):
        raise ValueError("a name has 1 to 32 small letters, digits and hyphens")
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

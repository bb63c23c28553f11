"""The HTTP requests of both clients. Each call is one request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

Channel = Literal["sms", "voice", "whatsapp"]

_PATH = "/api/v1/verifications"
_VISIBLE = re.compile(r"[\x21-\x7e]+")  # the characters that the server accepts in a header


@dataclass(frozen=True)
class Call:
    """The parts of an HTTP request that differ between calls. An empty key sends no header."""

    method: str
    path: str
    body: dict[str, str] | None = None
    idempotency_key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of this call only, without those in `Calls.headers`."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}


@dataclass(frozen=True)
class Calls:
    """Creates the requests of a program, with or without an API key.

    Raises:
        ValueError: *api_key* has characters that no key has. The text does not hold the key.
    """

    api_key: str | None = field(repr=False)

    def __post_init__(self) -> None:
        if self.api_key is not None:
            _require_visible(self.api_key, "api_key")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every call: the API key as a bearer token (RFC 6750 section 2.1)."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def start(self, phone: str, channel: Channel | None, country: str, key: str | None) -> Call:
        """Return the request that sends a code to *phone*."""
        body = {"phone_number": phone, "country": country} | _by(channel)
        return Call("POST", _PATH, body, self._once(key))

    def read(self, id_: str) -> Call:
        """Return the request for the state of verification *id_*."""
        return Call("GET", _one(id_))

    def check(self, id_: str, code: str, key: str | None) -> Call:
        """Return the request that checks *code* for verification *id_*."""
        return Call("POST", f"{_one(id_)}/check", {"code": code}, self._once(key))

    def resend(self, id_: str, channel: Channel | None, key: str | None) -> Call:
        """Return the request that sends the code of verification *id_* again."""
        return Call("POST", f"{_one(id_)}/resend", _by(channel), self._once(key))

    def cancel(self, id_: str) -> Call:
        """Return the request that cancels verification *id_*."""
        return Call("DELETE", _one(id_))

    def _once(self, key: str | None) -> str:
        """Return *key*, else a new idempotency key for this call.

        Without an API key there is no new one: the server may reject an idempotency key of a caller
        that it cannot identify.
        """
        if key is not None:
            return _require_visible(key, "idempotency_key")
        return str(uuid4()) if self.api_key else ""


def _by(channel: Channel | None) -> dict[str, str]:
    return {"channel": channel} if channel else {}


def _one(id_: str) -> str:
    return f"{_PATH}/{quote(id_, safe='')}"


def _require_visible(text: str, name: str) -> str:
    if not _VISIBLE.fullmatch(text):
        raise ValueError(f"{name} must be visible ASCII characters, without spaces or line ends")
    return text

"""What is asked: one request for each call, the same for both clients."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

Channel = Literal["sms", "voice", "whatsapp"]

_PATH = "/api/v1/verifications"
_VISIBLE = re.compile(r"[\x21-\x7e]+")  # what a header can carry and the server takes


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    body: dict[str, str] | None = None
    idempotency_key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Its own, besides those of all calls."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}


@dataclass(frozen=True)
class Calls:
    """Makes them, for a program with *api_key* or without.

    Raises:
        ValueError: *api_key* cannot be one. Its value is not told.
    """

    api_key: str | None = field(repr=False)

    def __post_init__(self) -> None:
        if self.api_key is not None:
            _require_visible(self.api_key, "api_key")

    @property
    def headers(self) -> dict[str, str]:
        """Of all calls: RFC 6750 section 2.1."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def start(self, phone: str, channel: Channel | None, country: str, key: str | None) -> Call:
        """A code to *phone*."""
        body = {"phone_number": phone, "country": country} | _by(channel)
        return Call("POST", _PATH, body, self._once(key))

    def read(self, id_: str) -> Call:
        """Where it stands."""
        return Call("GET", _one(id_))

    def check(self, id_: str, code: str, key: str | None) -> Call:
        """Whether *code* is right."""
        return Call("POST", f"{_one(id_)}/check", {"code": code}, self._once(key))

    def resend(self, id_: str, channel: Channel | None, key: str | None) -> Call:
        """The code again."""
        return Call("POST", f"{_one(id_)}/resend", _by(channel), self._once(key))

    def cancel(self, id_: str) -> Call:
        """The end of it."""
        return Call("DELETE", _one(id_))

    def _once(self, key: str | None) -> str:
        """A new key for each call; none for nobody's, which the server refuses."""
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

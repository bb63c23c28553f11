"""A webhook request of a provider, and helpers to read untrusted JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers

    from otp_app.verification.deliveries import DeliveryReport

EVENT_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
REASON = re.compile(r"\w{1,32}", re.ASCII)


class InvalidSignature(Exception):
    """The request is not provably from the provider, for this app and recent."""


@dataclass(frozen=True)
class SignedRequest:
    """A webhook request. *query* is the query string of its URL, still encoded."""

    headers: Headers
    query: str
    body: bytes


class IncomingWebhook(Protocol):
    """Verifies and reads the webhook requests of one provider."""

    def deliveries(self, post: SignedRequest) -> list[DeliveryReport]:
        """Return the delivery reports in *post*. Requests about other things have none.

        Raises:
            Forged: the signature does not prove that the provider sent *post*.
        """
        ...


def parse_json(body: bytes) -> object:
    """Return the JSON value in *body*, or None if *body* is not JSON."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value


def text_field(source: object, name: str) -> str:
    """Return the field *name* of *source*, or an empty string if there is no such string."""
    value = source.get(name) if isinstance(source, dict) else None
    return value if isinstance(value, str) else ""


def full_match(pattern: re.Pattern[str], value: str) -> str:
    """Return *value* if *pattern* matches all of it, else an empty string."""
    return value if pattern.fullmatch(value) else ""


def parse_time(value: str) -> datetime | None:
    """Return an ISO 8601 time in UTC, or None. A time without a zone counts as UTC."""
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


if TYPE_CHECKING:
    Clock = Callable[[], datetime]

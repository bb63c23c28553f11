"""A post of a provider, and what can be read from JSON that may hold anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from otp_app.verification.deliveries import Delivery

EVENT_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
REASON = re.compile(r"\w{1,32}", re.ASCII)


class Forged(Exception):
    """The post does not prove that the provider has sent it, for us and lately."""


@dataclass(frozen=True)
class Post:
    """What came in. *query* is as it was in the address, still encoded."""

    headers: Headers
    query: str
    body: bytes


class Webhook(Protocol):
    """Understands one provider's posts."""

    def deliveries(self, post: Post) -> list[Delivery]:
        """The reports in it; what else providers post has none.

        Raises:
            Forged: it is not to be believed.
        """
        ...


def parse(body: bytes) -> object:
    """The JSON value, None if it is none."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value


def text(source: object, name: str) -> str:
    """The field *name*; what is not a text counts as empty."""
    value = source.get(name) if isinstance(source, dict) else None
    return value if isinstance(value, str) else ""


def match(pattern: re.Pattern[str], value: str) -> str:
    """*value*, if it is all of the *pattern*, else nothing."""
    return value if pattern.fullmatch(value) else ""


def moment(value: str) -> datetime | None:
    """An ISO 8601 time, in UTC; without a zone it is one already."""
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None

"""What a provider's answer must be before its SDK sees it.

The transports judge it first: the SDKs' own exceptions, and their loggers, carry the whole body,
which holds the number and the provider's id.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

from otp_app.errors import ProviderTimedOut

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

T = TypeVar("T")

MAX_BODY = 64 * 1024  # bytes; documented answers stay under 2 KB
MAX_WAIT = 60  # seconds
DEFAULT_WAIT = 30


class Refused(Exception):
    """An answer whose status is not 2xx. Ends in the adapter, by a `RefusalTable`."""

    def __init__(self, status: int, body: bytes, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.empty = not body
        self.problem = read_object(body) or {}
        self.wait = _seconds(retry_after)

    @property
    def names(self) -> Iterator[Hashable]:
        """What a table may call it, the most telling first.

        Twilio's `code`, https://www.twilio.com/docs/api/errors; the last word of an RFC 9457 `type`
        or its whole `title`, as in https://developer.vonage.com/en/api/verify.v2; the status.
        """
        if isinstance(code := self.problem.get("code"), int):
            yield code
        for member in ("type", "title"):
            if isinstance(text := self.problem.get(member), str):
                yield self.status, re.split("[#/]", text)[-1].lower().replace(" ", "-")
        yield self.status

    def find(self, table: Mapping[Hashable, T]) -> T | None:
        """What *table* has for it."""
        return next((table[name] for name in self.names if name in table), None)


def require_answer(status: int, body: bytes, retry_after: str) -> None:
    """Let only what an SDK can read go on to it: a 2xx, empty or with one JSON object.

    Raises:
        Refused: the status is not 2xx.
        ProviderTimedOut: too much, or not an object: what was done, nobody knows.
    """
    if not 200 <= status < 300:  # RFC 9110 section 15.3
        raise Refused(status, body[:MAX_BODY], retry_after)
    if len(body) > MAX_BODY or (body and read_object(body) is None):
        raise ProviderTimedOut


def read_object(body: bytes) -> Mapping[str, object] | None:
    """The JSON object in *body*, None where there is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _seconds(retry_after: str) -> int:
    """What a `Retry-After` asks for, in bounds. Neither service documents its date form."""
    if not re.fullmatch("[0-9]{1,6}", retry_after):
        return DEFAULT_WAIT
    return min(max(int(retry_after), 1), MAX_WAIT)

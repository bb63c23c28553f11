"""Input from vendors, all of it untrusted: responses to our requests, and webhook requests.

The transport judges a response before an SDK sees it: the SDKs' own exceptions, and their loggers,
carry the whole body, which holds the number and the provider's id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from otp_app.errors import ProviderTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.datastructures import Headers

    from otp_app.verification.deliveries import DeliveryReport

T = TypeVar("T")
Clock = Callable[[], datetime]

MAX_BODY = 64 * 1024  # bytes; documented responses stay under 2 KB
MAX_WAIT = 60  # seconds
DEFAULT_WAIT = 30

UNNAMED = ""
"""The name of a response whose body names no error, such as a gateway's page."""

_WORD = re.compile("[a-z][a-z-]{0,31}")

EVENT_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
REASON = re.compile(r"\w{1,32}", re.ASCII)


class VendorError(Exception):
    """A response whose status is not 2xx. The adapter's `ErrorTable` maps it to an `OtpError`."""

    def __init__(self, status: int, body: bytes, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.empty = not body
        self.problem = read_object(body) or {}
        self.wait = _seconds(retry_after)

    @property
    def codes(self) -> Iterator[Hashable]:
        """The keys that an error table may have for this response, the most specific first.

        These are Twilio's `code`; the status with each word of `_words`, or with `UNNAMED` where
        the body names no error; and the status alone.
        """
        code, words = self._code, self._words
        if code is not None:
            yield code
        yield from ((self.status, word) for word in words)
        if code is None and not words:
            yield self.status, UNNAMED
        yield self.status

    @property
    def vendor_code(self) -> int | str:
        """The provider's own code, for the log. Empty if the body has no short code.

        A code is a number of six digits at most or a word without digits, because neither can be a
        phone number.
        """
        if self._code is not None:
            return self._code if self._code < 1_000_000 else ""
        return next((word for word in self._words if _WORD.fullmatch(word)), "")

    def find(self, table: Mapping[Hashable, T]) -> T | None:
        """Return the value of *table* for the first of `codes` that it has, else None."""
        return next((table[name] for name in self.codes if name in table), None)

    @property
    def _code(self) -> int | None:
        """Twilio's `code`, https://www.twilio.com/docs/api/errors. Below 1000 it is a status."""
        code = self.problem.get("code")
        return code if isinstance(code, int) and code >= 1000 else None

    @property
    def _words(self) -> list[str]:
        """The last word of an RFC 9457 `type`, and the whole `title`.

        Vonage names its errors so: https://developer.vonage.com/en/api/verify.v2.
        """
        texts = [self.problem.get(member) for member in ("type", "title")]
        return [
            re.split("[#/]", text)[-1].lower().replace(" ", "-")
            for text in texts
            if isinstance(text, str) and text
        ]


def parse_response(status: int, body: bytes, retry_after: str) -> Mapping[str, object]:
    """Return the JSON object of a 2xx response, or an empty one if there is no body.

    Raises:
        VendorError: the status is not 2xx.
        ProviderTimedOut: the body of a 2xx is too long or not a JSON object, so the outcome is
            unknown.
    """
    if not 200 <= status < 300:  # RFC 9110 section 15.3
        raise VendorError(status, body[:MAX_BODY], retry_after)
    fields = read_object(body) if body else {}
    if len(body) > MAX_BODY or fields is None:
        raise ProviderTimedOut
    return fields


def read_object(body: bytes) -> Mapping[str, object] | None:
    """Return the JSON object in *body*, or None if *body* is anything else."""
    value = parse_json(body)
    return value if isinstance(value, dict) else None


def _seconds(retry_after: str) -> int:
    """Seconds of a `Retry-After`, in bounds. Neither service documents the header's date form."""
    if not re.fullmatch("[0-9]{1,6}", retry_after):
        return DEFAULT_WAIT
    return min(max(int(retry_after), 1), MAX_WAIT)


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
            InvalidSignature: the signature does not prove that the provider sent *post*.
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

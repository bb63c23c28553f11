"""Checks on a provider's HTTP response, made before its SDK reads the response.

The transports make these checks because the SDKs' own exceptions and loggers carry the whole body,
which holds the phone number and the provider's id.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeVar

from otp_app.errors import ProviderTimedOut

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

T = TypeVar("T")

MAX_BODY = 64 * 1024  # bytes; documented responses stay under 2 KB
MAX_WAIT = 60  # seconds
DEFAULT_WAIT = 30


UNNAMED = ""
"""The name of a response whose body names no error, such as a gateway's page."""

_WORD = re.compile("[a-z][a-z-]{0,31}")


class Refused(Exception):
    """A response whose status is not 2xx. The adapter's `RefusalTable` maps it to an `OtpError`."""

    def __init__(self, status: int, body: bytes, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.empty = not body
        self.problem = read_object(body) or {}
        self.wait = _seconds(retry_after)

    @property
    def names(self) -> Iterator[Hashable]:
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
        """Return the value of *table* for the first of `names` that it has, else None."""
        return next((table[name] for name in self.names if name in table), None)

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


def require_answer(status: int, body: bytes, retry_after: str) -> None:
    """Require a response that an SDK can read: a 2xx that is empty or has one JSON object.

    Raises:
        Refused: the status is not 2xx.
        ProviderTimedOut: the body of a 2xx is too long or not a JSON object, so the outcome is
            unknown.
    """
    if not 200 <= status < 300:  # RFC 9110 section 15.3
        raise Refused(status, body[:MAX_BODY], retry_after)
    if len(body) > MAX_BODY or (body and read_object(body) is None):
        raise ProviderTimedOut


def read_object(body: bytes) -> Mapping[str, object] | None:
    """Return the JSON object in *body*, or None if *body* is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _seconds(retry_after: str) -> int:
    """Seconds of a `Retry-After`, in bounds. Neither service documents the header's date form."""
    if not re.fullmatch("[0-9]{1,6}", retry_after):
        return DEFAULT_WAIT
    return min(max(int(retry_after), 1), MAX_WAIT)

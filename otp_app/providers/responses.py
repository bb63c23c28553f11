"""The responses of a vendor's API, and the tables of its errors.

The transports judge a response before an SDK sees it: the SDKs' own exceptions, and their
loggers, carry the whole body, which holds the number and the provider's id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import structlog

from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

MAX_BODY = 64 * 1024  # bytes; documented responses stay under 2 KB
MAX_WAIT = 60  # seconds
DEFAULT_WAIT = 30

UNNAMED = ""
"""The name of a response whose body names no error, such as a gateway's page."""

_WORD = re.compile("[a-z][a-z-]{0,31}")


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
        """Return the value of *table* for the first of `names` that it has, else None."""
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


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ErrorFactory:
    """The meaning of one error response.

    Attributes:
        error: makes the app's error from the response.
        mend: what the operator can do about the cause, in English; empty if nothing can be done.
        in_fallback: the row that applies if the request was already in the fallback language. Only
            a refusal of the language has one.
    """

    error: Callable[[VendorError], OtpError]
    mend: str = ""
    in_fallback: ErrorFactory | None = None


def rejected(refusal: Refusal, mend: str = "") -> ErrorFactory:
    """Make a row for: the provider does not send to this number, country or channel."""
    return ErrorFactory(lambda _: ProviderRejected(refusal), mend)


def language(otherwise: ErrorFactory) -> ErrorFactory:
    """Make a row for: the provider has no message in this language.

    *otherwise* applies if the request was already in the fallback language.
    """
    return ErrorFactory(lambda _: LanguageRefused(), otherwise.mend, in_fallback=otherwise)


def setting(mend: str) -> ErrorFactory:
    """Make a row for: a setting does not fit this request, but may fit other requests.

    A request with another number, channel or language may succeed.
    """
    return ErrorFactory(lambda _: ProviderMisconfigured(for_everybody=False), mend)


ACCOUNT = ErrorFactory(
    lambda _: ProviderMisconfigured(),
    "check the credentials, the balance and the state of the account",
)
"""The provider refuses every request of this account."""

THROTTLED = ErrorFactory(lambda refused: ProviderThrottled(seconds=refused.wait))
"""The account sends too many requests."""

UNAVAILABLE = ErrorFactory(lambda _: ProviderUnavailable())
"""The provider reports a failure of its own."""

UNCLEAR = ErrorFactory(lambda _: ProviderTimedOut(for_everybody=False))
"""The provider responded to this request, but the response leaves the outcome open."""

NOT_DONE = ErrorFactory(lambda _: ProviderUnavailable(for_everybody=False))
"""The provider did not carry out this request."""

BUSY = ErrorFactory(lambda _: NumberBusy())
"""The provider is already verifying this number, or has had too many requests for it."""

Rows = Mapping[Hashable, ErrorFactory | Callable[[VendorError], ErrorFactory]]


@dataclass(frozen=True)
class ErrorTable:
    """The documented error responses of one operation, keyed by a name of `VendorError.names`.

    Attributes:
        operation: the provider and the operation, for the log: `twilio.start`.
        rows: a row for each name, or a function that chooses the row from the body.
        unlisted: the row for a 4xx that `rows` does not have. The provider has responded, so it
            works. The cause may be this request's number, country, channel or language, so the
            error concerns this request alone.
    """

    operation: str
    rows: Rows
    unlisted: ErrorFactory = NOT_DONE

    def error(self, refused: VendorError, *, can_fall_back: bool = False) -> OtpError:
        """Return the error for *refused*, and log it with the provider's code and no other text.

        Args:
            refused: the error response.
            can_fall_back: whether the request was in another language than the fallback.
        """
        row, is_listed = self._row(refused)
        if row.in_fallback and not can_fall_back:
            row = row.in_fallback
        error = row.error(refused)
        error.vendor_code = f"{refused.status} {refused.vendor_code}".strip()
        write = log.error if row.mend else log.warning
        write(
            "provider.error_returned",
            provider=self.operation.partition(".")[0],
            operation=self.operation,
            status=refused.status,
            vendor_code=refused.vendor_code,
            listed=is_listed,
            why=error.key,
            for_everybody=getattr(error, "for_everybody", False),
            mend=row.mend,
        )
        return error

    def _row(self, refused: VendorError) -> tuple[ErrorFactory, bool]:
        """Return the row for *refused*, and whether the table lists it."""
        name = next((name for name in refused.codes if name in self.rows), None)
        if name is None:
            return self._by_status(refused), False
        row = self.rows[name]
        return (row if isinstance(row, ErrorFactory) else row(refused)), True

    def _by_status(self, refused: VendorError) -> ErrorFactory:
        match refused.status // 100:
            case 3:  # a redirect is never followed: credentials and message would go elsewhere
                return UNAVAILABLE
            case 4:
                return self.unlisted
            case 5 if refused.status != 504 and not refused.empty:
                return UNAVAILABLE
            case _:  # 504: the server behind the gateway may go on, RFC 9110 section 15.6.5
                return ErrorFactory(lambda _: ProviderTimedOut())


UNNAMED_ACCOUNT: Rows = {
    (401, UNNAMED): ACCOUNT,
    (402, UNNAMED): ACCOUNT,
    (403, UNNAMED): ACCOUNT,
    (429, UNNAMED): THROTTLED,
}
"""Statuses that concern the account if the body names no error.

See RFC 9110 section 15.5 and RFC 6585 section 4. A named error has its own row or none, because
both providers also use 401, 403 and 429 to refuse single numbers, channels and templates.
"""

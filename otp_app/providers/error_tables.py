"""Tables of the vendors' errors, and the languages that a vendor has refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
from otp_app.providers.vendor_input import UNNAMED, VendorError

if TYPE_CHECKING:
    from otp_app.verification.models import Channel

REMEMBERED = 3600.0
"""Seconds that a refusal is remembered. A repaired template is used again within this time. Until
it is repaired, one person in each such period has to try twice."""

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
    """The documented error responses of one operation, keyed by a name of `VendorError.codes`.

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


def _count_nothing(_provider: str, _channel: Channel, _language: str) -> None:
    """Ignore the refusal."""


@dataclass
class RefusedLanguages:
    """Remembers refused languages for an hour, in the memory of this process.

    Languages are named by the provider's own tags. An adapter has a fixed list of these tags, so
    memory is bounded for each channel, whatever languages callers send.

    Attributes:
        provider: the provider's name, for the log and the metrics.
        fallback: the provider's tag for `OTP_LOCALE`.
        count: a function that is called with the provider, channel and language of each refusal.
        monotonic: a clock, in seconds.
    """

    provider: str
    fallback: str
    count: Callable[[str, Channel, str], None] = _count_nothing
    monotonic: Callable[[], float] = time.monotonic
    _until: dict[tuple[Channel, str], float] = field(default_factory=dict, init=False)

    def usable(self, channel: Channel, language: str) -> str:
        """Return *language*, or the fallback while a refusal of *language* is remembered."""
        until = self._until.get((channel, language))
        return language if until is None or self.monotonic() >= until else self.fallback

    def refuse(self, channel: Channel, language: str) -> None:
        """Remember that the provider has no message in *language* for *channel*."""
        self._until[channel, language] = self.monotonic() + REMEMBERED
        self.count(self.provider, channel, language)
        log.error(
            "provider.language_refused",
            provider=self.provider,
            channel=channel,
            language=language,
            fallback=self.fallback,
            seconds=REMEMBERED,
        )


LanguagesOf = Callable[[str, str], RefusedLanguages]
"""Factory of a provider's `RefusedLanguages`, from the provider's name and the fallback."""

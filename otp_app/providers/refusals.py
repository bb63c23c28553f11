"""Error tables: from a provider's error responses to the app's own errors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

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
from otp_app.providers.answers import UNNAMED, Refused

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Row:
    """The meaning of one error response.

    Attributes:
        error: makes the app's error from the response.
        mend: what the operator can do about the cause, in English; empty if nothing can be done.
        in_fallback: the row that applies if the request was already in the fallback language. Only
            a refusal of the language has one.
    """

    error: Callable[[Refused], OtpError]
    mend: str = ""
    in_fallback: Row | None = None


def rejected(refusal: Refusal, mend: str = "") -> Row:
    """Make a row for: the provider does not send to this number, country or channel."""
    return Row(lambda _: ProviderRejected(refusal), mend)


def language(otherwise: Row) -> Row:
    """Make a row for: the provider has no message in this language.

    *otherwise* applies if the request was already in the fallback language.
    """
    return Row(lambda _: LanguageRefused(), otherwise.mend, in_fallback=otherwise)


def setting(mend: str) -> Row:
    """Make a row for: a setting does not fit this request, but may fit other requests.

    A request with another number, channel or language may succeed.
    """
    return Row(lambda _: ProviderMisconfigured(for_everybody=False), mend)


ACCOUNT = Row(
    lambda _: ProviderMisconfigured(),
    "check the credentials, the balance and the state of the account",
)
"""The provider refuses every request of this account."""

THROTTLED = Row(lambda refused: ProviderThrottled(seconds=refused.wait))
"""The account sends too many requests."""

UNAVAILABLE = Row(lambda _: ProviderUnavailable())
"""The provider reports a failure of its own."""

UNCLEAR = Row(lambda _: ProviderTimedOut(for_everybody=False))
"""The provider responded to this request, but the response leaves the outcome open."""

NOT_DONE = Row(lambda _: ProviderUnavailable(for_everybody=False))
"""The provider did not carry out this request."""

BUSY = Row(lambda _: NumberBusy())
"""The provider is already verifying this number, or has had too many requests for it."""

Rows = Mapping[Hashable, Row | Callable[[Refused], Row]]


@dataclass(frozen=True)
class RefusalTable:
    """The documented error responses of one operation, keyed by a name of `Refused.names`.

    Attributes:
        operation: the provider and the operation, for the log: `twilio.start`.
        rows: a row for each name, or a function that chooses the row from the body.
        unlisted: the row for a 4xx that `rows` does not have. The provider has responded, so it
            works. The cause may be this request's number, country, channel or language, so the
            error concerns this request alone.
    """

    operation: str
    rows: Rows
    unlisted: Row = NOT_DONE

    def error(self, refused: Refused, *, can_fall_back: bool = False) -> OtpError:
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
            "provider.refused",
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

    def _row(self, refused: Refused) -> tuple[Row, bool]:
        """Return the row for *refused*, and whether the table lists it."""
        name = next((name for name in refused.names if name in self.rows), None)
        if name is None:
            return self._by_status(refused), False
        row = self.rows[name]
        return (row if isinstance(row, Row) else row(refused)), True

    def _by_status(self, refused: Refused) -> Row:
        match refused.status // 100:
            case 3:  # a redirect is never followed: credentials and message would go elsewhere
                return UNAVAILABLE
            case 4:
                return self.unlisted
            case 5 if refused.status != 504 and not refused.empty:
                return UNAVAILABLE
            case _:  # 504: the server behind the gateway may go on, RFC 9110 section 15.6.5
                return Row(lambda _: ProviderTimedOut())


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

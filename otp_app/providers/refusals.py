"""Tables that say what a provider's refusals come to in our terms."""

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
    """The meaning of one refusal.

    Attributes:
        error: makes the error that the person is shown.
        mend: what the operator can do about it, in English; empty where nothing needs mending.
        in_fallback: the meaning where the request was in the fallback language already. Only a
            refusal of the language has one.
    """

    error: Callable[[Refused], OtpError]
    mend: str = ""
    in_fallback: Row | None = None


def rejected(refusal: Refusal, mend: str = "") -> Row:
    """The provider will not send to this number, country or channel."""
    return Row(lambda _: ProviderRejected(refusal), mend)


def language(otherwise: Row) -> Row:
    """The provider has no message in this language; *otherwise*, in the fallback language."""
    return Row(lambda _: LanguageRefused(), otherwise.mend, in_fallback=otherwise)


def setting(mend: str) -> Row:
    """A setting does not fit this request. Another number, channel or language may pass."""
    return Row(lambda _: ProviderMisconfigured(for_everybody=False), mend)


ACCOUNT = Row(
    lambda _: ProviderMisconfigured(),
    "check the credentials, the balance and the state of the account",
)
"""The account is refused, whatever is asked."""

THROTTLED = Row(lambda refused: ProviderThrottled(seconds=refused.wait))
"""The account's traffic is too much."""

UNAVAILABLE = Row(lambda _: ProviderUnavailable())
"""The provider failed and says so."""

UNCLEAR = Row(lambda _: ProviderTimedOut(for_everybody=False))
"""The provider answered this request, and the answer does not say what was done."""

NOT_DONE = Row(lambda _: ProviderUnavailable(for_everybody=False))
"""The provider did not do what this request asked."""

BUSY = Row(lambda _: NumberBusy())
"""The provider is verifying this number already, or was asked for it too often."""

Rows = Mapping[Hashable, Row | Callable[[Refused], Row]]


@dataclass(frozen=True)
class RefusalTable:
    """The documented refusals of one operation, each under a name of `Refused.names`.

    A row is a function where the body decides.

    Attributes:
        unlisted: the meaning of a 4xx without a row. The provider has answered, so it works. The
            cause may be this request's number, country, channel or language, so the refusal
            concerns this request alone.
    """

    operation: str
    rows: Rows
    unlisted: Row = NOT_DONE

    def error(self, refused: Refused, *, can_fall_back: bool = False) -> OtpError:
        """The error for *refused*. The log has the provider's code, and nothing else of the body.

        Args:
            refused: the answer.
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
        """The row for *refused*, and whether the table lists it."""
        name = next((name for name in refused.names if name in self.rows), None)
        if name is None:
            return self._by_status(refused), False
        row = self.rows[name]
        return (row if isinstance(row, Row) else row(refused)), True

    def _by_status(self, refused: Refused) -> Row:
        match refused.status // 100:
            case 3:  # never followed: it would take the credentials, and the message, elsewhere
                return UNAVAILABLE
            case 4:
                return self.unlisted
            case 5 if refused.status != 504 and not refused.empty:
                return UNAVAILABLE
            case _:  # 504: what is behind the gateway may go on, RFC 9110 section 15.6.5
                return Row(lambda _: ProviderTimedOut())


UNNAMED_ACCOUNT: Rows = {
    (401, UNNAMED): ACCOUNT,
    (402, UNNAMED): ACCOUNT,
    (403, UNNAMED): ACCOUNT,
    (429, UNNAMED): THROTTLED,
}
"""Statuses that are about the account, RFC 9110 section 15.5 and RFC 6585 section 4, where the body
names no error.

A named error has a row of its own or none: under 401, 403 and 429 both providers also refuse single
numbers, channels and templates.
"""

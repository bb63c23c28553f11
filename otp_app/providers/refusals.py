"""Tables that say what a provider's refusals come to in our terms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import structlog

from otp_app.errors import (
    NumberBusy,
    OtpError,
    ProviderError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    Refusal,
)
from otp_app.providers.answers import Refused

log = structlog.get_logger(__name__)

Row = Callable[[Refused], OtpError]


def rejected(refusal: Refusal) -> Row:
    """It will not send to this number, or not this way."""
    return lambda _: ProviderRejected(refusal)


def misconfigured(_: Refused) -> OtpError:
    """The account or its settings: the operator's to mend."""
    return ProviderMisconfigured()


def throttled(refused: Refused) -> OtpError:
    """Too much of our traffic."""
    return ProviderThrottled(seconds=refused.wait)


def unavailable(_: Refused) -> OtpError:
    """It failed and says so."""
    return ProviderUnavailable()


def busy(_: Refused) -> OtpError:
    """It is verifying this number already."""
    return NumberBusy()


@dataclass(frozen=True)
class RefusalTable:
    """The documented refusals of one operation, each under a name of `Refused.names`.

    Attributes:
        unlisted: what a 4xx without a row comes to.
    """

    operation: str
    rows: Mapping[Hashable, Row]
    unlisted: type[ProviderError] = ProviderUnavailable

    def error(self, refused: Refused) -> OtpError:
        """*refused* in our terms. The operator's log names the row, and nothing of the body."""
        name = next((name for name in refused.names if name in self.rows), None)
        error = self.rows[name](refused) if name else self._by_status(refused)
        log.warning(
            "provider.refused",
            provider=self.operation.partition(".")[0],
            operation=self.operation,
            status=refused.status,
            row=name,
            why=error.key,
        )
        return error

    def _by_status(self, refused: Refused) -> OtpError:
        match refused.status // 100:
            case 3:  # never followed: it would take the credentials, and the message, elsewhere
                return ProviderUnavailable()
            case 4:
                return self.unlisted()
            case 5 if refused.status != 504 and not refused.empty:
                return ProviderUnavailable()
            case _:  # 504: who waits behind the gateway may go on, RFC 9110 section 15.6.5
                return ProviderTimedOut()


ACCOUNT: Mapping[Hashable, Row] = {
    401: misconfigured,
    402: misconfigured,
    403: misconfigured,
    429: throttled,
}
"""Statuses that are about us, whatever was asked. RFC 9110 section 15.5, RFC 6585 section 4."""

"""Vonage's problems in our terms.

All of them: https://developer.vonage.com/en/api/verify.v2, in the form of RFC 9457. Their hosts and
details vary, so the status counts, and the last word of `type` where that is not enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otp_app.errors import (
    NumberBusy,
    OtpError,
    ProviderMisconfigured,
    ProviderRejected,
    ProviderTimedOut,
    Refusal,
)
from otp_app.providers.refusals import (
    ACCOUNT,
    RefusalTable,
    misconfigured,
    rejected,
    unavailable,
)
from otp_app.providers.vonage_requests import is_request_id
from otp_app.verification.models import CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from otp_app.providers.answers import Refused

NOT_FOUND: Final = 404
CONFLICT: Final = 409

_SETTINGS = {"brand", "locale", "code_length", "channel_timeout", "client_ref", "template_id"}


def _running(refused: Refused) -> OtpError:
    """409 to a start: its body names the request that has the number."""
    request_id = refused.problem.get("request_id")
    return NumberBusy(str(request_id) if is_request_id(request_id) else None)


def _invalid_parameters(refused: Refused) -> OtpError:
    """422: the number is what varies, unless only settings are to blame.

    `invalid_parameters` is a list in the document, one object in the fixtures of Vonage's own SDKs.
    """
    blamed = refused.problem.get("invalid_parameters")
    items = blamed if isinstance(blamed, list) else [blamed]
    names = {str(item.get("name")) for item in items if isinstance(item, dict)}
    if names and names <= _SETTINGS:
        return ProviderMisconfigured()
    return ProviderRejected(Refusal.NUMBER)


START = RefusalTable(
    "vonage.start",
    {
        **ACCOUNT,
        NOT_FOUND: misconfigured,  # the address is not the service's
        CONFLICT: _running,
        412: rejected(Refusal.NUMBER),  # the number's network is not supported
        422: _invalid_parameters,
    },
)

NEXT = RefusalTable("vonage.next", ACCOUNT)
NO_NEXT = frozenset({NOT_FOUND, CONFLICT})  # the request is over, has no more steps, or not now

CHECK_OUTCOMES: Mapping[Hashable, CheckOutcome] = {
    (400, "invalid-code"): CheckOutcome.MISMATCH,
    NOT_FOUND: CheckOutcome.EXPIRED,  # verified already, over or never there
    410: CheckOutcome.EXHAUSTED,
}
CHECK = RefusalTable(
    "vonage.check",
    {**ACCOUNT, CONFLICT: unavailable},  # this step takes no code, or none at this moment
    unlisted=ProviderTimedOut,
)

CANCEL = RefusalTable(
    "vonage.cancel",
    {
        **ACCOUNT,
        NOT_FOUND: rejected(Refusal.CHANNEL),  # while its window is not open; later it is over
        CONFLICT: rejected(Refusal.CHANNEL),
    },
)

LOOK = RefusalTable("vonage.look", {**ACCOUNT, NOT_FOUND: misconfigured})

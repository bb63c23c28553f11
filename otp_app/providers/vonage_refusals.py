"""Error tables for Vonage's problem responses.

The problems are listed at https://developer.vonage.com/en/api/verify.v2 and have the form of
RFC 9457. The host in their `type` and their `detail` vary, so a row is found by the status, and by
the last word of `type` if the status is not enough.

An error is `for_everybody`, and counts for the circuit breaker, if no choice of a caller changes
it: the account, its traffic, Vonage's own failures. Our requests have a number, a channel, a locale
and, for text messages, a template. An error that may be about one of these concerns that request
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otp_app.errors import NumberBusy, Refusal
from otp_app.providers.answers import UNNAMED
from otp_app.providers.refusals import (
    ACCOUNT,
    THROTTLED,
    UNCLEAR,
    RefusalTable,
    Row,
    Rows,
    language,
    rejected,
    setting,
)
from otp_app.providers.vonage_requests import is_request_id
from otp_app.verification.models import CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from otp_app.providers.answers import Refused

NOT_FOUND: Final = 404
CONFLICT: Final = 409

_ADDRESS = "check VONAGE_BASE_URL: this is not the service's address"
_TEMPLATE = "check VONAGE_TEMPLATE_ID, and that the account may use templates"
_FRAGMENT = "add a fragment in this language to the template"
_SENDER = "check VONAGE_WHATSAPP_FROM, and which channels the account may use"

_SETTINGS = {"brand", "code_length", "channel_timeout", "client_ref"}
_OF_THE_LANGUAGE = {"locale", "template_id"}
_OF_THE_CHANNEL = {"workflow", "channel", "from"}

_ANY: Rows = {
    401: ACCOUNT,  # credentials, under any name
    402: ACCOUNT,  # balance
    # A 403 with a name that is not here may be about a channel or the template.
    (403, UNNAMED): ACCOUNT,
    (403, "unprovisioned"): ACCOUNT,
    (403, "account-suspended"): ACCOUNT,
    (403, "invalid-api-key"): ACCOUNT,
    429: THROTTLED,  # requests of the account in a second
}
"""Errors of every operation: https://developer.vonage.com/en/api-errors"""


def _running(refused: Refused) -> NumberBusy:
    """Return the error for a 409 to a start, whose body names the request that has the number."""
    request_id = refused.problem.get("request_id")
    return NumberBusy(str(request_id) if is_request_id(request_id) else None)


def _invalid_parameters(refused: Refused) -> Row:
    """Return the row for a 422 by the parameters that it names. By default the number is at fault.

    `invalid_parameters` is a list in the documentation, but one object in the fixtures of Vonage's
    own SDKs.
    """
    blamed = refused.problem.get("invalid_parameters")
    items = blamed if isinstance(blamed, list) else [blamed]
    names = {str(item.get("name")) for item in items if isinstance(item, dict)}
    lasts = {name.rpartition(".")[2] for name in names}  # `workflow.0.to`
    if lasts and lasts <= _OF_THE_CHANNEL:
        return rejected(Refusal.CHANNEL, _SENDER)
    if not names or not names <= _SETTINGS | _OF_THE_LANGUAGE:
        return rejected(Refusal.NUMBER)
    if "template_id" in names:  # no such template, or it has no fragment in this language
        return language(rejected(Refusal.CHANNEL, _TEMPLATE))
    if "locale" in names:
        return language(setting("set OTP_LOCALE to a language that Vonage has"))
    return setting(f"check the settings behind {', '.join(sorted(names))}")


START = RefusalTable(
    "vonage.start",
    {
        **_ANY,
        (403, "forbidden"): rejected(Refusal.CHANNEL, _TEMPLATE),  # only texts have a template
        (NOT_FOUND, "template-not-found"): rejected(Refusal.CHANNEL, _TEMPLATE),
        (NOT_FOUND, "template-fragment-not-found"): language(rejected(Refusal.CHANNEL, _FRAGMENT)),
        NOT_FOUND: language(setting(_ADDRESS)),  # or the template, or one of its languages
        CONFLICT: Row(_running),
        412: rejected(Refusal.NUMBER),  # the number's network is not supported
        422: _invalid_parameters,
    },
    unlisted=rejected(Refusal.CHANNEL),
)

NEXT = RefusalTable("vonage.next", _ANY, unlisted=rejected(Refusal.CHANNEL))
NO_NEXT = frozenset({NOT_FOUND, CONFLICT})  # over, no further step, or not possible at the moment

CHECK_OUTCOMES: Mapping[Hashable, CheckOutcome] = {
    (400, "invalid-code"): CheckOutcome.MISMATCH,
    NOT_FOUND: CheckOutcome.EXPIRED,  # already verified, over or unknown
    410: CheckOutcome.EXHAUSTED,
}
CHECK = RefusalTable(
    "vonage.check",
    {
        **_ANY,
        403: ACCOUNT,  # a check has no channel and no template
        CONFLICT: UNCLEAR,  # this step takes no code, or takes none at the moment
    },
    unlisted=UNCLEAR,
)

CANCEL = RefusalTable(
    "vonage.cancel",
    {
        **_ANY,
        NOT_FOUND: rejected(Refusal.CHANNEL),  # too early, see `CancelWindow`
        CONFLICT: rejected(Refusal.CHANNEL),
    },
)

LOOK = RefusalTable("vonage.look", {**_ANY, 403: ACCOUNT, NOT_FOUND: setting(_ADDRESS)})

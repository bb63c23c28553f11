"""Vonage's problems in our terms.

All of them: https://developer.vonage.com/en/api/verify.v2, in the form of RFC 9457. Their hosts and
details vary, so the status counts, and the last word of `type` where that is not enough.

A row is for everybody, and counts for the circuit, if no choice of a caller changes it: the
account, its traffic, Vonage's own failures. A request of ours has a number, a channel, a locale
and, for texts, a template. A row that may be about one of these concerns that request alone.
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
    401: ACCOUNT,  # credentials, whatever it is called
    402: ACCOUNT,  # balance
    # A 403 with another name may be about a channel or the template.
    (403, UNNAMED): ACCOUNT,
    (403, "unprovisioned"): ACCOUNT,
    (403, "account-suspended"): ACCOUNT,
    (403, "invalid-api-key"): ACCOUNT,
    429: THROTTLED,  # requests of the account in a second
}
"""https://developer.vonage.com/en/api-errors"""


def _running(refused: Refused) -> NumberBusy:
    """409 to a start: its body names the request that has the number."""
    request_id = refused.problem.get("request_id")
    return NumberBusy(str(request_id) if is_request_id(request_id) else None)


def _invalid_parameters(refused: Refused) -> Row:
    """422: the parameter that is to blame decides; the number, where that is not clear.

    `invalid_parameters` is a list in the document, one object in the fixtures of Vonage's own SDKs.
    """
    blamed = refused.problem.get("invalid_parameters")
    items = blamed if isinstance(blamed, list) else [blamed]
    names = {str(item.get("name")) for item in items if isinstance(item, dict)}
    lasts = {name.rpartition(".")[2] for name in names}  # `workflow.0.to`
    if lasts and lasts <= _OF_THE_CHANNEL:
        return rejected(Refusal.CHANNEL, _SENDER)
    if not names or not names <= _SETTINGS | _OF_THE_LANGUAGE:
        return rejected(Refusal.NUMBER)
    if "template_id" in names:  # there is none, or it has nothing in this language
        return language(rejected(Refusal.CHANNEL, _TEMPLATE))
    if "locale" in names:
        return language(setting("set OTP_LOCALE to a language that Vonage has"))
    return setting(f"check the settings behind {', '.join(sorted(names))}")


START = RefusalTable(
    "vonage.start",
    {
        **_ANY,
        (403, "forbidden"): rejected(Refusal.CHANNEL, _TEMPLATE),  # texts alone have a template
        (NOT_FOUND, "template-not-found"): rejected(Refusal.CHANNEL, _TEMPLATE),
        (NOT_FOUND, "template-fragment-not-found"): language(rejected(Refusal.CHANNEL, _FRAGMENT)),
        NOT_FOUND: language(setting(_ADDRESS)),  # perhaps the template, or one of its languages
        CONFLICT: Row(_running),
        412: rejected(Refusal.NUMBER),  # the number's network is not supported
        422: _invalid_parameters,
    },
    unlisted=rejected(Refusal.CHANNEL),
)

NEXT = RefusalTable("vonage.next", _ANY, unlisted=rejected(Refusal.CHANNEL))
NO_NEXT = frozenset({NOT_FOUND, CONFLICT})  # the request is over, has no more steps, or not now

CHECK_OUTCOMES: Mapping[Hashable, CheckOutcome] = {
    (400, "invalid-code"): CheckOutcome.MISMATCH,
    NOT_FOUND: CheckOutcome.EXPIRED,  # verified already, over or never there
    410: CheckOutcome.EXHAUSTED,
}
CHECK = RefusalTable(
    "vonage.check",
    {
        **_ANY,
        403: ACCOUNT,  # a check has no channel and no template
        CONFLICT: UNCLEAR,  # this step takes no code, or none at this moment
    },
    unlisted=UNCLEAR,
)

CANCEL = RefusalTable(
    "vonage.cancel",
    {
        **_ANY,
        NOT_FOUND: rejected(Refusal.CHANNEL),  # while its window is not open; later it is over
        CONFLICT: rejected(Refusal.CHANNEL),
    },
)

LOOK = RefusalTable("vonage.look", {**_ANY, 403: ACCOUNT, NOT_FOUND: setting(_ADDRESS)})

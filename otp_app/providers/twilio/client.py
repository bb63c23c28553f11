"""Twilio's client on our transport, and its error codes in our terms.

By default the SDK ignores its timeout and even switches aiohttp's off
(https://github.com/twilio/twilio-python/issues/925), reads answers of any length, warns of
aiohttp's deprecations, and drops `Retry-After`. The codes: https://www.twilio.com/docs/api/errors,
each with a page of its own. A code that is not here is judged by its HTTP status.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from otp_app.errors import Refusal
from otp_app.providers.error_tables import (
    ACCOUNT,
    BUSY,
    THROTTLED,
    UNAVAILABLE,
    UNCLEAR,
    UNNAMED_ACCOUNT,
    ErrorTable,
    Rows,
    language,
    rejected,
    setting,
)
from otp_app.verification.models import CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from otp_app.providers.transport import HttpClient


class TwilioTransport(AsyncHttpClient):
    """The SDK's interface to *http*, for requests to *origin*."""

    def __init__(self, origin: str, http: HttpClient) -> None:
        super().__init__(logging.getLogger("twilio"), is_async=True)
        self._origin = origin
        self._http = http

    async def request(  # type: ignore[override]  # as in the SDK: its base is synchronous
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the SDK's signature; never given
        allow_redirects: bool = False,  # noqa: ARG002, FBT001, FBT002 - the SDK's signature
    ) -> Response:
        """Send the request by `HttpClient.request`, which raises the same errors."""
        target = uri.removeprefix(self._origin)
        if params:
            target = f"{target}?{urlencode(params)}"
        if auth:
            credentials = b64encode(":".join(auth).encode()).decode()
            headers = {**(headers or {}), "Authorization": f"Basic {credentials}"}
        body = urlencode(data).encode() if data else b""
        response = await self._http.request(method, target, headers or {}, body)
        return Response(response.status, response.body.decode(errors="replace"))


def make_client(account_sid: str, auth_token: str, transport: TwilioTransport) -> Client:
    """Return the SDK's client on *transport*."""
    client = Client(account_sid, auth_token, http_client=transport)  # type: ignore[no-untyped-call]
    client.region = client.edge = None  # TWILIO_REGION and _EDGE would rewrite the base URLs
    return client


NOT_FOUND: Final = 20404

_TRIAL = "trial account: verify this number at Twilio first"
_TEMPLATE = "check TWILIO_TEMPLATE_SID and the Service's default template"
_TRANSLATION = "add this language to the template, or have the translation approved"
_SPOKEN = "set OTP_LOCALE to a language that Twilio supports"
_FEATURE = "enable it in the Verify Service, or remove it from the settings"
_CHINA = "see Twilio's requirements for messages to China"

_ANY: Rows = {
    **UNNAMED_ACCOUNT,
    # The account, for every request
    10001: ACCOUNT,  # not active
    20003: ACCOUNT,  # credentials
    20005: ACCOUNT,  # not active
    90010: ACCOUNT,  # not active
    575001: ACCOUNT,  # a trial that may not use Verify
    # The account's traffic
    20429: THROTTLED,  # concurrent requests of the account; we set no rate limits in the Service
    25109: THROTTLED,  # burst limit of Verify
    # Twilio itself
    20500: UNAVAILABLE,
    20503: UNAVAILABLE,
}

_NO_TEMPLATE = rejected(Refusal.CHANNEL, _TEMPLATE)  # only texts have one: calls may succeed
_NO_TRANSLATION = language(rejected(Refusal.CHANNEL, _TRANSLATION))  # of a text's template

START = ErrorTable(
    "twilio.start",
    {
        **_ANY,
        # A 404 stands for an unknown locale or for a deleted Service. The response does not tell
        # the two apart, so the error concerns this request alone.
        NOT_FOUND: language(
            setting("check TWILIO_VERIFY_SERVICE_SID and OTP_LOCALE: Twilio does not know one")
        ),
        # This number
        21211: rejected(Refusal.NUMBER),
        21219: rejected(Refusal.NUMBER, _TRIAL),  # a call
        21608: rejected(Refusal.NUMBER, _TRIAL),  # a text
        572005: rejected(Refusal.NUMBER, _TRIAL),  # a text, the verification is not completed
        573005: rejected(Refusal.NUMBER, _TRIAL),  # a call, the verification is not completed
        60200: rejected(Refusal.NUMBER),  # invalid parameter: the number is the only free text
        60412: rejected(Refusal.NUMBER),  # Fraudulent Signup Prevention
        21614: rejected(Refusal.LANDLINE),  # not a mobile number
        60205: rejected(Refusal.LANDLINE),
        # The number's country
        21408: rejected(Refusal.COUNTRY),  # no permission for the region
        60220: rejected(Refusal.COUNTRY, _CHINA),
        60226: rejected(Refusal.COUNTRY, _CHINA),  # the message has no friendly name
        60238: rejected(Refusal.COUNTRY),  # blocked by Twilio, sanctioned countries among others
        60605: rejected(Refusal.COUNTRY),  # geographic permissions
        # This channel
        21610: rejected(Refusal.CHANNEL),  # the person answered STOP to texts
        60410: rejected(Refusal.CHANNEL),  # Fraud Guard blocks texts to the prefix for hours
        60204: rejected(Refusal.CHANNEL, _FEATURE),  # not enabled: for us, a channel or a template
        60214: rejected(Refusal.CHANNEL, _FEATURE),  # PSD2 has no calls
        60217: rejected(Refusal.CHANNEL, _FEATURE),  # the channel is not set up, e-mail for example
        60222: rejected(Refusal.CHANNEL, _FEATURE),  # no sender, documented for e-mail
        60223: rejected(Refusal.CHANNEL, _FEATURE),  # disabled in the Service
        60227: _NO_TEMPLATE,  # the template does not support the channel
        60228: _NO_TEMPLATE,  # no such template
        60408: _NO_TEMPLATE,  # a template, which only texts take
        60550: rejected(Refusal.CHANNEL, _FEATURE),  # no channel can be selected
        60602: rejected(Refusal.CHANNEL, _FEATURE),  # an application hash, for texts only
        68008: rejected(Refusal.CHANNEL, _FEATURE),  # no sender or template for WhatsApp
        # The language, on this channel
        60201: _NO_TRANSLATION,  # the translation is not approved
        60224: _NO_TRANSLATION,  # the translation needs other substitutions than we send
        60229: _NO_TRANSLATION,  # no such translation
        60252: _NO_TRANSLATION,  # no template fits
        60331: language(rejected(Refusal.CHANNEL, _SPOKEN)),  # Twilio cannot speak the language
        # Too many requests for the number. After five messages or five wrong codes Twilio refuses
        # the number until the code expires, up to ten minutes. A wait of seconds would be a false
        # promise.
        60202: BUSY,
        60203: BUSY,
        60212: BUSY,  # concurrent requests for the number
        # A setting of the Service. Both errors may concern all requests. Still, neither is about
        # the account, and Twilio does not document that every channel and country gets them.
        60206: setting("switch PSD2 off in the Verify Service"),
        60243: setting("switch custom messages off in the Verify Service"),
    },
    unlisted=rejected(Refusal.CHANNEL),
)

CHECK_OUTCOMES: Mapping[Hashable, CheckOutcome] = {
    NOT_FOUND: CheckOutcome.EXPIRED,  # expired, approved, canceled or unknown
    60202: CheckOutcome.EXHAUSTED,
}
CHECK = ErrorTable("twilio.check", _ANY, unlisted=UNCLEAR)

CANCEL = ErrorTable("twilio.cancel", _ANY)

NUMBER_LOOKUP = ErrorTable("twilio.look", _ANY)

SERVICE = ErrorTable(
    "twilio.service",
    # Nothing in this request comes from a caller, so the status is enough to blame the account.
    {**_ANY, 401: ACCOUNT, 402: ACCOUNT, 403: ACCOUNT, 404: ACCOUNT, NOT_FOUND: ACCOUNT},
)

CHECK_STATUSES: Mapping[object, CheckOutcome] = {
    "approved": CheckOutcome.APPROVED,
    "pending": CheckOutcome.MISMATCH,  # Twilio reports a wrong code by a 2xx
    "max_attempts_reached": CheckOutcome.EXHAUSTED,
    "canceled": CheckOutcome.EXPIRED,
    "deleted": CheckOutcome.EXPIRED,
    "failed": CheckOutcome.EXPIRED,
    "expired": CheckOutcome.EXPIRED,
}
"""Outcomes by the `status` in the 2xx response to a check.
https://www.twilio.com/docs/verify/api/verification-check"""

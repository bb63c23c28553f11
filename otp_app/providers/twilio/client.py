"""Twilio's client with bounds, and its error codes in our terms.

By default the SDK ignores its timeout and even switches aiohttp's off
(https://github.com/twilio/twilio-python/issues/925), reads answers of any length, warns of
aiohttp's deprecations, and drops `Retry-After`. The codes: https://www.twilio.com/docs/api/errors,
each with a page of its own. A code that is not here is judged by its HTTP status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    encode_basic_auth,
)
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from otp_app.errors import ProviderNotReached, ProviderTimedOut, Refusal
from otp_app.providers.responses import (
    ACCOUNT,
    BUSY,
    MAX_BODY,
    THROTTLED,
    UNAVAILABLE,
    UNCLEAR,
    UNNAMED_ACCOUNT,
    ErrorTable,
    Rows,
    language,
    rejected,
    require_usable_response,
    setting,
)
from otp_app.verification.models import CheckOutcome

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from aiohttp import StreamReader

    from otp_app.providers.bulkhead import Timeouts


class TwilioTransport(AsyncTwilioHttpClient):
    """Sends each request once, to its `url` alone, within bounds of time and size.

    The transport is bound to the event loop that it is made on. For a response that is not a 2xx
    it raises `VendorError` or an `OtpError`.
    """

    def __init__(self, connections: int, timeouts: Timeouts) -> None:
        super().__init__(pool_connections=False)  # the SDK's own pool has no bounds
        self._pool = ClientSession(
            connector=TCPConnector(limit=connections),
            timeout=ClientTimeout(total=timeouts.send, connect=timeouts.connect),
        )
        # aiohttp would repeat a GET whose connection closes without a response. Each number lookup
        # is a GET and has a price.
        self._pool._retry_connection = False  # noqa: SLF001 - aiohttp has no public way

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def request(  # type: ignore[override]  # as in the SDK: its base is synchronous
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the SDK's signature; never given
        allow_redirects: bool = False,  # noqa: ARG002, FBT001, FBT002 - the SDK's signature
    ) -> Response:
        """Send the request, and return a 2xx whose body the SDK can read.

        Raises:
            Refused: the status is not 2xx.
            ProviderNotReached: the request certainly never left.
            ProviderTimedOut: the request may have left, and there is no usable response.
        """
        if auth:
            headers = {**(headers or {}), "Authorization": encode_basic_auth(*auth)}
        try:
            async with self._pool.request(
                method, url, params=params, data=data, headers=headers, allow_redirects=False
            ) as answer:
                body = await _read(answer.content)
        except (ClientConnectorError, ConnectionTimeoutError) as exc:  # and DNS, TLS
            raise ProviderNotReached from exc
        except (ClientError, TimeoutError) as exc:
            raise ProviderTimedOut from exc
        require_usable_response(answer.status, body, answer.headers.get("Retry-After", ""))
        return Response(answer.status, body.decode(errors="replace"), answer.headers)


def make_client(account_sid: str, auth_token: str, transport: TwilioTransport) -> Client:
    """Return the SDK's client on *transport*."""
    client = Client(account_sid, auth_token, http_client=transport)  # type: ignore[no-untyped-call]
    client.region = client.edge = None  # TWILIO_REGION and _EDGE would rewrite the base URLs
    return client


async def _read(content: StreamReader) -> bytes:
    """Read the body, but at most `MAX_BODY` + 1 bytes. The last one shows that it is too long."""
    body = bytearray()
    while len(body) <= MAX_BODY and (chunk := await content.read(MAX_BODY + 1 - len(body))):
        body += chunk
    return bytes(body)


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

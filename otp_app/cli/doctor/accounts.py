"""Checks of the credentials of the providers' accounts. No message is sent and nothing is billed.

The check of Vonage cancels a request that cannot exist: Vonage rejects bad credentials of either
kind before it searches for the request. The balance is not checked, because it is served at another
address than VONAGE_BASE_URL. https://developer.vonage.com/en/api/verify.v2#cancelRequest

The check of Twilio Lookup looks up the number in Twilio's own documentation without a package,
which is free. https://www.twilio.com/docs/lookup/v2-api
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from aiohttp import ClientError, ClientSession, ClientTimeout, encode_basic_auth

from otp_app.cli import Finding, fail, ok, warn
from otp_app.config import NumberLookupName, ProviderName, Settings
from otp_app.config.values import revealed_text
from otp_app.providers.vendor_input import read_object
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


PROBE_TIMEOUT = 5.0  # seconds for the whole request
TOLERATED, BEARABLE = 5, 60  # seconds of clock difference: more than these warns, or fails


@dataclass(frozen=True)
class ProbeRequest:
    """An HTTP request that is free of charge and sends no message."""

    method: str
    url: str
    authorization: str = ""


@dataclass(frozen=True)
class ProbeResponse:
    """An HTTP response.

    Attributes:
        body: the JSON object in the response; empty if the body is not a JSON object.
        ahead: seconds that our clock is ahead of the server's; None without a `Date` header.
    """

    status: int
    body: Mapping[str, object]
    ahead: float | None


async def send_probe(request: ProbeRequest) -> ProbeResponse | None:
    """Send the request once. Return None if there is no response within `PROBE_TIMEOUT`.

    Redirects are not followed and proxies of the environment are not used, so the credentials
    reach no other host.
    """
    headers = {"Authorization": request.authorization} if request.authorization else {}
    asked_at = time.time()
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=PROBE_TIMEOUT)) as session,
            session.request(
                request.method, request.url, headers=headers, allow_redirects=False
            ) as answer,
        ):
            body = read_object(await answer.read()) or {}
    except (ClientError, TimeoutError):
        return None
    middle = (asked_at + time.time()) / 2
    return ProbeResponse(answer.status, body, _ahead(answer.headers.get("Date", ""), middle))


def clock_finding(response: ProbeResponse) -> Finding:
    """Compare our clock with the provider's: the lifetimes of codes, limits and tokens need it."""
    fix = "synchronise the clock of this machine (NTP)"
    if response.ahead is None:
        return warn("clock", "not compared: the provider's response has no Date", fix)
    if abs(response.ahead) <= TOLERATED:
        return ok("clock", "agrees with the provider's")
    direction = "ahead of" if response.ahead > 0 else "behind"
    what = f"is {abs(response.ahead):.0f} s {direction} the provider's"
    return (warn if abs(response.ahead) <= BEARABLE else fail)("clock", what, fix)


def _ahead(date: str, at: float) -> float | None:
    try:
        return at - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


EXAMPLE = "+14159929960"


def accounts(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the account of every service that the app would use."""
    for name in sorted({settings.provider, *settings.complete_providers()}):
        match name:
            case ProviderName.TWILIO:
                by_whatsapp = Channel.WHATSAPP in settings.channel_list
                yield from _asked(
                    "twilio", _twilio(settings), partial(_service, by_whatsapp=by_whatsapp)
                )
            case ProviderName.VONAGE:
                yield from _vonage(settings)
            case ProviderName.CONSOLE:
                yield ok("console", "needs no account, and has no clock to compare with")
    yield from _look(settings)


def _look(settings: Settings) -> Iterator[Finding]:
    match settings.number_lookup:
        case NumberLookupName.TWILIO:
            yield from _asked("twilio_lookups", _lookup(settings), _example)
        case NumberLookupName.VONAGE:
            yield ok("vonage_insights", "not checked: every request costs money")
        case NumberLookupName.OFF:
            return


def _lookup(settings: Settings) -> ProbeRequest:
    url = f"{settings.twilio_lookups_base_url}/v2/PhoneNumbers/{EXAMPLE}"
    return ProbeRequest("GET", url, _twilio_authorization(settings))


def _example(answer: ProbeResponse) -> Finding:
    if answer.status == 200 and answer.body.get("phone_number") == EXAMPLE:
        return ok("twilio_lookups", "accepts the credentials; the packages were not checked")
    return _unexpected("twilio_lookups", answer.status)


def _twilio(settings: Settings) -> ProbeRequest:
    url = f"{settings.twilio_base_url}/v2/Services/{settings.twilio_verify_service_sid}"
    return ProbeRequest("GET", url, _twilio_authorization(settings))


def _twilio_authorization(settings: Settings) -> str:
    token = revealed_text(settings.twilio_auth_token)
    return encode_basic_auth(settings.twilio_account_sid or "", token)


def _service(answer: ProbeResponse, *, by_whatsapp: bool) -> Finding:
    from otp_app.providers.twilio.provider import MIN_CODE_LENGTH, has_whatsapp_sender

    length = answer.body.get("code_length")
    if answer.status == 404:
        return fail("twilio", "has no such Service", "copy TWILIO_VERIFY_SERVICE_SID again")
    if answer.status != 200 or not isinstance(length, int):
        return _unexpected(ProviderName.TWILIO, answer.status)
    if length < MIN_CODE_LENGTH:
        fix = f"set the Service's code length to {MIN_CODE_LENGTH} or more"
        return fail("twilio", f"its codes have {length} digits", fix)
    if by_whatsapp and not has_whatsapp_sender(answer.body.get("whatsapp")):
        fix = "set one up in the Service, or take whatsapp out of CHANNELS"
        return fail("twilio", "its Service has no WhatsApp sender, and CHANNELS has whatsapp", fix)
    return ok("twilio", f"accepts the credentials; the codes have {length} digits")


def _vonage(settings: Settings) -> Iterator[Finding]:
    from jwt import PyJWTError
    from vonage_utils.errors import VonageError

    from otp_app.providers.vonage.requests import request_template

    try:
        request_template(settings.vonage_brand_name, settings.otp_locale)
        question = _cancel_nothing(settings)
    except (VonageError, PyJWTError, ValueError, OSError):
        what = "VONAGE_PRIVATE_KEY, VONAGE_BRAND_NAME, OTP_LOCALE: one of them cannot be used"
        fix = "the key must be PEM text or a path, the locale a language that Vonage supports"
        yield fail("vonage", what, fix)
    else:
        yield from _asked("vonage", question, _no_such_request)


def _cancel_nothing(settings: Settings) -> ProbeRequest:
    from otp_app.providers.vonage.client import make_auth

    application = settings.vonage_application_id, revealed_text(settings.vonage_private_key)
    key = settings.vonage_api_key or "", revealed_text(settings.vonage_api_secret)
    auth = make_auth(*key, *application)
    authorization = (
        f"Bearer {auth.generate_application_jwt().decode()}"
        if all(application)
        else encode_basic_auth(*key)
    )
    url = f"{settings.vonage_base_url}/v2/verify/{uuid4()}"
    return ProbeRequest("DELETE", url, authorization)


def _no_such_request(answer: ProbeResponse) -> Finding:
    if answer.status == 404 and "title" in answer.body:  # an RFC 9457 problem, not an HTML page
        return ok("vonage", "accepts the credentials; the balance was not checked")
    return _unexpected(ProviderName.VONAGE, answer.status)


def _asked(
    name: str, request: ProbeRequest, judge: Callable[[ProbeResponse], Finding]
) -> Iterator[Finding]:
    answer = asyncio.run(send_probe(request))
    if answer is None:
        fix = f"check that this machine can reach {name.upper()}_BASE_URL"
        yield fail(name, "does not respond, so neither the account nor the clock was checked", fix)
        return
    yield judge(answer)
    yield clock_finding(answer)


def _unexpected(name: str, status: int) -> Finding:
    """Return the finding for an HTTP *status* that every service may return on a failure."""
    match status:
        case 401 | 403:
            return fail(
                name,
                "refuses the credentials",
                f"copy {name.partition('_')[0].upper()}_… again",
            )
        case 402:
            return fail(name, "reports that the account has no money", "top it up")
        case 429 | 500 | 502 | 503 | 504:
            return warn(
                name, f"could not be checked: the response was {status}", "try again in a minute"
            )
        case _:
            what = f"is another service at this address: the response was {status}"
            return fail(name, what, f"check {name.upper()}_BASE_URL")

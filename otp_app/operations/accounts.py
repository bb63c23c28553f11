"""Checks of the credentials of the providers' accounts. No message is sent and nothing is billed.

The check of Vonage cancels a request that cannot exist: Vonage rejects bad credentials of either
kind before it searches for the request. The balance is not checked, because it is served at another
address than VONAGE_BASE_URL. https://developer.vonage.com/en/api/verify.v2#cancelRequest

The check of Twilio Lookup looks up the number in Twilio's own documentation without a package,
which is free. https://www.twilio.com/docs/lookup/v2-api
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from aiohttp import encode_basic_auth

from otp_app.config import LookName, ProviderName, Settings
from otp_app.operations.asking import Answer, Question, ask, clock
from otp_app.operations.findings import Finding, fail, ok, warn
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import SecretStr


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
                yield ok("console", "needs no account, and tells no time to compare ours with")
    yield from _look(settings)


def _look(settings: Settings) -> Iterator[Finding]:
    match settings.look:
        case LookName.TWILIO:
            yield from _asked("twilio_lookups", _lookup(settings), _example)
        case LookName.VONAGE:
            yield ok("vonage_insights", "not checked: every question to it has a price")
        case LookName.OFF:
            return


def _lookup(settings: Settings) -> Question:
    url = f"{settings.twilio_lookups_base_url}/v2/PhoneNumbers/{EXAMPLE}"
    return Question("GET", url, _twilio_authorization(settings))


def _example(answer: Answer) -> Finding:
    if answer.status == 200 and answer.body.get("phone_number") == EXAMPLE:
        return ok("twilio_lookups", "takes the credentials; its packages are not checked")
    return _unexpected("twilio_lookups", answer.status)


def _twilio(settings: Settings) -> Question:
    url = f"{settings.twilio_base_url}/v2/Services/{settings.twilio_verify_service_sid}"
    return Question("GET", url, _twilio_authorization(settings))


def _twilio_authorization(settings: Settings) -> str:
    token = _revealed(settings.twilio_auth_token)
    return encode_basic_auth(settings.twilio_account_sid or "", token)


def _service(answer: Answer, *, by_whatsapp: bool) -> Finding:
    from otp_app.providers.twilio import MIN_CODE_LENGTH, has_whatsapp_sender

    length = answer.body.get("code_length")
    if answer.status == 404:
        return fail("twilio", "has no such Service", "copy TWILIO_VERIFY_SERVICE_SID once more")
    if answer.status != 200 or not isinstance(length, int):
        return _unexpected(ProviderName.TWILIO, answer.status)
    if length < MIN_CODE_LENGTH:
        fix = f"set the Service's code length to {MIN_CODE_LENGTH} or more"
        return fail("twilio", f"its codes have {length} digits", fix)
    if by_whatsapp and not has_whatsapp_sender(answer.body.get("whatsapp")):
        fix = "set one up in the Service, or take whatsapp out of CHANNELS"
        return fail("twilio", "its Service has no WhatsApp sender, and CHANNELS has whatsapp", fix)
    return ok("twilio", f"takes the credentials; its codes have {length} digits")


def _vonage(settings: Settings) -> Iterator[Finding]:
    from jwt import PyJWTError
    from vonage import VonageError

    from otp_app.providers.vonage_requests import request_template

    try:
        request_template(settings.vonage_brand_name, settings.otp_locale)
        question = _cancel_nothing(settings)
    except (VonageError, PyJWTError, ValueError, OSError):
        what = "VONAGE_PRIVATE_KEY, VONAGE_BRAND_NAME, OTP_LOCALE: one of them cannot be used"
        fix = "the key is PEM text or the path of a file, the locale one that Vonage speaks"
        yield fail("vonage", what, fix)
    else:
        yield from _asked("vonage", question, _no_such_request)


def _cancel_nothing(settings: Settings) -> Question:
    from otp_app.providers.vonage_client import make_auth

    application = settings.vonage_application_id, _revealed(settings.vonage_private_key)
    key = settings.vonage_api_key or "", _revealed(settings.vonage_api_secret)
    auth = make_auth(*key, *application)
    authorization = (
        f"Bearer {auth.generate_application_jwt().decode()}"
        if all(application)
        else encode_basic_auth(*key)
    )
    url = f"{settings.vonage_base_url}/v2/verify/{uuid4()}"
    return Question("DELETE", url, authorization)


def _no_such_request(answer: Answer) -> Finding:
    if answer.status == 404 and "title" in answer.body:  # an RFC 9457 problem, not an HTML page
        return ok("vonage", "takes the credentials; its balance is not asked")
    return _unexpected(ProviderName.VONAGE, answer.status)


def _asked(name: str, question: Question, judge: Callable[[Answer], Finding]) -> Iterator[Finding]:
    answer = asyncio.run(ask(question))
    if answer is None:
        fix = f"see that this machine can reach {name.upper()}_BASE_URL"
        yield fail(name, "does not answer, so neither account nor clock are checked", fix)
        return
    yield judge(answer)
    yield clock(answer)


def _unexpected(name: str, status: int) -> Finding:
    """Return the finding for an HTTP *status* that every service may return on a failure."""
    match status:
        case 401 | 403:
            return fail(
                name,
                "refuses the credentials",
                f"copy {name.partition('_')[0].upper()}_… once more",
            )
        case 402:
            return fail(name, "says that the account has no money", "top it up")
        case 429 | 500 | 502 | 503 | 504:
            return warn(name, f"could not be checked: it says {status}", "ask again in a minute")
        case _:
            what = f"what answers is not its service: it says {status}"
            return fail(name, what, f"see that {name.upper()}_BASE_URL is right")


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""

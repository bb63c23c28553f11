"""Plain form posts: the same two forms for who has no JavaScript, or no live page yet.

The routes and field names are those of the Twilio guide's HTML forms.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from structlog.contextvars import bind_contextvars

from otp_app import i18n, routes, services
from otp_app.errors import (
    AlreadyVerified,
    CodeUsedUp,
    OtpError,
    StoreUnavailable,
    Unexpected,
)
from otp_app.i18n.en import (
    CHANNELS,
    CODE_USED_ELSEWHERE,
    GO_ON_ELSEWHERE,
    NOT_CONFIRMED_HERE,
    NOTHING_DONE,
    OTHER_CHANNELS,
    PAGE_EXPIRED,
    REFERENCE,
    SERVICE_PROBLEM,
    WENT_WRONG,
    WENT_WRONG_UNTIL,
    WHAT_WAS_ENTERED,
)
from otp_app.i18n.languages import languages
from otp_app.observability import reference
from otp_app.phone import PhoneNumber, named_country
from otp_app.preferences import Preferences
from otp_app.verification.inputs import parse_channel
from otp_app.verification.models import Status
from otp_app.web import sessions
from otp_app.web.own_pages import own_form
from otp_app.web.pages import language_of
from otp_app.web.plain_code import is_told, standing
from otp_app.web.problems import retry_after
from otp_app.web.proxies import scope_key
from otp_app.web.sessions import NOT_FINISHED, has_finished, keep_session, see_other

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.requests import Request

    from otp_app.i18n.languages import Language
    from otp_app.theme.settings import Theme
    from otp_app.verification.limits import Client
    from otp_app.verification.models import Verification
    from otp_app.verification.sessions import Token
    from otp_app.web.pages import Words

_OWN = {routes.PHONE, routes.CODE, routes.VERIFIED, routes.VERIFY_OTP}
_A_YEAR = 365 * 24 * 3600  # seconds
A_FEW_MINUTES = 120  # seconds after which to try what is down: long enough for most restarts
FORBIDDEN, UNAVAILABLE = 403, 503

log = structlog.get_logger(__name__)

TEMPLATES = Path(__file__).with_name("templates")
_pages = Jinja2Templates(TEMPLATES)


def build(brand: str, theme: Theme, allowed_origins: Sequence[str], words: Words) -> Starlette:
    """The routes. What they do not know falls through to Reflex."""
    app = Starlette(
        routes=[
            Route(routes.REQUEST_OTP, _request_otp, methods=["POST"]),
            Route(routes.VERIFY_OTP, _code, methods=["GET"]),
            Route(routes.VERIFY_OTP, _verify_otp, methods=["POST"]),
            Route(routes.RESEND_OTP, _resend_otp, methods=["POST"]),
            Route(routes.LANGUAGE, _choose_language, methods=["POST"]),
            Route(routes.COUNTRIES, words.serve_countries, methods=["GET"]),
            Route(routes.DEV_COOKIE, _dev_cookie, methods=["GET"]),
            *sessions.ROUTES,
        ],
        exception_handlers={
            StoreUnavailable: _unavailable,
            FORBIDDEN: _refused,
            NOT_FINISHED: _not_finished,
            Exception: _crashed,
        },
    )
    app.state.brand, app.state.allowed_origins = brand, allowed_origins
    app.state.words, app.state.theme = words, theme
    return app


async def _request_otp(request: Request) -> Response:
    """Send a code to the `number` (or `phone`) in the form."""
    form = await own_form(request)
    text = form.get("number", form.get("phone", ""))
    try:
        phone = PhoneNumber.parse(text, form.get("country", ""))
        verifications = services.current().verifications
        channel = parse_channel(form.get("channel", ""), verifications.channels)
        client = await _client(request)
        await verifications.start(client, phone, channel)
    except OtpError as exc:
        action = {"action": routes.REQUEST_OTP, "page": routes.PHONE}
        return _again(request, "phone", exc, text, action | _choices(request, form, text))
    return _to_the_code()


async def _code(request: Request) -> Response:
    """The code page, for a browser that runs no script.

    Raises:
        HTTPException: 409, the code was right, but the session went elsewhere.
    """
    current = await _current(request)
    if current and current.status is not Status.APPROVED:
        return _code_page(request, current)
    if current is None:
        return see_other(request, routes.PHONE)
    if await has_finished(request):
        return see_other(request, routes.VERIFIED)
    raise HTTPException(NOT_FINISHED)


async def _resend_otp(request: Request) -> Response:
    """Send the code once more, by the `channel` in the form."""
    form, verifications = await own_form(request), services.current().verifications
    try:
        channel = parse_channel(form.get("channel", ""), verifications.channels)
        client, current = await _client(request), await _current(request)
        await verifications.resend(client, current.id if current else "", channel)
    except AlreadyVerified:
        return _to_the_code()
    except OtpError as exc:
        return await _code_again(request, exc, "resend")
    return _to_the_code()


async def _verify_otp(request: Request) -> Response:
    """Check the `code` in the form, and answer with a session."""
    form = await own_form(request)
    text = form.get("code", "")
    try:
        token = await _prove(request, text)
    except AlreadyVerified:  # a double click: the session may be in the answer to the first
        return _to_the_code()
    except OtpError as exc:
        field = "resend" if isinstance(exc, CodeUsedUp) else "code"  # where the person goes on
        return await _code_again(request, exc, field, text)
    session = await services.current().sessions.find(token)
    if token is None or session is None:
        raise HTTPException(NOT_FINISHED)
    context = {
        "page": routes.VERIFIED,
        "ending": Markup("<bdi>{}</bdi>").format(session.phone.ending),
        "sign_out": routes.SIGN_OUT,
    }
    answer = _pages.TemplateResponse(request, "verified.html", _frame(request) | context)
    await keep_session(request, answer, token)
    return answer


async def _unavailable(request: Request, error: Any) -> Response:  # noqa: ANN401 - Starlette's
    """What no form can say: the database does not answer."""
    bind_contextvars(outcome=error.code)
    person = Preferences.of(request.headers)
    language = person.language
    time = i18n.clock(_later(), language, person.zone)
    sentences = [language.say(WENT_WRONG_UNTIL, time=time), *_what_to_quote(language)]
    answer = _problem(request, SERVICE_PROBLEM, sentences, error.status)
    answer.headers.update(_retry_after(error))
    return answer


async def _crashed(request: Request, error: Exception) -> Response:
    """What nobody foresaw. The log has its type, the page where it is in the log."""
    bind_contextvars(outcome=Unexpected.code)
    log.error("page.failed", error=type(error).__name__)
    language = language_of(request.headers)
    sentences = [language.say(WENT_WRONG), *_what_to_quote(language)]
    return _problem(request, SERVICE_PROBLEM, sentences, 500)


async def _not_finished(request: Request, _error: Exception) -> Response:
    """The code was right, but this browser did not get the session for it."""
    bind_contextvars(outcome="not_finished")
    say = language_of(request.headers).say
    sentences = [say(CODE_USED_ELSEWHERE), say(GO_ON_ELSEWHERE)]
    return _problem(request, NOT_CONFIRMED_HERE, sentences, NOT_FINISHED, routes.START_AGAIN)


async def _refused(request: Request, _error: Exception) -> Response:
    """A form that comes from no page of ours, as far as the browser tells."""
    nothing_done = language_of(request.headers).say(NOTHING_DONE)
    return _problem(request, PAGE_EXPIRED, [nothing_done], FORBIDDEN)


def _what_to_quote(language: Language) -> list[str]:
    quoted = language.say(REFERENCE, reference=reference())
    return [language.say(WHAT_WAS_ENTERED), quoted]


def _problem(
    request: Request, what: str, sentences: list[str], status: int, start_again: str = ""
) -> Response:
    """A page that needs no script, no socket and no database.

    "Start again" posts to *start_again*, if that is given; else it is a link to the phone page.
    """
    frame = _frame(request)
    own = {"what": language_of(request.headers).say(what), "page": routes.PHONE}
    context = frame | own | {"sentences": sentences, "start_again": start_again}
    return _pages.TemplateResponse(request, "problem.html", context, status)


def _retry_after(error: OtpError) -> dict[str, str]:
    """RFC 9110 section 10.2.3: also where we do not know ourselves how long it will take."""
    is_down = {"Retry-After": str(A_FEW_MINUTES)} if error.status == UNAVAILABLE else {}
    return retry_after(error) or is_down


def _time_to_try(error: OtpError, person: Preferences) -> str:
    """When to try what is down again, as a clock time; of other errors nothing."""
    is_down = error.status == UNAVAILABLE
    return i18n.clock(_later(), person.language, person.zone) if is_down else ""


def _later() -> datetime:
    return services.current().verifications.now() + timedelta(seconds=A_FEW_MINUTES)


async def _choose_language(request: Request) -> Response:
    """Keep the language that the person chose, and show the page again."""
    form = await own_form(request)
    tag, page = form.get("language", ""), form.get("page", "")
    answer = see_other(request, page if page in _OWN else routes.PHONE)
    if tag in languages():
        is_https = request.url.scheme == "https"
        answer.set_cookie(
            routes.LANGUAGE_COOKIE, tag, _A_YEAR, secure=is_https, httponly=True, samesite="lax"
        )
    return answer


async def _dev_cookie(request: Request) -> Response:
    """A script that brings a page of the JavaScript dev server its flow cookie and its words."""
    script = request.app.state.words.dev_script(request.headers)
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-store"})


async def _prove(request: Request, code: str) -> Token | None:
    """Check *code* for what this browser has open, and get a session for it.

    A second post of the form brings the session already, in place of the flow. A post with the
    flow of before gets no session: anybody who knows the flow cookie can send it.

    Raises:
        OtpError: as `VerificationService.check`.
    """
    here, client = services.current(), await _client(request)
    current = await here.verifications.current(client.flow)
    token = here.session_cookies.read(request.headers.get("cookie", ""))
    if current is None and client.proved:
        return token
    approved = await here.verifications.check(client, current.id if current else "", code)
    return await here.sessions.open(client.flow, approved.id)


def _to_the_code() -> Response:
    """To the plain page, and on our own port: the one with scripts has not come alive here."""
    return RedirectResponse(routes.VERIFY_OTP, 303)


async def _code_again(request: Request, error: OtpError, field: str, value: str = "") -> Response:
    """The code page once more, with what was typed and what is wrong."""
    bind_contextvars(outcome=error.code)
    with suppress(StoreUnavailable):
        return _code_page(request, await _current(request), error, field, value)
    return _code_page(request, None, error, field, value)


def _code_page(
    request: Request,
    current: Verification | None,
    error: OtpError | None = None,
    field: str = "",
    value: str = "",
) -> Response:
    person = Preferences.of(request.headers)
    language, zone = person.language, person.zone
    context = _frame(request) | {
        "page": routes.VERIFY_OTP,
        "verify": routes.VERIFY_OTP,
        "resend": routes.RESEND_OTP,
        "field": field,
        "value": value,
        "current": standing(current, language, zone) if current else None,
    }
    if error and not (current and is_told(error, current)):
        context["error"] = i18n.message(error, language=language, zone=zone, labels=OTHER_CHANNELS)
        context["try_after"] = _time_to_try(error, person)
    status = error.status if error else 200
    answer = _pages.TemplateResponse(request, "code.html", context, status)
    answer.headers.update(_retry_after(error) if error else {})
    return answer


def _again(
    request: Request,
    field: str,
    error: OtpError,
    value: str,
    action: Mapping[str, object],
) -> Response:
    """The form once more, with what was typed and what is wrong with it."""
    bind_contextvars(outcome=error.code)
    person = Preferences.of(request.headers)
    texts = {
        "field": field,
        "error": i18n.message(error, language=person.language, zone=person.zone),
        "value": value,
    }
    texts["try_after"] = _time_to_try(error, person)
    context = _frame(request) | texts | dict(action)
    answer = _pages.TemplateResponse(request, f"{field}.html", context, error.status)
    answer.headers.update(_retry_after(error))
    return answer


def _choices(request: Request, form: Mapping[str, str], number: str) -> dict[str, object]:
    """What there is to choose on the phone page, and what was: a country by *number* before all."""
    words, chosen = request.app.state.words, form.get("country", "")
    countries = words.countries(language_of(request.headers))
    wanted = (named_country(number, chosen), chosen, words.country(request.headers))
    served = {code for code, _ in countries}
    channels = {one.value: CHANNELS[one] for one in services.current().verifications.channels}
    channel = form.get("channel", "")
    return {
        "countries": countries,
        "country": next((country for country in wanted if country in served), ""),
        "channels": channels,
        "channel": channel if channel in channels else next(iter(channels)),
    }


def _frame(request: Request) -> dict[str, object]:
    """What every page needs."""
    language = language_of(request.headers)
    return {
        "brand": request.app.state.brand,
        "theme": request.app.state.theme,
        "language": language,
        "say": language.say,
        "languages": languages().values(),
        "choose_language": routes.LANGUAGE,
    }


async def _current(request: Request) -> Verification | None:
    here = services.current()
    flow = here.flows.read(request.headers.get("cookie", ""))
    return await here.verifications.current(flow) if flow else None


async def _client(request: Request) -> Client:
    cookies, language = request.headers.get("cookie", ""), language_of(request.headers).tag
    return await services.current().client(cookies, scope_key(request.scope), language)

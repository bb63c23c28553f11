"""Plain form posts: the phone and code forms for browsers without JavaScript or a live socket.

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
A_FEW_MINUTES = 120  # seconds to wait during an outage; enough for most restarts
FORBIDDEN, UNAVAILABLE = 403, 503

log = structlog.get_logger(__name__)

TEMPLATES = Path(__file__).with_name("templates")
_pages = Jinja2Templates(TEMPLATES)


def build(brand: str, theme: Theme, allowed_origins: Sequence[str], words: Words) -> Starlette:
    """Build the app of the plain forms. Paths without a route fall through to Reflex."""
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
    """Render the code page for a browser that runs no script.

    Raises:
        HTTPException: 409, the code was right, but this browser did not get the session.
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
    """Check the `code` in the form, and set a session cookie if it is right."""
    form = await own_form(request)
    text = form.get("code", "")
    try:
        token = await _prove(request, text)
    except AlreadyVerified:  # a double click: the first response may set the session
        return _to_the_code()
    except OtpError as exc:
        field = "resend" if isinstance(exc, CodeUsedUp) else "code"  # the next step is there
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
    """Render the 503 page for a database outage."""
    bind_contextvars(outcome=error.code)
    person = Preferences.of(request.headers)
    language = person.language
    time = i18n.clock(_later(), language, person.zone)
    sentences = [language.say(WENT_WRONG_UNTIL, time=time), *_what_to_quote(language)]
    answer = _problem(request, SERVICE_PROBLEM, sentences, error.status)
    answer.headers.update(_retry_after(error))
    return answer


async def _crashed(request: Request, error: Exception) -> Response:
    """Render the 500 page for an unexpected error, with the reference of its line in the log.

    The log gets the type of the error only.
    """
    bind_contextvars(outcome=Unexpected.code)
    log.error("page.failed", error=type(error).__name__)
    language = language_of(request.headers)
    sentences = [language.say(WENT_WRONG), *_what_to_quote(language)]
    return _problem(request, SERVICE_PROBLEM, sentences, 500)


async def _not_finished(request: Request, _error: Exception) -> Response:
    """Render the 409 page: the code was right, but this browser did not get the session."""
    bind_contextvars(outcome="not_finished")
    say = language_of(request.headers).say
    sentences = [say(CODE_USED_ELSEWHERE), say(GO_ON_ELSEWHERE)]
    return _problem(request, NOT_CONFIRMED_HERE, sentences, NOT_FINISHED, routes.START_AGAIN)


async def _refused(request: Request, _error: Exception) -> Response:
    """Render the 403 page for a form that another origin sent, by the browser's headers."""
    nothing_done = language_of(request.headers).say(NOTHING_DONE)
    return _problem(request, PAGE_EXPIRED, [nothing_done], FORBIDDEN)


def _what_to_quote(language: Language) -> list[str]:
    quoted = language.say(REFERENCE, reference=reference())
    return [language.say(WHAT_WAS_ENTERED), quoted]


def _problem(
    request: Request, what: str, sentences: list[str], status: int, start_again: str = ""
) -> Response:
    """Render an error page that works without scripts, a socket and the database.

    "Start again" posts to *start_again*, if given, and is a link to the phone page otherwise.
    """
    frame = _frame(request)
    own = {"what": language_of(request.headers).say(what), "page": routes.PHONE}
    context = frame | own | {"sentences": sentences, "start_again": start_again}
    return _pages.TemplateResponse(request, "problem.html", context, status)


def _retry_after(error: OtpError) -> dict[str, str]:
    """Return the `Retry-After` header (RFC 9110 section 10.2.3), with a guess for an outage."""
    is_down = {"Retry-After": str(A_FEW_MINUTES)} if error.status == UNAVAILABLE else {}
    return retry_after(error) or is_down


def _time_to_try(error: OtpError, person: Preferences) -> str:
    """Return the time of day for a retry after an outage, or "" for other errors."""
    is_down = error.status == UNAVAILABLE
    return i18n.clock(_later(), person.language, person.zone) if is_down else ""


def _later() -> datetime:
    return services.current().verifications.now() + timedelta(seconds=A_FEW_MINUTES)


async def _choose_language(request: Request) -> Response:
    """Set the cookie of the chosen language, and redirect to the page that the form names."""
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
    """Return the script that gives a page of the JavaScript dev server its translations.

    The response also sets the flow cookie.
    """
    script = request.app.state.words.dev_script(request.headers)
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-store"})


async def _prove(request: Request, code: str) -> Token | None:
    """Check *code* for this browser's open verification, and open a session.

    A second post of the form carries the session cookie and a new flow cookie. A post with the old
    flow cookie gets no session: anybody who knows that cookie can send it.

    Raises:
        OtpError: an error of `VerificationService.check`.
    """
    here, client = services.current(), await _client(request)
    current = await here.verifications.current(client.flow)
    token = here.session_cookies.read(request.headers.get("cookie", ""))
    if current is None and client.proved:
        return token
    approved = await here.verifications.check(client, current.id if current else "", code)
    return await here.sessions.open(client.flow, approved.id)


def _to_the_code() -> Response:
    """Redirect to the plain code page on this port, because the page with scripts is not live."""
    return RedirectResponse(routes.VERIFY_OTP, 303)


async def _code_again(request: Request, error: OtpError, field: str, value: str = "") -> Response:
    """Render the code page with *error* at *field*, and *value* in the field."""
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
    """Render the form named *field* with *error*, and *value* in the field."""
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
    """Return the choices of the phone page and what is selected in *form*.

    A country that *number* names comes before the chosen country, and that before the likely one.
    """
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
    """Return the template variables that every page needs."""
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

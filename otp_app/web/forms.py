"""Plain form posts: the same two forms for who has no JavaScript, or no live page yet.

The routes and field names are those of the Twilio guide's HTML forms.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from structlog.contextvars import bind_contextvars

from otp_app import i18n, routes, services
from otp_app.errors import AlreadyVerified, OtpError, StoreUnavailable
from otp_app.i18n.languages import languages
from otp_app.phone import PhoneNumber
from otp_app.verification.inputs import parse_channel
from otp_app.verification.models import Status
from otp_app.web import sessions
from otp_app.web.own_pages import require_own_page
from otp_app.web.pages import language_of
from otp_app.web.plain_code import is_told, standing
from otp_app.web.problems import retry_after
from otp_app.web.proxies import scope_key
from otp_app.web.sessions import keep_session, see_other

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from starlette.requests import Request

    from otp_app.verification.limits import Client
    from otp_app.verification.models import Verification
    from otp_app.verification.sessions import Token
    from otp_app.web.pages import Words

_OWN = {routes.PHONE, routes.CODE, routes.VERIFIED, routes.VERIFY_OTP}
_A_YEAR = 365 * 24 * 3600  # seconds

TEMPLATES = Path(__file__).with_name("templates")
_pages = Jinja2Templates(TEMPLATES)


def build(brand: str, allowed_origins: Sequence[str], words: Words) -> Starlette:
    """The routes. What they do not know falls through to Reflex."""
    app = Starlette(
        routes=[
            Route(routes.REQUEST_OTP, _request_otp, methods=["POST"]),
            Route(routes.VERIFY_OTP, _code, methods=["GET"]),
            Route(routes.VERIFY_OTP, _verify_otp, methods=["POST"]),
            Route(routes.RESEND_OTP, _resend_otp, methods=["POST"]),
            Route(routes.LANGUAGE, _choose_language, methods=["POST"]),
            Route(routes.DEV_COOKIE, _dev_cookie, methods=["GET"]),
            *sessions.ROUTES,
        ],
        exception_handlers={OtpError: _problem},
    )
    app.state.brand, app.state.allowed_origins = brand, allowed_origins
    app.state.words = words
    return app


async def _request_otp(request: Request) -> Response:
    """Send a code to the `number` (or `phone`) in the form."""
    form = await _form(request)
    text = form.get("number", form.get("phone", ""))
    try:
        phone = PhoneNumber.parse(text, form.get("country", ""))
        channel = parse_channel(form.get("channel", ""))
        client = await _client(request)
        await services.current().verifications.start(client, phone, channel)
    except OtpError as exc:
        kept = {name: form[name] for name in ("country", "channel") if name in form}
        action = {"action": routes.REQUEST_OTP, "page": routes.PHONE, "kept": kept}
        return _again(request, "phone", exc, text, action)
    return _to_the_code()


async def _code(request: Request) -> Response:
    """The code page, for who came without a script."""
    current = await _current(request)
    if current is None or current.status is Status.APPROVED:
        return see_other(request, routes.CODE if current else routes.PHONE)
    return _code_page(request, current)


async def _resend_otp(request: Request) -> Response:
    """Send the code once more, by the `channel` in the form."""
    form = await _form(request)
    try:
        channel, client = parse_channel(form.get("channel", "")), await _client(request)
        current = await _current(request)
        id_ = current.id if current else ""
        await services.current().verifications.resend(client, id_, channel)
    except AlreadyVerified:
        return see_other(request, routes.CODE)
    except OtpError as exc:
        return await _code_again(request, exc, "resend")
    return _to_the_code()


async def _verify_otp(request: Request) -> Response:
    """Check the `code` in the form, and answer with a session."""
    form = await _form(request)
    text = form.get("code", "")
    try:
        token = await _prove(request, text)
    except OtpError as exc:
        return await _code_again(request, exc, "code", text)
    session = await services.current().sessions.find(token)
    if token is None or session is None:  # it is in the answer to a post before this one
        return see_other(request, routes.VERIFIED)
    context = {
        "page": routes.VERIFIED,
        "ending": Markup("<bdi>{}</bdi>").format(session.phone.ending),
        "sign_out": routes.SIGN_OUT,
    }
    answer = _pages.TemplateResponse(request, "verified.html", _frame(request) | context)
    keep_session(answer, token)
    return answer


async def _problem(_request: Request, _error: Exception) -> Response:
    """What no form can say: the database does not answer, say."""
    return RedirectResponse(routes.PROBLEM, 303)


async def _choose_language(request: Request) -> Response:
    """Keep the language that the person chose, and show the page again."""
    form = await _form(request)
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
    script = request.app.state.words.script(request.headers)
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-store"})


async def _prove(request: Request, code: str) -> Token | None:
    """Check *code* for what this browser has open, and get a session for it.

    A second post of the form brings the session already, in place of the flow.
    """
    here, client = services.current(), await _client(request)
    current = await here.verifications.current(client.flow)
    token = here.session_cookies.read(request.headers.get("cookie", ""))
    if current is None and client.proved:
        return token
    with suppress(AlreadyVerified):
        await here.verifications.check(client, current.id if current else "", code)
    return await here.sessions.open(client.flow)


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
    language, zone = language_of(request.headers), _zone(request)
    context = _frame(request) | {
        "page": routes.VERIFY_OTP,
        "verify": routes.VERIFY_OTP,
        "resend": routes.RESEND_OTP,
        "field": field,
        "value": value,
        "current": standing(current, language, zone) if current else None,
    }
    if error and not (current and is_told(error, current)):
        context["error"] = i18n.message(error, language=language, zone=zone)
    status = error.status if error else 200
    answer = _pages.TemplateResponse(request, "code.html", context, status)
    answer.headers.update(retry_after(error) if error else {})
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
    language, zone = language_of(request.headers), _zone(request)
    texts = {
        "field": field,
        "error": i18n.message(error, language=language, zone=zone),
        "value": value,
    }
    context = _frame(request) | texts | dict(action)
    answer = _pages.TemplateResponse(request, f"{field}.html", context, error.status)
    answer.headers.update(retry_after(error))
    return answer


def _frame(request: Request) -> dict[str, object]:
    """What every page needs."""
    language = language_of(request.headers)
    return {
        "brand": request.app.state.brand,
        "language": language,
        "say": language.say,
        "languages": languages().values(),
        "choose_language": routes.LANGUAGE,
    }


def _zone(request: Request) -> tzinfo:
    return i18n.time_zone(request.cookies.get(routes.TIME_ZONE_COOKIE, ""))


async def _current(request: Request) -> Verification | None:
    here = services.current()
    flow = here.flows.read(request.headers.get("cookie", ""))
    return await here.verifications.current(flow) if flow else None


async def _form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded body, sent by a page of ours."""
    require_own_page(request)
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


async def _client(request: Request) -> Client:
    cookies, language = request.headers.get("cookie", ""), language_of(request.headers).tag
    return await services.current().client(cookies, scope_key(request.scope), language)

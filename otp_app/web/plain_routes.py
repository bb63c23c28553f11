"""Plain form posts: the phone and code forms for browsers without JavaScript or a live socket.

The routes and field names are those of the Twilio guide's HTML forms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from structlog.contextvars import bind_contextvars

from otp_app import routes, services
from otp_app.errors import (
    AlreadyVerified,
    CodeUsedUp,
    OriginRefused,
    OtpError,
    StoreUnavailable,
)
from otp_app.i18n import languages
from otp_app.i18n.en import (
    CODE_USED_ELSEWHERE,
    GO_ON_ELSEWHERE,
    NOT_CONFIRMED_HERE,
)
from otp_app.identity.requests import client_key, own_form
from otp_app.phone import PhoneNumber
from otp_app.verification.channels import parse_channel
from otp_app.verification.limits import Action
from otp_app.verification.models import Status
from otp_app.web.localized_pages import language_of
from otp_app.web.plain_pages import (
    code_page,
    code_page_with_error,
    crash_page,
    current_verification,
    forbidden_page,
    page_context,
    pages,
    phone_page_choices,
    phone_page_with_error,
    problem,
    store_unavailable_page,
)
from otp_app.web.sessions import NOT_FINISHED, has_finished, see_other, set_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.types import ExceptionHandler

    from otp_app.verification.client import Client
    from otp_app.verification.sessions import Token

_RETURN_PAGES = {routes.PHONE, routes.CODE, routes.VERIFIED, routes.VERIFY_OTP}
_A_YEAR = 365 * 24 * 3600  # seconds


async def _request_otp(request: Request) -> Response:
    """Send a code to the `number` (or `phone`) in the form."""
    form = await own_form(request)
    text = form.get("number", form.get("phone", ""))
    verifications, gate = services.current().verifications, services.current().gate
    try:
        with gate.admit(Action.SEND):
            phone = PhoneNumber.parse(text, form.get("country", ""))
            channel = parse_channel(form.get("channel", ""), verifications.channels)
            await verifications.start(await _client(request), phone, channel)
    except OtpError as exc:
        action = {"action": routes.REQUEST_OTP, "page": routes.PHONE}
        return phone_page_with_error(
            request, "phone", exc, text, action | phone_page_choices(request, form, text)
        )
    return _redirect_to_code()


async def _code(request: Request) -> Response:
    """Render the code page for a browser that runs no script.

    Raises:
        HTTPException: 409, the code was right, but this browser did not get the session.
    """
    current = await current_verification(request)
    if current and current.status is not Status.APPROVED:
        return code_page(request, current)
    if current is None:
        return see_other(request, routes.PHONE)
    if await has_finished(request):
        return see_other(request, routes.VERIFIED)
    raise HTTPException(NOT_FINISHED)


async def _resend_otp(request: Request) -> Response:
    """Send the code once more, by the `channel` in the form."""
    form = await own_form(request)
    verifications, gate = services.current().verifications, services.current().gate
    try:
        with gate.admit(Action.SEND):
            channel = parse_channel(form.get("channel", ""), verifications.channels)
            client, current = await _client(request), await current_verification(request)
            await verifications.resend(client, current.id if current else "", channel)
    except AlreadyVerified:
        return _redirect_to_code()
    except OtpError as exc:
        return await code_page_with_error(request, exc, "resend")
    return _redirect_to_code()


async def _verify_otp(request: Request) -> Response:
    """Check the `code` in the form, and set a session cookie if it is right."""
    form = await own_form(request)
    text = form.get("code", "")
    try:
        with services.current().gate.admit(Action.CHECK):
            token = await _verify(request, text)
    except AlreadyVerified:  # a double click: the first response may set the session
        return _redirect_to_code()
    except OtpError as exc:
        field = "resend" if isinstance(exc, CodeUsedUp) else "code"  # the next step is there
        return await code_page_with_error(request, exc, field, text)
    session = await services.current().sessions.find(token)
    if token is None or session is None:
        raise HTTPException(NOT_FINISHED)
    context = {
        "page": routes.VERIFIED,
        "ending": Markup("<bdi>{}</bdi>").format(session.phone.ending),
        "sign_out": routes.SIGN_OUT,
    }
    answer = pages.TemplateResponse(request, "verified.html", page_context(request) | context)
    await set_session(request, answer, token)
    return answer


async def _not_finished(request: Request, _error: Exception) -> Response:
    """Render the 409 page: the code was right, but this browser did not get the session."""
    bind_contextvars(outcome="not_finished")
    language = language_of(request.headers)
    sentences = [language.t(CODE_USED_ELSEWHERE), language.t(GO_ON_ELSEWHERE)]
    return problem(request, NOT_CONFIRMED_HERE, sentences, NOT_FINISHED, routes.START_AGAIN)


async def _choose_language(request: Request) -> Response:
    """Set the cookie of the chosen language, and redirect to the page that the form names."""
    form = await own_form(request)
    tag, page = form.get("language", ""), form.get("page", "")
    answer = see_other(request, page if page in _RETURN_PAGES else routes.PHONE)
    if tag in languages():
        is_https = request.url.scheme == "https"
        answer.set_cookie(
            routes.LANGUAGE_COOKIE, tag, _A_YEAR, secure=is_https, httponly=True, samesite="lax"
        )
    return answer


async def _verify(request: Request, code: str) -> Token | None:
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


def _redirect_to_code() -> Response:
    """Redirect to the plain code page on this port, because the page with scripts is not live."""
    return RedirectResponse(routes.VERIFY_OTP, 303)


async def _client(request: Request) -> Client:
    cookies, language = request.headers.get("cookie", ""), language_of(request.headers).tag
    return await services.current().callers.client(cookies, client_key(request.scope), language)


ROUTES = [
    Route(routes.REQUEST_OTP, _request_otp, methods=["POST"]),
    Route(routes.VERIFY_OTP, _code, methods=["GET"]),
    Route(routes.VERIFY_OTP, _verify_otp, methods=["POST"]),
    Route(routes.RESEND_OTP, _resend_otp, methods=["POST"]),
    Route(routes.LANGUAGE, _choose_language, methods=["POST"]),
]

EXCEPTION_HANDLERS: Mapping[int | type[Exception], ExceptionHandler] = {
    StoreUnavailable: store_unavailable_page,
    OriginRefused: forbidden_page,
    NOT_FINISHED: _not_finished,
    Exception: crash_page,
}
"""Error pages, by the status or type of the exception."""

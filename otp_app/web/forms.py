"""Plain form posts: the same two forms for who has no JavaScript, or no live page yet.

The routes and field names are those of the Twilio guide's HTML forms.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from otp_app import i18n, routes, services
from otp_app.errors import AlreadyVerified, FlowMissing, OtpError
from otp_app.phone import PhoneNumber
from otp_app.verification.inputs import parse_channel
from otp_app.verification.limits import Client
from otp_app.web.problems import retry_after
from otp_app.web.proxies import scope_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

    from otp_app.verification.models import Verification

_SAME_SITE = {"same-origin", "none", None}  # Sec-Fetch-Site; old browsers send none of it
TEMPLATES = Path(__file__).with_name("templates")
_pages = Jinja2Templates(TEMPLATES)


def build(brand: str, allowed_origins: Sequence[str]) -> Starlette:
    """The routes. What they do not know falls through to Reflex."""
    app = Starlette(
        routes=[
            Route(routes.REQUEST_OTP, _request_otp, methods=["POST"]),
            Route(routes.VERIFY_OTP, _verify_otp, methods=["POST"]),
            Route(routes.DEV_COOKIE, _dev_cookie, methods=["GET"]),
        ]
    )
    app.state.brand, app.state.allowed_origins = brand, allowed_origins
    return app


async def _request_otp(request: Request) -> Response:
    """Send a code to the `number` (or `phone`) in the form."""
    form = await _form(request)
    text = form.get("number", form.get("phone", ""))
    try:
        phone = PhoneNumber.parse(text, form.get("country", ""))
        channel = parse_channel(form.get("channel", ""))
        await services.current().verifications.start(_client(request), phone, channel)
    except OtpError as exc:
        kept = {name: form[name] for name in ("country", "channel") if name in form}
        action = {"action": routes.REQUEST_OTP, "label": "Mobile number", "kept": kept}
        return _again(request, "phone", "Enter your phone number", exc, text, action)
    return RedirectResponse(routes.CODE, 303)


async def _verify_otp(request: Request) -> Response:
    """Check the `code` in the form."""
    form = await _form(request)
    text = form.get("code", "")
    try:
        verification = await _check(_client(request), text)
    except OtpError as exc:
        action = {"action": routes.VERIFY_OTP, "label": "Security code", "kept": {}}
        return _again(request, "code", "Check your phone", exc, text, action)
    context = {
        "title": "Your number is confirmed",
        "brand": request.app.state.brand,
        "ending": verification.phone.ending,
    }
    return _pages.TemplateResponse(request, "verified.html", context)


async def _dev_cookie(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    """An empty script, to carry the flow cookie to a page of the JavaScript dev server."""
    return Response(media_type="text/javascript", headers={"Cache-Control": "no-store"})


async def _check(client: Client, code: str) -> Verification:
    """Check *code* for what this browser has open; a second post of the form is a yes again."""
    verifications = services.current().verifications
    current = await verifications.current(client.flow)
    try:
        return await verifications.check(client, current.id if current else "", code)
    except AlreadyVerified:
        if current is None:
            raise
        return current


def _again(
    request: Request,
    field: str,
    title: str,
    error: OtpError,
    value: str,
    action: Mapping[str, object],
) -> Response:
    """The form once more, with what was typed and what is wrong with it."""
    zone = i18n.time_zone(request.cookies.get(routes.TIME_ZONE_COOKIE, ""))
    texts = {
        "brand": request.app.state.brand,
        "title": title,
        "field": field,
        "error": i18n.message(error, zone=zone),
        "value": value,
    }
    answer = _pages.TemplateResponse(request, f"{field}.html", {**texts, **action}, error.status)
    answer.headers.update(retry_after(error))
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a urlencoded body, sent by a page of ours."""
    _require_same_site(request)
    body = await request.body()
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _require_same_site(request: Request) -> None:
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    # A page that sends no referrer does not say its origin either (Fetch, "append a request
    # `Origin` header"); then the browser's word for it has to be there.
    hidden = origin == "null" and site == "same-origin"
    ours = hidden or origin is None or origin in request.app.state.allowed_origins
    if not ours or site not in _SAME_SITE:
        raise HTTPException(403)


def _client(request: Request) -> Client:
    flow = services.current().flows.read(request.headers.get("cookie", ""))
    if flow is None:
        raise FlowMissing
    return Client(flow, scope_key(request.scope))

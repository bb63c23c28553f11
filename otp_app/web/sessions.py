"""The exchange of an approval for a session, and the end of a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.identity.requests import own_form, require_own_page
from otp_app.verification.models import Status
from otp_app.web.headers import on_response_start

if TYPE_CHECKING:
    from starlette.datastructures import MutableHeaders
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.verification.sessions import Token


class FlowCookieMiddleware:
    """Sets the cookie with every page, so that the socket that the page opens carries it.

    Under `reflex run` the cookie comes with `routes.DEV_COOKIE`: see `otp_app/web/dev_server.py`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "http" and scope["method"] == "GET":
            send = _setting_cookie(scope, send)
        await self.app(scope, receive, send)


def _setting_cookie(scope: Scope, send: Send) -> Send:
    flows = services.current().flows
    cookie = flows.renewed(Headers(scope=scope).get("cookie", ""))

    def set_cookie(headers: MutableHeaders, _status: int) -> None:
        is_page = headers.get("content-type", "").startswith("text/html")
        if cookie and (is_page or scope["path"] == routes.DEV_COOKIE):
            headers.append("set-cookie", flows.set_cookie(cookie))

    return on_response_start(send, set_cookie)


NOT_FINISHED = 409
"""The status for a browser that does not get the session although the code was right."""

_Need = Callable[[str], Awaitable[bool]]
"""A condition for a page: whether the browser with this `Cookie` header may see it."""


async def set_session(request: Request, answer: Response, token: Token) -> None:
    """Set the session cookie and a new flow cookie, because others may know the old flow.

    The response also sets the device cookie, which outlives the session.
    """
    here = services.current()
    answer.headers.append("set-cookie", here.session_cookies.set_cookie(token))
    if session := await here.sessions.find(token):
        device = here.devices.set_cookie(request.headers.get("cookie", ""), session.phone)
        answer.headers.append("set-cookie", device)
    _renew_flow(answer)


def see_other(request: Request, path: str) -> Response:
    """Redirect to *path* on the port that the page came from: `reflex run` has two ports."""
    origin = request.headers.get("origin")
    base = origin if origin in request.app.state.allowed_origins else ""
    return RedirectResponse(f"{base}{path}", 303)


async def has_finished(request: Request) -> bool:
    """Return True if the browser has a session and no approval for another number."""
    here, cookies = services.current(), request.headers.get("cookie", "")
    session, flow = await here.callers.session(cookies), here.flows.read(cookies)
    current = await here.verifications.current(flow) if flow else None
    if session is None or current is None or current.status is not Status.APPROVED:
        return session is not None
    return session.phone == current.phone


async def _finish(request: Request) -> Response:
    """Exchange the `proof` in the form for a session.

    Raises:
        HTTPException: 409, the proof is missing or invalid, was used before or is too old.
    """
    form = await own_form(request)
    here, cookies = services.current(), request.headers.get("cookie", "")
    flow = here.flows.read(cookies)
    id_ = here.proofs.open(form.get("proof", ""), flow) if flow else None
    if flow and id_ and (token := await here.sessions.open(flow, id_)):
        answer = see_other(request, routes.VERIFIED)
        await set_session(request, answer, token)
        return answer
    if await has_finished(request):  # another tab made the exchange first
        return see_other(request, routes.VERIFIED)
    raise HTTPException(NOT_FINISHED)


async def _start_again(request: Request) -> Response:
    """Set a new flow cookie. An approval of the old flow can no longer become a session."""
    require_own_page(request)
    answer = see_other(request, routes.PHONE)
    _renew_flow(answer)
    return answer


async def _sign_out(request: Request) -> Response:
    """End the session everywhere. The device cookie stays: it affects message limits only."""
    require_own_page(request)
    here = services.current()
    await here.sessions.end(here.session_cookies.read(request.headers.get("cookie", "")))
    answer = see_other(request, routes.PHONE)
    answer.headers.append("set-cookie", here.session_cookies.delete_cookie())
    _renew_flow(answer)
    return answer


def _renew_flow(answer: Response) -> None:
    flows = services.current().flows
    answer.headers.append("set-cookie", flows.set_cookie(flows.mint()))


ROUTES = [
    Route(routes.FINISH, _finish, methods=["POST"]),
    Route(routes.START_AGAIN, _start_again, methods=["POST"]),
    Route(routes.SIGN_OUT, _sign_out, methods=["POST"]),
]


class PageGate:
    """Redirects visitors who may not see the requested page, before any HTML is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        needs = _need_of(scope["path"]) if scope["type"] == "http" else None
        cookies = Headers(scope=scope).get("cookie", "") if needs else ""
        if needs is None or await needs(cookies):
            await self.app(scope, receive, send)
            return
        elsewhere = routes.VERIFIED if await _has_session(cookies) else routes.PHONE
        await RedirectResponse(elsewhere, 303)(scope, receive, send)


def _need_of(path: str) -> _Need | None:
    """Return the condition for the page at *path*, or None if everybody may see the page."""
    return _NEEDS.get(routes.page_at(path))


async def _has_session(cookie_header: str) -> bool:
    return await services.current().callers.session(cookie_header) is not None


async def _has_verification(cookie_header: str) -> bool:
    here = services.current()
    flow = here.flows.read(cookie_header)
    return flow is not None and await here.verifications.current(flow) is not None


_NEEDS: dict[str, _Need] = {routes.VERIFIED: _has_session, routes.CODE: _has_verification}

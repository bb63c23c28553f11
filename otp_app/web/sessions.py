"""Where an approval becomes a session, and where a session ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.verification.models import Status
from otp_app.web.own_pages import own_form, require_own_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.verification.sessions import Token


NOT_FINISHED = 409
"""The status of an answer to a browser that did not get the session for a right code."""

_Need = Callable[[str], Awaitable[bool]]
"""Whether the browser with these cookies may have a page."""


async def keep_session(request: Request, answer: Response, token: Token) -> None:
    """Give the browser its session, and a flow that nobody knows in place of the one it used.

    The device cookie comes along: it is there when the session is over.
    """
    here = services.current()
    answer.headers.append("set-cookie", here.session_cookies.set_cookie(token))
    if session := await here.sessions.find(token):
        device = here.devices.set_cookie(request.headers.get("cookie", ""), session.phone)
        answer.headers.append("set-cookie", device)
    _renew_flow(answer)


def see_other(request: Request, path: str) -> Response:
    """Go on to *path*, on the port that the page came from: `reflex run` has two."""
    origin = request.headers.get("origin")
    base = origin if origin in request.app.state.allowed_origins else ""
    return RedirectResponse(f"{base}{path}", 303)


async def has_finished(request: Request) -> bool:
    """True if the browser has a session and no approval for another number."""
    here, cookies = services.current(), request.headers.get("cookie", "")
    session, flow = await here.session(cookies), here.flows.read(cookies)
    current = await here.verifications.current(flow) if flow else None
    if session is None or current is None or current.status is not Status.APPROVED:
        return session is not None
    return session.phone == current.phone


async def _finish(request: Request) -> Response:
    """Exchange the `proof` in the form for a session.

    Raises:
        HTTPException: 409, this page did not check the code, or the exchange was made or is late.
    """
    form = await own_form(request)
    here, cookies = services.current(), request.headers.get("cookie", "")
    flow = here.flows.read(cookies)
    id_ = here.proofs.open(form.get("proof", ""), flow) if flow else None
    if flow and id_ and (token := await here.sessions.open(flow, id_)):
        answer = see_other(request, routes.VERIFIED)
        await keep_session(request, answer, token)
        return answer
    if await has_finished(request):  # another tab was first
        return see_other(request, routes.VERIFIED)
    raise HTTPException(NOT_FINISHED)


async def _start_again(request: Request) -> Response:
    """Give the browser a new flow: what the old one got approved cannot be exchanged any more."""
    require_own_page(request)
    answer = see_other(request, routes.PHONE)
    _renew_flow(answer)
    return answer


async def _sign_out(request: Request) -> Response:
    """End the session everywhere. The device cookie stays: it is worth nothing but messages."""
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
    """Leads on who has nothing to do on the page that they ask for, before anything is loaded."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        needs = _need_of(scope["path"]) if scope["type"] == "http" else None
        cookies = Headers(scope=scope).get("cookie", "") if needs else ""
        if needs is None or await needs(cookies):
            await self.app(scope, receive, send)
            return
        elsewhere = routes.VERIFIED if await _has_session(cookies) else routes.PHONE
        await RedirectResponse(elsewhere, 303)(scope, receive, send)


def _need_of(path: str) -> _Need | None:
    """The condition for the page at *path*, if it has one."""
    return _NEEDS.get(routes.page_at(path))


async def _has_session(cookie_header: str) -> bool:
    return await services.current().session(cookie_header) is not None


async def _has_verification(cookie_header: str) -> bool:
    here = services.current()
    flow = here.flows.read(cookie_header)
    return flow is not None and await here.verifications.current(flow) is not None


_NEEDS: dict[str, _Need] = {routes.VERIFIED: _has_session, routes.CODE: _has_verification}

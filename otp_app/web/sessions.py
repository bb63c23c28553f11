"""Where an approval becomes a session, and where a session ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.web.own_pages import require_own_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.verification.sessions import Token


def keep_session(answer: Response, token: Token) -> None:
    """Give the browser its session, and a flow that nobody knows in place of the one it used."""
    here = services.current()
    answer.headers.append("set-cookie", here.session_cookies.set_cookie(token))
    _renew_flow(answer)


def see_other(request: Request, path: str) -> Response:
    """Go on to *path*, on the port that the page came from: `reflex run` has two."""
    origin = request.headers.get("origin")
    base = origin if origin in request.app.state.allowed_origins else ""
    return RedirectResponse(f"{base}{path}", 303)


async def _finish(request: Request) -> Response:
    """Exchange what this browser got approved for a session."""
    require_own_page(request)
    here, header = services.current(), request.headers.get("cookie", "")
    flow = here.flows.read(header)
    if flow and (token := await here.sessions.open(flow)):
        answer = see_other(request, routes.VERIFIED)
        keep_session(answer, token)
        return answer
    if await here.session(header):  # a second tab was first
        return see_other(request, routes.VERIFIED)
    answer = see_other(request, routes.PHONE)
    _renew_flow(answer)  # what this one got approved is worth nothing any more
    return answer


async def _sign_out(request: Request) -> Response:
    """End the session everywhere."""
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
    Route(routes.SIGN_OUT, _sign_out, methods=["POST"]),
]


class SuccessGate:
    """Hands the success page out to those only who have a session."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and scope["path"].startswith(routes.VERIFIED):
            elsewhere = await _elsewhere(Headers(scope=scope).get("cookie", ""))
            if elsewhere:
                await RedirectResponse(elsewhere, 303)(scope, receive, send)
                return
        await self.app(scope, receive, send)


async def _elsewhere(cookie_header: str) -> str | None:
    """Where to go for who may not see the success page."""
    return None if await services.current().session(cookie_header) else routes.PHONE

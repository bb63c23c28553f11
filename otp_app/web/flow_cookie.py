"""Sets the flow cookie of every browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from otp_app import routes, services

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class FlowCookie:
    """Sets the cookie with every page, so that the socket that the page opens carries it.

    Under `reflex run` the JavaScript dev server serves the pages, without this middleware. There
    the page's head first loads `routes.DEV_COOKIE` from the backend.
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

    async def send_with_cookie(message: Message) -> None:
        if cookie and message["type"] == "http.response.start" and _carries(scope, message):
            MutableHeaders(scope=message).append("set-cookie", flows.set_cookie(cookie))
        await send(message)

    return send_with_cookie


def _carries(scope: Scope, message: Message) -> bool:
    kind = Headers(scope=message).get("content-type", "")
    return kind.startswith("text/html") or scope["path"] == routes.DEV_COOKIE

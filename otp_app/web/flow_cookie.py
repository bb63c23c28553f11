"""Gives every browser its flow cookie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from otp_app import routes, services

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class FlowCookie:
    """Sets the cookie on every page, so that the socket which follows carries it already.

    With `reflex run` the pages come from the JavaScript dev server, which nobody stands in front
    of: there the page's head loads `routes.DEV_COOKIE` from us first.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
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

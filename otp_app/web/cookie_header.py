"""One `Cookie` header for each request, so that every reader sees the same cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app.cookies import with_one_cookie_header

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class OneCookieHeader:
    """Joins the `Cookie` lines of a request, because `Headers.get` returns the first line only.

    A browser may split its cookies over several lines in HTTP/2, and a proxy may pass the lines on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "headers": with_one_cookie_header(scope["headers"])}
        await self.app(scope, receive, send)

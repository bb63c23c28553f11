"""Cookies that a route decides on, with whatever answer goes out in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


_STATE = "set_cookies"  # of the request: `Set-Cookie` headers


def keep_cookie(request: Request, header: str) -> None:
    """Send the `Set-Cookie` *header* with the answer to *request*, whatever that is."""
    request.scope["state"].setdefault(_STATE, []).append(header)


class SetCookie:
    """Sends the cookies that `keep_cookie` was called with.

    A failure needs it as well: who asks again after a start without an answer must be found to be
    the one who asked before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        state = scope.setdefault("state", {})

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                for header in state.get(_STATE, ()):
                    MutableHeaders(scope=message).append("set-cookie", header)
            await send(message)

        await self.app(scope, receive, send_with_cookie)

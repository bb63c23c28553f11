"""Cookies that routes set on the response, even if the response is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


_STATE = "set_cookies"  # the key in the request's state for the list of `Set-Cookie` headers


def keep_cookie(request: Request, header: str) -> None:
    """Send the `Set-Cookie` *header* with the response to *request*, even with an error."""
    request.scope["state"].setdefault(_STATE, []).append(header)


class SetCookie:
    """Middleware that adds the cookies of `keep_cookie` to the response.

    Error responses need the cookies as well: a start may end in an error after the message was
    sent, and the browser's next request must be recognised as one of the same browser.
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

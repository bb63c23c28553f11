"""Cookies that a route decides on, with whatever answer goes out in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class SetCookie:
    """Sends what is in `request.state.set_cookie`.

    A failure needs it as well: who asks again after a start without an answer must be found to be
    the one who asked before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        state = scope.setdefault("state", {})

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start" and "set_cookie" in state:
                MutableHeaders(scope=message).append("set-cookie", state["set_cookie"])
            await send(message)

        await self.app(scope, receive, send_with_cookie)

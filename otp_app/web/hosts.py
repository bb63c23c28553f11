"""Refuses requests that are for another host, or for two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class OneHost(TrustedHostMiddleware):
    """Starlette's, but for requests with several Host headers: it would believe the first.

    A proxy in front of us may have believed the last. RFC 9112 section 3.2 wants a 400.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_asked = scope["type"] in {"http", "websocket"}
        if is_asked and len(Headers(scope=scope).getlist("host")) > 1:
            await PlainTextResponse("Several hosts", 400)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

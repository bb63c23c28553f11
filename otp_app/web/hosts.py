"""Refuses requests for a host that is not ours, and requests with several hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


class OneHost(TrustedHostMiddleware):
    """Starlette's check of the Host header, which also refuses several Host headers with a 400.

    Starlette checks the first header only, and a proxy may have used the last one. RFC 9112
    section 3.2 requires the 400.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_asked = scope["type"] in {"http", "websocket"}
        if is_asked and len(Headers(scope=scope).getlist("host")) > 1:
            await PlainTextResponse("Several hosts", 400)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

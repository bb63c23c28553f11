"""Adds the request's reference and the browser's session name to every line of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers
from structlog.contextvars import clear_contextvars, get_contextvars

from otp_app import services
from otp_app.flows import short_name
from otp_app.observability import begin

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READS = {"GET", "HEAD", "OPTIONS"}  # the access log of the proxy or server has these requests

log = structlog.get_logger(__name__)


class LogContext:
    """Begins the log context of a request or socket, and logs the outcome of every post.

    The events of a socket run in tasks of their own, whose context `EventGate` begins.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] in {"http", "websocket"}:
            begin(**session(Headers(scope=scope).get("cookie", "")))
        if scope["type"] == "http" and scope["method"] not in _READS:
            send = _logged(scope, send)
        try:
            await self.app(scope, receive, send)
        finally:
            clear_contextvars()


def session(cookies: str) -> dict[str, str]:
    """Return the field `session`, the browser's name in the log, if *cookies* have a flow.

    *cookies* is a `Cookie` header.
    """
    flow = services.current().flows.read(cookies)
    return {"session": short_name(flow)} if flow else {}


def _logged(scope: Scope, send: Send) -> Send:
    async def send_and_log(message: Message) -> None:
        await send(message)
        if message["type"] == "http.response.start":
            status = message["status"]
            outcome = get_contextvars().get("outcome", "ok" if status < 400 else "refused")
            what = {"method": scope["method"], "path": scope["path"], "status": status}
            log.info("http.answered", outcome=outcome, **what)

    return send_and_log

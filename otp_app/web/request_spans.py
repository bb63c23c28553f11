"""A trace span for each HTTP request. Imported only if traces are exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, StatusCode

from otp_app import routes, services

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ROUTES = frozenset(
    {
        routes.PHONE,
        routes.CODE,
        routes.VERIFIED,
        routes.PROBLEM,
        routes.REQUEST_OTP,
        routes.VERIFY_OTP,
        routes.FINISH,
        routes.SIGN_OUT,
        routes.LANGUAGE,
        *routes.GUIDES,
        routes.VERIFICATIONS,
        routes.VONAGE_WEBHOOK,
        routes.TWILIO_WEBHOOK,
    }
)
"""Paths that get a span. Probes, which come every few seconds, and files get none."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestSpans:
    """Records a span for each request to one of our routes.

    Names and attributes follow https://opentelemetry.io/docs/specs/semconv/http/http-spans/, except
    that address, query and headers are left out. Every span starts a new trace: trace ids in a
    request are ignored, because anybody can make them up.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        tracer = services.current().tracer if scope["type"] == "http" else None
        if tracer is None or scope["path"] not in _ROUTES:
            await self.app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        with tracer.start_as_current_span(
            f"{method} {scope['path']}",
            Context(),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": scope["path"]},
            record_exception=False,
        ) as span:
            await self.app(scope, receive, _noting(span, send))


def _noting(span: Span, send: Send) -> Send:
    async def send_and_note(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= 500:
                span.set_status(StatusCode.ERROR)
        await send(message)

    return send_and_note

"""OpenTelemetry traces of requests, events and calls to providers, without personal data.

The app imports this module only if traces are enabled. A thread with a bounded queue exports the
spans. If the collector is not reachable, spans are lost and no request waits. The settings are the
standard variables `OTEL_…`:
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Thread
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode

from otp_app import routes, services
from otp_app.reflex_compat import otel as reflex_otel
from otp_app.verification.audit import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.verification.audit import CallResult, ProviderCall

PATIENCE = 2.0  # seconds that the stopping app waits for the export of the last spans

_ALLOWED_ATTRIBUTES = frozenset(
    {
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "reflex.event.name",
        "reflex.event.background",
        "otp.provider",
        "otp.operation",
        "otp.channel",
        "otp.country",
        "otp.outcome",
        "error.type",
    }
)
"""The attributes that are exported.

Spans of Reflex also have ids of the tab and the event, and the messages of exceptions."""


class AnonymousExporter(SpanExporter):
    """Removes personal data from spans and passes them on to *exporter*."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export *spans* with the attributes in `_ALLOWED_ATTRIBUTES` only.

        And without events and messages.
        """
        return self._exporter.export([_anonymous(span) for span in spans])

    def shutdown(self) -> None:
        """Shut down the wrapped exporter."""
        self._exporter.shutdown()


@dataclass(frozen=True)
class ProviderSpans:
    """An `Observer` that records a span for each call to a provider."""

    tracer: Tracer

    def on_result(self, call: ProviderCall, result: CallResult) -> None:
        """Record the finished span of *call* as a child of the current span."""
        end = time.time_ns()
        verification, provider = call.verification, call.verification.provider
        attributes = {
            "otp.provider": provider,
            "otp.operation": str(call.action),
            "otp.channel": str(call.channel),
            "otp.country": verification.phone.region,
            "otp.outcome": str(result.outcome),
        }
        span = self.tracer.start_span(
            f"{provider} {call.action}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=end - 1_000_000 * (result.duration_ms or 0),
        )
        if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            span.set_attribute("error.type", result.detail)
            span.set_status(StatusCode.ERROR)
        span.end(end)


@asynccontextmanager
async def tracing(exporter: SpanExporter | None = None) -> AsyncIterator[Tracer]:
    """Record spans within the context, those of Reflex included, and export them.

    Reflex's own metrics stay off, because `/metrics` has those of the app.

    Args:
        exporter: receiver of the spans; by default OTLP over HTTP.
    """
    ours = Resource.create({"service.name": "otp_app"})
    resource = ours.merge(OTELResourceDetector().detect())  # the environment takes precedence
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(
        BatchSpanProcessor(AnonymousExporter(exporter or OTLPSpanExporter()))
    )
    reflex_otel.enable(provider, NoOpMeterProvider())
    try:
        yield provider.get_tracer("otp_app")
    finally:
        reflex_otel.disable()
        await asyncio.to_thread(_shut_down, provider)


def _shut_down(provider: TracerProvider) -> None:
    """Export the last spans for at most `PROBE_TIMEOUT`.

    *provider* itself would wait 30 seconds.
    """
    last = Thread(target=provider.shutdown, daemon=True)
    last.start()
    last.join(PATIENCE)


def _anonymous(span: ReadableSpan) -> ReadableSpan:
    attributes = span.attributes or {}
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes={
            name: value for name, value in attributes.items() if name in _ALLOWED_ATTRIBUTES
        },
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


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
            await self.app(scope, receive, _recording(span, send))


def _recording(span: Span, send: Send) -> Send:
    async def send_and_note(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= 500:
                span.set_status(StatusCode.ERROR)
        await send(message)

    return send_and_note

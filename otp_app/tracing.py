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

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from reflex_base import otel as reflex_otel

from otp_app.verification.audit import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from opentelemetry.trace import Tracer

    from otp_app.verification.audit import Answer, Question

PATIENCE = 2.0  # seconds that the stopping app waits for the export of the last spans

_KEPT = frozenset(
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


class Anonymous(SpanExporter):
    """Removes personal data from spans and passes them on to *exporter*."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export *spans* with the attributes in `_KEPT` only, and without events and messages."""
        return self._exporter.export([_anonymous(span) for span in spans])

    def shutdown(self) -> None:
        """Shut down the wrapped exporter."""
        self._exporter.shutdown()


@dataclass(frozen=True)
class Spans:
    """An `Observer` that records a span for each call to a provider."""

    tracer: Tracer

    def answered(self, question: Question, answer: Answer) -> None:
        """Record the finished span of *question* as a child of the current span."""
        end = time.time_ns()
        verification, provider = question.verification, question.verification.provider
        attributes = {
            "otp.provider": provider,
            "otp.operation": str(question.action),
            "otp.channel": str(question.channel),
            "otp.country": verification.phone.region,
            "otp.outcome": str(answer.outcome),
        }
        span = self.tracer.start_span(
            f"{provider} {question.action}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=end - 1_000_000 * (answer.duration_ms or 0),
        )
        if answer.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            span.set_attribute("error.type", answer.detail)
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
    provider.add_span_processor(BatchSpanProcessor(Anonymous(exporter or OTLPSpanExporter())))
    reflex_otel.enable(provider, NoOpMeterProvider())
    try:
        yield provider.get_tracer("otp_app")
    finally:
        reflex_otel.disable()
        await asyncio.to_thread(_shut_down, provider)


def _shut_down(provider: TracerProvider) -> None:
    """Export the last spans for at most `PATIENCE`. *provider* itself would wait 30 seconds."""
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
        attributes={name: value for name, value in attributes.items() if name in _KEPT},
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )

"""Traces connect the spans of one action, and identify no person."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from otp_app import services
from otp_app.errors import ProviderTimedOut
from otp_app.monitoring.tracing import ProviderSpans, RequestSpans, tracing
from tests.backend.client import STATE
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan

    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

PHONE = {"phone": "07400 123456", "country": "GB", "channel": "sms"}
TRACE = "0123" * 8


@dataclass
class Traces:
    """The exported spans, available from `over`."""

    exporter: InMemorySpanExporter
    stack: ExitStack

    def over(self) -> dict[str, ReadableSpan]:
        """Stop the app, and return the exported spans by name."""
        self.stack.close()
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def traces(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    real, portal = services.current(), browser.client.portal
    assert portal is not None
    with ExitStack() as stack:
        found = Traces(InMemorySpanExporter(), stack)
        context = portal.wrap_async_context_manager(tracing(found.exporter))
        tracer = stack.enter_context(context)
        observed = replace(real.verifications, observers=[ProviderSpans(tracer)])
        services.install(replace(real, verifications=observed, tracer=tracer))
        monkeypatch.setattr(browser.client._transport, "app", RequestSpans(browser.client.app))
        yield found
    services.install(real)


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_a_form_and_its_message_are_one_trace(browser: Browser, traces: Traces) -> None:
    browser.post("/request-otp", PHONE)

    spans = traces.over()
    request, question = spans["POST /request-otp"], spans["fake send"]
    assert request.kind is SpanKind.SERVER
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/request-otp",
        "http.response.status_code": 303,
    }
    assert question.kind is SpanKind.CLIENT
    assert question.context
    assert request.context
    assert question.context.trace_id == request.context.trace_id
    assert parent(question) == request.context.span_id


def test_an_event_and_its_message_are_one_trace(browser: Browser, traces: Traces) -> None:
    event = f"{STATE}.request_code"
    with browser.socket() as tab:
        tab.send(event, {"form": PHONE})

    spans = traces.over()
    assert spans[event].context
    assert parent(spans["fake send"]) == spans[event].context.span_id


def test_a_question_without_an_answer_is_an_error_of_its_name(
    browser: Browser, provider: FakeProvider, traces: Traces
) -> None:
    provider.failures = [ProviderTimedOut()]
    browser.post("/request-otp", PHONE)

    span = traces.over()["fake send"]
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {
        "otp.provider": "fake",
        "otp.operation": "send",
        "otp.channel": "sms",
        "otp.country": "GB",
        "otp.outcome": "unknown",
        "error.type": "provider_timed_out",
    }


@pytest.mark.parametrize("fails", [False, True])
def test_no_span_names_anybody(
    browser: Browser, provider: FakeProvider, traces: Traces, *, fails: bool
) -> None:
    with browser.socket("/", "canary-of-this-tab") as tab:
        tab.send(f"{STATE}.request_code", {"form": PHONE})
        if fails:
            provider.failures = [RuntimeError("canary 123456")]
        tab.send(f"{STATE}.check_code", {"form": {"code": RIGHT}})
    browser.get("/07400123456?code=123456")

    spans = traces.over()
    text = "".join(span.to_json() for span in spans.values())
    flow = browser.cookie.partition("=")[2]
    assert "fake send" in spans
    for secret in ("7400", RIGHT, "reference-", "canary", "session.id", flow[:20], "exception"):
        assert secret not in text


def test_nobody_chooses_the_trace_of_a_request(browser: Browser, traces: Traces) -> None:
    browser.post("/request-otp", PHONE, traceparent=f"00-{TRACE}-b7ad6b7169203331-01")

    span = traces.over()["POST /request-otp"]
    assert span.parent is None
    assert span.context
    assert f"{span.context.trace_id:032x}" != TRACE


def test_files_and_probes_leave_no_trace(browser: Browser, traces: Traces) -> None:
    for path in ("/ready", "/assets/nothing.js", "/nowhere"):
        browser.get(path)

    assert traces.over() == {}

"""Traces: only where they are asked for, and never in anybody's way."""

from __future__ import annotations

from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from reflex_base import otel as reflex_otel

from otp_app import services
from otp_app.bootstrap import running
from otp_app.config import load_settings
from otp_app.monitoring import tracing
from otp_app.phone import PhoneNumber
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, Flow, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otp_app.verification.models import Verification
    from tests.unit.commands import Commands

CLIENT = Client(Flow("flow-1"), "203.0.113.7")
PHONE = PhoneNumber("+447400123456")


class Collector(ThreadingHTTPServer):
    """Takes what is sent to it, or takes it and never answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def names(self) -> list[str]:
        """The names of the spans that came."""
        parsed = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        resources = [one for request in parsed for one in request.resource_spans]
        scopes = [one for resource in resources for one in resource.scope_spans]
        return [span.name for scope in scopes for span in scope.spans]


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(collector: Collector) -> Iterator[Collector]:
    thread = Thread(target=collector.serve_forever, args=(0.02,))
    thread.start()
    yield collector
    collector.shutdown()
    thread.join()
    collector.server_close()


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/otp.db")


async def start() -> Verification:
    return await services.current().verifications.start(CLIENT, PHONE, Channel.SMS)


async def test_what_was_asked_reaches_the_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Collector()) as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        async with running(load_settings(None)):
            started = await start()

    assert collector.names == ["console send"]
    sent = b"".join(collector.bodies)
    for secret in (b"7400", b"flow-1", (started.reference or "").encode()):
        assert secret not in sent


async def test_a_collector_that_is_away_is_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with Collector() as closed:
        address = closed.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)

    async with running(load_settings(None)):
        assert (await start()).status is Status.PENDING

    assert not reflex_otel.enabled


async def test_a_collector_that_hangs_holds_up_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "PATIENCE", 0.1)
    with Collector() as hanging:  # it listens and nobody serves
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.url)

        async with running(load_settings(None)):
            assert (await start()).status is Status.PENDING

    assert hanging.bodies == []


async def test_without_an_endpoint_nothing_is_traced() -> None:
    async with running(load_settings(None)):
        assert services.current().tracer is None
        assert not reflex_otel.enabled


def test_without_an_endpoint_nothing_is_even_imported(commands: Commands) -> None:
    assert {"otp_app.bootstrap", "otp_app.web.pipeline"} <= set(commands.of_server)
    assert [name for name in commands.of_server if name.startswith("opentelemetry")] == []

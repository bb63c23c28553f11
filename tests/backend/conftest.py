"""The whole backend in this process: HTTP and sockets, the real store and a fake provider."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from itertools import count
from typing import TYPE_CHECKING

import pytest

from otp_app import services
from otp_app.storage import engine
from otp_app.web import bounds
from tests.backend.client import Socket
from tests.backend.starts import PRODUCTION, Start, start
from tests.emulator import Clock
from tests.fakes import FakeProvider

os.environ["__REFLEX_SKIP_COMPILE"] = "true"  # these tests need no built pages

from starlette.testclient import TestClient

from otp_app.otp_app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response
    from starlette.types import ASGIApp

    from otp_app.verification.models import Channel


ORIGIN = "http://localhost:3000"
SOCKET = "ws://localhost:3000/_event/?EIO=4&transport=websocket&token="
HOURS = count(0, 3600)  # seconds
REFERENCES = count(1)  # never reused, because all tests share a database


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Move the clock of the rates by an hour at each reading, so that no rate is reached."""
    monkeypatch.setattr(bounds, "now", lambda: next(HOURS))


@pytest.fixture(autouse=True)
def _busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise the probe's timeout, which a healthy database can exceed on a busy machine."""
    monkeypatch.setattr(engine, "PROBE_PATIENCE", 10.0)


@pytest.fixture(scope="session")
def backend() -> Iterator[TestClient]:
    """Yield the app, started once: Reflex can assemble it only once in a process."""
    asgi: ASGIApp = app()
    with TestClient(asgi, base_url=ORIGIN) as client:
        yield client


@pytest.fixture(scope="session")
def production_start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Start the app with the settings of production, once for all tests."""
    return start(PRODUCTION, tmp_path_factory.mktemp("production"))


@pytest.fixture
def provider(backend: TestClient) -> Iterator[FakeProvider]:
    """Yield a fake provider for one test, without our limits."""
    del backend
    real, fake = services.current(), FakeProvider(_numbers=REFERENCES)
    verifications = replace(
        real.verifications, providers={fake.name: fake}, provider=fake.name, limits=()
    )
    services.install(replace(real, verifications=verifications))
    yield fake
    services.install(real)


@pytest.fixture
def clock(provider: FakeProvider) -> Iterator[Clock]:
    """Return the service's clock, which stands still."""
    del provider
    clock, here = Clock(datetime.now(UTC)), services.current()
    services.install(replace(here, verifications=replace(here.verifications, now=clock.now)))
    yield clock
    services.install(here)


def offer(*channels: Channel) -> None:
    """Set `CHANNELS` for this test."""
    here = services.current()
    services.install(replace(here, verifications=replace(here.verifications, channels=channels)))


@dataclass(frozen=True)
class Browser:
    """A browser with its cookies, which can post forms and open sockets."""

    client: TestClient
    cookie: str

    def post(self, path: str, data: dict[str, str] | None = None, **headers: str) -> Response:
        """Send a form."""
        return self.client.post(
            path, data=data, headers={"cookie": self.cookie} | headers, follow_redirects=False
        )

    def get(self, path: str) -> Response:
        """Open a page."""
        headers = {"cookie": self.cookie}
        return self.client.get(path, headers=headers, follow_redirects=False)

    def after(self, answer: Response) -> Browser:
        """Return the browser with the cookies that *answer* sets."""
        jar = SimpleCookie(self.cookie)
        for header in answer.headers.get_list("set-cookie"):
            jar.load(header)
        kept = [f"{name}={one.value}" for name, one in jar.items() if one["max-age"] != "0"]
        self.client.cookies.clear()
        return replace(self, cookie="; ".join(kept))

    @contextmanager
    def socket(
        self, page: str = "/", token: str = "tab-1", origin: str = ORIGIN
    ) -> Iterator[Socket]:
        """Yield the socket of a tab that has loaded *page*."""
        headers = {
            "upgrade": "websocket",
            "connection": "Upgrade",
            "cookie": self.cookie,
            "origin": origin,
        }
        with self.client.websocket_connect(SOCKET + token, headers=headers) as session:
            socket = Socket(session)
            socket.open(page)
            yield socket


@pytest.fixture
def browser(backend: TestClient, provider: FakeProvider) -> Browser:
    del provider
    backend.cookies.clear()
    cookie = backend.get("/_flow.js").headers["set-cookie"].partition(";")[0]
    backend.cookies.clear()
    return Browser(backend, cookie)

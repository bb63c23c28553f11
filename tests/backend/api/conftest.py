"""Fixtures for the tests of the API: callers of every kind, limits and a server."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from otp_app import routes, services
from otp_app.verification.limits import POLICY
from tests.backend.api.serving import served
from tests.conftest import API_KEYS
from tests.ports import free_port as unused_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response
    from starlette.testclient import TestClient

    from tests.backend.api.serving import Server
    from tests.backend.conftest import Browser

NUMBER = "+447400123456"  # used without limits
OTHER_NUMBER = "+447400123457"


_UNUSED = count(7_000)


def limit(**amounts: int) -> None:
    """Apply only these limits of the policy in this test, with the given amounts."""
    here = services.current()
    rows = tuple(replace(row, amount=amounts[row.name]) for row in POLICY if row.name in amounts)
    services.install(replace(here, verifications=replace(here.verifications, limits=rows)))


@pytest.fixture
def number() -> str:
    """Return a number that no limit has counted, because counts stay from test to test."""
    return f"+44740012{next(_UNUSED)}"


@dataclass
class Caller:
    """A program or a page. A caller sends fixed headers and ignores cookies that are set."""

    client: TestClient
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: object, **headers: str) -> Response:
        """Send *body* as JSON."""
        return self.request("POST", path, json=body, headers=headers)

    def request(self, method: str, path: str, **options: object) -> Response:
        """Send any request."""
        more = options.pop("headers", None) or {}
        assert isinstance(more, dict)
        self.client.cookies.clear()
        answer = self.client.request(method, path, headers=self.headers | more, **options)  # type: ignore[arg-type]
        self.client.cookies.clear()
        return answer

    def create(self, phone_number: str = NUMBER, **more: str) -> Response:
        """Begin a verification."""
        return self.post(routes.VERIFICATIONS, {"phone_number": phone_number, **more})

    def created(self, phone_number: str = NUMBER) -> str:
        """Begin a verification, and return its id."""
        id_: str = self.create(phone_number).json()["id"]
        return id_

    def read(self, id_: str) -> Response:
        """Read a verification."""
        return self.request("GET", f"{routes.VERIFICATIONS}/{id_}")

    def check(self, id_: str, code: str, **headers: str) -> Response:
        """Check a code."""
        return self.post(f"{routes.VERIFICATIONS}/{id_}/check", {"code": code}, **headers)

    def resend(self, id_: str, **body: str) -> Response:
        """Send the code again."""
        return self.post(f"{routes.VERIFICATIONS}/{id_}/resend", body)

    def cancel(self, id_: str) -> Response:
        """Cancel a verification."""
        return self.request("DELETE", f"{routes.VERIFICATIONS}/{id_}")


@pytest.fixture
def nobody(browser: Browser) -> Caller:
    """Return a caller with neither key nor cookie, like curl."""
    return Caller(browser.client)


@pytest.fixture
def page(browser: Browser) -> Caller:
    """Return a page of ours, whose browser sends the cookie."""
    return Caller(browser.client, {"cookie": browser.cookie})


@pytest.fixture
def other_page(browser: Browser) -> Caller:
    return Caller(browser.client, {"cookie": services.current().flows.mint()})


@pytest.fixture
def shop(browser: Browser) -> Caller:
    """Return a program with an API key."""
    return Caller(browser.client, {"authorization": f"Bearer {API_KEYS['shop']}"})


@pytest.fixture
def bank(browser: Browser) -> Caller:
    return Caller(browser.client, {"authorization": f"Bearer {API_KEYS['bank']}"})


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server that all tests share: a fake provider, no limits, no waits."""
    with served(tmp_path_factory.mktemp("served"), unused_port()) as server:
        yield server


@pytest.fixture(scope="session")
def address(server: Server) -> str:
    """Return the URL of the server that all tests share."""
    return server.url


@pytest.fixture
def free_port() -> int:
    """Return a port on which no program listens."""
    return unused_port()

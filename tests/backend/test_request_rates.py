"""An address above its rate of requests is refused before any other work."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from otp_app.web import bounds
from otp_app.web.bounds import RequestRates, too_fast
from tests.backend.conftest import HOURS, ORIGIN
from tests.backend.test_headers import assert_guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response
    from starlette.types import ASGIApp, Message, Scope

    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

POSTS, READS = 10, 30  # requests a second, by default
BURST = 3  # in seconds of the rate
PHONE = {"number": "07400 123456", "country": "GB"}
_PLACES = count(1)


class Clock:
    """A clock that stands still until a test moves it on, in seconds."""

    def __init__(self) -> None:
        self.moment = float(next(HOURS))

    def __call__(self) -> float:
        return self.moment

    def tick(self, seconds: float) -> None:
        self.moment += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch, browser: Browser) -> Clock:
    """Stop the clock of the rates, so that all requests of a test come at the same moment."""
    del browser  # its fixture has to run first
    clock = Clock()
    monkeypatch.setattr(bounds, "now", clock)
    return clock


@contextmanager
def elsewhere(browser: Browser, address: str = "") -> Iterator[Browser]:
    """Yield a browser of the same app at *address*, by default a new one."""
    address = address or f"198.18.9.{next(_PLACES)}"
    client = TestClient(browser.client.app, base_url=ORIGIN, client=(address, 1))
    client.portal = browser.client.portal
    yield replace(browser, client=client)


@pytest.fixture
def flooder(browser: Browser) -> Iterator[Browser]:
    with elsewhere(browser) as flooder:
        yield flooder


def is_refused(answer: Response) -> bool:
    return answer.status_code == 429 and answer.text == "Too many requests"


def test_a_flood_of_one_address_leaves_the_others_what_is_theirs(
    browser: Browser, flooder: Browser, provider: FakeProvider
) -> None:
    """S3: the flood is two hundred posts at once."""
    answers = [flooder.post("/request-otp", {"number": "12"}) for _ in range(200)]

    assert sum(map(is_refused, answers)) == 200 - BURST * POSTS
    assert {answer.status_code for answer in answers} == {422, 429}
    with elsewhere(browser) as other:
        assert other.post("/request-otp", PHONE).status_code == 303
        assert other.get("/ready").status_code == 200
    assert len(provider.sent) == 1


def test_the_64s_of_one_48_share_eight_times_the_rate_of_an_address(browser: Browser) -> None:
    passed = 0
    for place in range(10):
        with elsewhere(browser, f"2001:db8:5:{place:x}::1") as flooder:
            answers = [flooder.post("/request-otp", {"number": "12"}) for _ in range(31)]
        passed += sum(not is_refused(answer) for answer in answers)

    assert passed == 8 * BURST * POSTS


def test_an_address_that_waits_has_its_rate_again(flooder: Browser, clock: Clock) -> None:
    def passed(number: int) -> int:
        return sum(not is_refused(flooder.get("/nowhere")) for _ in range(number))

    assert passed(2 * BURST * READS) == BURST * READS
    clock.tick(1)
    assert passed(2 * READS) == READS


def test_a_refusal_tells_when_to_try_again_and_has_the_headers(flooder: Browser) -> None:
    answers = [flooder.post("/request-otp", {"number": "12"}) for _ in range(BURST * POSTS + 1)]

    assert is_refused(answers[-1])
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].headers["cache-control"] == "no-store"
    assert "set-cookie" not in answers[-1].headers
    assert_guarded(answers[-1])


def test_only_a_refusal_that_leaves_a_body_unread_ends_the_connection(flooder: Browser) -> None:
    """A proxy uses one connection for several people, so the response has to announce the end."""
    posts = [flooder.post("/request-otp", {"number": "12"}) for _ in range(BURST * POSTS + 1)]
    reads = [flooder.get("/nowhere") for _ in range(BURST * READS + 1)]

    assert [answer.headers.get("connection") for answer in posts[-2:]] == [None, "close"]
    assert [answer.headers.get("connection") for answer in reads[-2:]] == [None, None]
    assert is_refused(reads[-1])


@pytest.mark.parametrize(
    ("path", "media_type", "words"),
    [
        ("/api/v1/verifications", "application/problem+json", "detail"),
        ("/api/otp/request", "application/json", "error"),
    ],
)
def test_the_api_is_refused_in_its_own_form(
    flooder: Browser, path: str, media_type: str, words: str
) -> None:
    answers = [flooder.client.post(path, content="{") for _ in range(BURST * POSTS + 1)]

    refusal = answers[-1]
    assert (refusal.status_code, refusal.headers["content-type"]) == (429, media_type)
    assert refusal.headers["retry-after"] == "1"
    assert refusal.json()["code"] == "rate_limited"
    assert "requests from your network" in refusal.json()[words]


def test_a_flood_is_one_line_of_the_log_a_minute(
    flooder: Browser, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        for _ in range(100):
            flooder.post("/request-otp", {"number": "12"})
        clock.tick(60)

    written = "".join(capfd.readouterr())
    assert written.count("http.flooded") == 2
    assert (
        written.count("http.responded") == 2 * BURST * POSTS
    )  # one line for each post that passed


NOT_COUNTED = [
    ("GET", "/ready"),
    ("HEAD", "/ready"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/assets/page-0a1b2c.js"),
    ("HEAD", "/app.css"),
    ("GET", "/fonts/acme.woff2"),
]
COUNTED = [
    ("POST", "/assets/page-0a1b2c.js"),
    ("OPTIONS", "/app.css"),
    ("GET", "/api/v1/verifications/a.css"),
    ("GET", "/assets/../index.html"),
    ("GET", "/./code.png"),
    ("GET", "/ready/"),
    ("GET", "/_event/?EIO=4&transport=polling"),
]
"""Requests that only look like those of a file or a probe."""


@pytest.fixture
def exhausted(flooder: Browser) -> Browser:
    """Return a browser at an address whose rates of posts and of reads are used up."""
    while not is_refused(flooder.get("/nowhere")):
        continue
    while not is_refused(flooder.post("/nowhere")):
        continue
    return flooder


def test_probes_and_files_are_not_counted(exhausted: Browser) -> None:
    for _ in range(BURST * READS // len(NOT_COUNTED) + 1):
        answers = {one: exhausted.client.request(*one).status_code for one in NOT_COUNTED}
        assert [one for one, status in answers.items() if status == 429] == []


async def test_what_only_looks_like_a_file_or_a_probe_is_counted(exhausted: Browser) -> None:
    address = exhausted.client._transport.client  # type: ignore[attr-defined]

    answers = {one: await status(exhausted.client.app, *one, address) for one in COUNTED}

    assert answers == dict.fromkeys(COUNTED, 429)


async def test_of_a_refused_request_nothing_is_read() -> None:
    """S3: the body is not read, and no code behind the rates runs."""
    rated = RequestRates(PlainTextResponse("handed on"), too_fast, posts=1, reads=1)

    answers = [await status(rated, "POST", "/request-otp", ("203.0.113.7", 1)) for _ in range(5)]

    assert answers == [200] * BURST + [429] * 2


async def test_a_rate_of_0_counts_nothing() -> None:
    rated = RequestRates(PlainTextResponse("handed on"), too_fast, posts=0, reads=1)

    posts = [await status(rated, "POST", "/", ("203.0.113.7", 1)) for _ in range(1000)]
    reads = [await status(rated, "GET", "/", ("203.0.113.7", 1)) for _ in range(4)]

    assert set(posts) == {200}
    assert reads == [200] * BURST + [429]


async def status(app: ASGIApp, method: str, path: str, client: tuple[str, int]) -> int:
    """Return the status of a response, for a client that sends *path* unchanged and no body."""
    path, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost:3000")],
        "client": client,
        "scheme": "http",
    }
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("the body is read")

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    found: int = sent[0]["status"]
    return found

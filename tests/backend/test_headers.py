"""Security and cache headers of all responses, and requests that are refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import runpy
from typing import TYPE_CHECKING

import pytest
from reflex.config import get_config
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient, WebSocketDenialResponse

from otp_app.config import LOCAL, Settings
from otp_app.web import bounds
from otp_app.web import headers as csp
from otp_app.web.bounds import MAX_BODY, BodyLimit
from otp_app.web.headers import SecurityHeaders
from otp_app.web.pipeline import SingleHost, allowed_hosts
from tests.backend.conftest import ORIGIN, SOCKET
from tests.backend.stack import in_stack

if TYPE_CHECKING:
    from pathlib import Path

    from httpx2 import Response
    from starlette.types import Message, Receive, Scope, Send

    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

EVIL = "https://evil.example"
PREFLIGHT = {"origin": EVIL, "access-control-request-method": "POST"}
SCRIPT, STYLE = "let a = '</p>';\n", "p { color: red }"
SERVED = "let b;"  # a script that the server adds to every page

ANSWERS = {
    "an empty script": ("GET", "/_flow.js", {}, 200),
    "a health check": ("GET", "/ping", {}, 200),
    "a probe": ("GET", "/ready", {}, 200),
    "a probe by address": ("GET", "/ready", {"host": "10.0.0.7"}, 200),
    "a probe's path without a probe": ("POST", "/ready", {"host": "10.0.0.7"}, 400),
    "somebody else's scrape": ("GET", "/metrics", {}, 401),
    "no such page": ("GET", "/nowhere", {}, 404),
    "a form with an error": ("POST", "/request-otp", {}, 422),
    "another site's form": ("POST", "/request-otp", {"origin": EVIL}, 403),
    "another site's question": ("OPTIONS", "/request-otp", PREFLIGHT, 400),
    "another host": ("GET", "/", {"host": "evil.example"}, 400),
    "no such method": ("PUT", "/request-otp", {}, 404),
    "a socket without a handshake": ("GET", "/_event/?EIO=4&transport=polling", {}, 400),
}


@pytest.fixture(params=ANSWERS)
def answer(browser: Browser, request: pytest.FixtureRequest) -> Response:
    """Return a response of each kind."""
    method, path, headers, status = ANSWERS[request.param]
    got = browser.client.request(method, path, headers=headers)
    assert got.status_code == status
    return got


def assert_guarded(answer: Response) -> None:
    """Assert that *answer* has the headers of all responses."""
    headers = answer.headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "otp-credentials=(self)" in headers["permissions-policy"]
    assert "camera=()" in headers["permissions-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_every_answer_has_the_headers_and_is_kept_by_nobody(answer: Response) -> None:
    """E3, E5: the responses include errors, and those of the framework before our routes."""
    assert_guarded(answer)
    assert answer.headers["cache-control"] == "no-store"


def test_a_crash_has_the_headers_too(
    browser: Browser, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E5: the response has no detail of the error."""
    monkeypatch.setattr(browser.client._transport, "raise_server_exceptions", False)
    provider.failures = [RuntimeError("canary")]
    form = {"number": "07400 123456", "country": "GB"}

    crash = browser.client.post("/request-otp", data=form, headers={"cookie": browser.cookie})

    assert crash.status_code == 500
    assert "canary" not in crash.text
    assert_guarded(crash)


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost:3001"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_no_answer_lets_another_site_read_it(browser: Browser, kind: str, origin: str) -> None:
    """E2: no response names another site's origin."""
    method, path, headers, _ = ANSWERS[kind]

    theirs = browser.client.request(method, path, headers={**headers, "origin": origin}).headers
    ours = browser.client.get("/ping", headers={"origin": ORIGIN}).headers

    assert "access-control-allow-origin" not in theirs
    assert ours["access-control-allow-origin"] == ORIGIN


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """Return a folder of built pages with an inline script and an inline style."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets/page-0a1b2c.js").touch()
    (tmp_path / "app.css").touch()
    (tmp_path / "favicon.svg").touch()
    (tmp_path / "index.html").write_text(
        f'<script src="/a.js"></script><script id="a">{SCRIPT}</script><style>{STYLE}</style>'
    )
    return tmp_path


@pytest.fixture
def site(build: Path) -> TestClient:
    """Return a client of the built pages, served over https."""
    policies = csp.page_policies(build, ["https://verify.example"], [SERVED])
    files = Starlette(routes=[Mount("/", StaticFiles(directory=build, html=True))])
    return TestClient(SecurityHeaders(files, policies=policies, https=True))


def test_a_pages_policy_allows_its_own_inline_scripts_and_styles_by_hash(site: TestClient) -> None:
    """E4: no other scripts and styles are allowed, except emotion's empty style."""
    policy = dict(part.split(" ", 1) for part in policy_of(site, "/").split("; "))

    assert set(policy["script-src"].split()) == {"'self'", hash_of(SCRIPT), hash_of(SERVED)}
    assert policy["style-src"].split() == ["'self'", *map(hash_of, ("", STYLE))]
    assert policy["connect-src"] == "'self' wss://verify.example"
    assert policy["form-action"] == "'self'"
    assert policy["base-uri"] == policy["frame-ancestors"] == policy["default-src"] == "'none'"


def test_a_page_may_not_run_what_another_does(build: Path) -> None:
    """E4: the policy of a path without a page allows the scripts of all pages."""
    (build / "code").mkdir()
    (build / "code/index.html").write_text("<script>code()</script>")

    policies = csp.page_policies(build, [])

    assert hash_of("code()") in policies["code"]
    assert hash_of(SCRIPT) not in policies["code"]
    assert hash_of("code()") not in policies[""]
    assert all(hash_of(script) in policies["*"] for script in ("code()", SCRIPT))


def test_a_file_may_do_nothing_and_a_missing_one_is_a_page(site: TestClient) -> None:
    """E4: an image that is opened by itself is a document."""
    assert policy_of(site, "/favicon.svg") == csp.FILE_POLICY
    assert "content-security-policy" not in site.get("/app.css").headers
    assert policy_of(site, "/assets/missing.js") == policy_of(site, "/")


def test_a_file_has_no_header_that_only_a_page_needs(site: TestClient) -> None:
    """A visit loads a dozen files. They need no headers for framing, and keep `nosniff`."""
    file, page = site.get("/app.css").headers, site.get("/").headers
    built = site.get("/assets/page-0a1b2c.js").headers

    assert set(page) - set(file) == {
        "x-frame-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "permissions-policy",
        "content-security-policy",
    }
    assert set(file) - set(built) == {"last-modified", "accept-ranges"}
    assert file["x-content-type-options"] == "nosniff"
    assert file["strict-transport-security"] == page["strict-transport-security"]


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/", "no-store"),
        ("/nowhere", "no-store"),
        ("/assets/page-0a1b2c.js", "public, max-age=31536000, immutable"),
        ("/assets/missing.js", "no-store"),
        ("/app.css", "public, max-age=300"),
    ],
)
def test_what_has_its_hash_in_its_name_is_kept_and_pages_are_not(
    site: TestClient, path: str, kept: str
) -> None:
    """E5: the browser's cache holds no page with a code after the person leaves."""
    answer = site.get(path)
    assert answer.headers["cache-control"] == kept
    etag = answer.headers.get("etag", "")
    assert site.get(path, headers={"if-none-match": etag}).headers["cache-control"] == kept


def test_no_header_says_the_same_twice(browser: Browser) -> None:
    varies = browser.client.get("/nowhere").headers["vary"].split(", ")

    assert len(varies) == len(set(varies)) > 0


def test_https_is_insisted_on_where_there_is_https(site: TestClient, browser: Browser) -> None:
    """E5: HSTS is set for a year, and never with http, where it would lock a developer out."""
    assert site.get("/").headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in browser.client.get("/ping").headers


@pytest.mark.parametrize(
    ("is_set", "sent"), [(False, "max-age=31536000"), (True, "max-age=31536000; includeSubDomains")]
)
def test_s1_https_is_insisted_on_for_subdomains_where_the_operator_says_so(
    browser: Browser, is_set: bool, sent: str
) -> None:
    url = "https://verify.example"
    settings = Settings(public_url=url, hsts_subdomains=is_set, trusted_proxy_hops=1)
    client = TestClient(in_stack(browser.client.app, settings), base_url=url)

    assert client.get("/ping").headers["strict-transport-security"] == sent


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "localhost, evil"])
def test_another_host_gets_no_page_and_no_socket(browser: Browser, host: str) -> None:
    """E7: the response does not repeat the host."""
    answer = browser.client.get("/code", headers={"host": host}, follow_redirects=False)
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        browser.client.websocket_connect(SOCKET, headers={"host": host}),
    ):
        pass

    assert refused.value.status_code == answer.status_code == 400
    assert "evil" not in f"{answer.headers}{answer.text}"


@pytest.mark.parametrize(
    ("settings", "hosts"),
    [
        ({}, [*LOCAL]),
        ({"public_url": "https://a.example"}, [*LOCAL, "a.example"]),
        ({"public_url": "http://[::1]:3000"}, [*LOCAL, "[::1]"]),
    ],
)
def test_the_hosts_are_those_of_the_origins(settings: dict[str, str], hosts: list[str]) -> None:
    """E7: development allows the names of this machine too."""
    assert sorted(set(allowed_hosts(Settings(**settings)))) == sorted(hosts)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/request-otp", "/verify-otp", "/", "/ping", "/_event/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_long_body_is_refused_whatever_it_is_for(
    browser: Browser, method: str, path: str
) -> None:
    """E9: a body without a declared length is refused too."""
    chunks = (b"number=" + b"1" * (MAX_BODY // 2) for _ in range(2))

    assert browser.client.request(method, path, content=chunks).status_code == 413


def test_a_body_that_just_fits_is_read(browser: Browser) -> None:
    """E9."""
    body = b"number=1&x=".ljust(MAX_BODY, b"1")

    assert browser.client.post("/request-otp", content=body).status_code == 422


@pytest.mark.parametrize("sent", [b"", b"number="])
async def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """E8."""
    monkeypatch.setattr(bounds, "MAX_WAIT", 0.01)
    answers: list[Message] = []
    chunks = [sent]

    async def receive() -> Message:
        if not chunks:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": chunks.pop(), "more_body": True}

    async def send(message: Message) -> None:
        answers.append(message)

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("There is no body to hand on")

    await BodyLimit(app)({"type": "http", "method": "POST", "path": "/"}, receive, send)

    assert answers[0]["status"] == 408
    assert (b"connection", b"close") in answers[0]["headers"]


@pytest.mark.parametrize("hosts", [[], ["localhost:3000", "evil.example"], ["localhost:3000"] * 2])
async def test_a_request_without_its_one_host_is_refused(hosts: list[str]) -> None:
    """E7: two servers in a row could each use a different host (RFC 9112 section 3.2)."""
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    async def receive() -> Message:
        raise AssertionError("There is nothing to read")

    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError("Nobody may be asked")

    headers = [(b"host", host.encode()) for host in hosts]
    scope = {"type": "http", "method": "GET", "path": "/", "headers": headers}
    await SingleHost(app, ["localhost"])(scope, receive, send)

    assert answers[0]["status"] == 400


@pytest.mark.parametrize(
    "environment", [{"REFLEX_CORS_ALLOWED_ORIGINS": "*"}, {"REFLEX_TRANSPORT": "polling"}]
)
def test_the_socket_cannot_be_opened_to_every_site(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    """D1: Reflex's own environment variables would override our setting."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit, match="PUBLIC_URL"):
        runpy.run_path("rxconfig.py")


def test_only_our_pages_may_open_the_socket() -> None:
    """D1."""
    assert list(get_config().cors_allowed_origins) == [f"http://{host}:3000" for host in LOCAL]


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 422), ("same-site", 403), ("cross-site", 403), ("none", 403)],
)
def test_a_form_of_a_page_without_referrer_is_ours_if_the_browser_says_so(
    browser: Browser, site: str, status: int
) -> None:
    """E1: with `Referrer-Policy: no-referrer`, our own forms send `Origin: null`."""
    headers = {"origin": "null", "sec-fetch-site": site}

    assert browser.client.post("/request-otp", headers=headers).status_code == status


def policy_of(site: TestClient, path: str) -> str:
    policy: str = site.get(path).headers["content-security-policy"]
    return policy


def hash_of(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"

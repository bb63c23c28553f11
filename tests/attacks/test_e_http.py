"""E: cross-site requests, and malformed or oversized HTTP requests."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.attacks.world import World

EVIL = "https://evil.example"
ROUTES = ["/", "/code", "/code/", "/verified", "/request-otp", "/verify-otp", "/ping", "/_health"]
ROUTES += ["/_flow.js", "/app.css", "/favicon.svg", "/nowhere", "/_event/"]
PRIVATE = [
    "/.env",
    "/.git/config",
    "/rxconfig.py",
    "/otp_app/config/site.py",
    "/requirements.txt",
    "/.data/otp_app.db",
    "/_all_routes",
    "/openapi.json",
    "/_upload",
    "/auth-codespace?redirect_to=//evil.example",
    "/..%2f..%2f.env",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/assets/../../../etc/passwd",
    "/assets/%2e%2e/%2e%2e/rxconfig.py",
    "/assets/..%5c..%5crxconfig.py",
    "/assets/",
    "/app.css.map",
    "/code%00.html",
]
TWO_LENGTHS = "Content-Length: 1\r\nContent-Length: 2"
AWAY = ["//evil.example", "/\\evil.example", "https:evil.example", "%2f%2fevil.example"]
AWAY += ["javascript:alert(1)", "\u2215\u2215evil.example", "@evil.example"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": EVIL, "Content-Type": "multipart/form-data; boundary=x"},
    ],
)
def test_another_site_cannot_post_our_forms(world: World, headers: dict[str, str]) -> None:
    """E1: the browser sends the cookie with the form."""
    me = world.attacker()
    for path in ("/request-otp", "/verify-otp"):
        body = f"number={world.number().national}&country=US&code=123456"
        assert me.exchange(me.request("POST", path, body, headers)).status == 403

    assert world.sent() == world.guesses == 0


def test_a_get_changes_nothing(world: World) -> None:
    """E1: an image on another site's page can cause a GET."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    other = world.number().national

    me.get(f"/request-otp?number={other}&country=US")
    me.get(f"/verify-otp?code={world.code(number)}")
    me.get(f"/?phone={other}&number={other}&country=US")

    assert (world.sent(), world.guesses) == (1, 0)


@pytest.mark.parametrize("path", ROUTES)
def test_no_answer_can_be_read_by_another_site_and_all_have_the_headers(
    world: World, path: str
) -> None:
    """E2, E5: the responses are built pages, files and errors."""
    me = world.attacker()
    for method in ("GET", "OPTIONS", "POST"):
        headers = {"Origin": EVIL, "Access-Control-Request-Method": "POST"}
        request = me.request(method, path, headers=headers)
        told = me.exchange(request).headers
        assert told["Access-Control-Allow-Origin"] is None
        assert told["X-Content-Type-Options"] == "nosniff"
        policy = told["Content-Security-Policy"] or ""  # a style sheet has none
        assert "frame-ancestors 'none'" in policy or (path.endswith(".css") and not policy)
        is_file = path.endswith((".css", ".svg"))
        assert told["Referrer-Policy"] == "no-referrer" or is_file
        assert told["Cache-Control"] == "no-store" or is_file


@pytest.mark.parametrize("target", AWAY)
def test_nothing_leads_to_another_site(world: World, target: str) -> None:
    """E6: the target is tried as a parameter and as a path."""
    me = world.attacker()
    paths = [
        f"/{target}".replace("\u2215", "%E2%88%95"),
        f"/code?next={target}&redirect_to={target}",
    ]
    for path in paths:
        answer = me.get(path.replace(" ", "%20").replace("\u2215", "%E2%88%95"))
        location = answer.headers["Location"] or "/"
        assert location.startswith(("/", f"http://localhost:{me.port}/"))
        assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize(
    ("raw", "statuses"),
    [
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", {400}),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
        ("GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", {400}),
        ("GET / HTTP/1.1\r\nHost: localhost@evil.example\r\n\r\n", {400}),
        ("GET / HTTP/1.1\r\n\r\n", {400}),
        ("GET http://evil.example/problem HTTP/1.1\r\nHost: localhost\r\n\r\n", {307, 400}),
        (
            "GET /problem HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.example\r\n\r\n",
            {307},
        ),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            {400},
        ),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n", {400}),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n" + TWO_LENGTHS + "\r\n\r\nab", {400}),
    ],
)
def test_a_request_for_another_host_or_two_ways_to_read_it_is_refused(
    world: World, raw: str, statuses: set[int]
) -> None:
    """E7: the host is not repeated in the response."""
    answer = world.client_without_cookie().exchange(raw.encode())

    assert answer.status in statuses
    assert "evil" not in f"{answer.headers}{answer.text}"


def test_a_request_that_is_smuggled_behind_another_is_not_served(world: World) -> None:
    """E7: the connection closes if two lengths disagree."""
    hidden = b"GET /_health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    raw = (
        b"POST /request-otp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden
    )
    with world.client_without_cookie().connected() as connection:
        connection.sendall(raw)
        heard = b"".join(iter(lambda: connection.recv(65536), b""))

    assert heard.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"number=" + b"1" * 1_000_000, {}, 413),
        (b"&".join(b"k%d=v" % i for i in range(10_000)), {}, 413),
        (gzip.compress(b"number=" + b"1" * 10_000_000)[:8000], {"Content-Encoding": "gzip"}, 422),
        (b'{"number": "+12125550100"}', {"Content-Type": "application/json"}, 422),
        (b"n\x00u\xffmber=%00%FF%C0%AF", {"Content-Type": "text/plain; charset=utf-7"}, 422),
        (b"number=1&number=2;number=3", {}, 422),
        (b"%" * 4000, {}, 422),
        (b"", {}, 422),
    ],
)
def test_an_odd_body_is_a_form_with_a_mistake(
    world: World, body: bytes, headers: dict[str, str], status: int
) -> None:
    """E9."""
    me = world.attacker()

    assert me.exchange(me.request("POST", "/request-otp", body, headers)).status == status
    assert world.sent() == 0


@pytest.mark.parametrize("method", ["TRACE", "PUT", "DELETE", "PATCH", "CONNECT", "BREW"])
def test_only_the_methods_that_there_are_do_anything(world: World, method: str) -> None:
    """E9."""
    me = world.attacker()
    for path in ("/", "/request-otp", "/verify-otp", "/ping"):
        answer = me.exchange(me.request(method, path, headers={"X-Canary": "canary"}))
        assert answer.status in {400, 404, 405}
        assert "canary" not in answer.text


@pytest.mark.parametrize("path", PRIVATE)
def test_what_is_not_for_everybody_is_not_there(world: World, path: str) -> None:
    """E10."""
    answer = world.client_without_cookie().get(path)

    assert answer.status in {400, 404}
    assert "evil" not in str(answer.headers)


def test_a_code_is_filled_in_by_the_phone_only_and_kept_by_nobody(world: World) -> None:
    """E10."""
    me = world.attacker()
    me.ask(world.number().e164)

    page = me.get("/code/")

    assert page.headers["Cache-Control"] == "no-store"
    assert 'autocomplete="one-time-code"' in page.text.replace("autoComplete", "autocomplete")

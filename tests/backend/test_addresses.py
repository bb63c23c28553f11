"""The client's address of a request, with true and forged headers (threat B9)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from otp_app.config import Settings
from otp_app.identity.requests import TrustedProxies
from otp_app.verification.client import (
    Client,
    address_key,
    client_address,
    client_keys,
    is_direct_loopback,
)
from otp_app.verification.models import Flow
from tests.backend.client import Socket
from tests.backend.conftest import ORIGIN, SOCKET
from tests.backend.stack import in_stack

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tests.backend.conftest import Browser

PROXY = "10.0.0.1"


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "address"),
    [
        ("", 0, PROXY),
        ("203.0.113.7", 0, PROXY),
        ("", 1, PROXY),
        ("203.0.113.7", 1, "203.0.113.7"),
        (" 203.0.113.7 ", 1, "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", 1, "203.0.113.7"),
        ("198.51.100.1,,203.0.113.7", 1, "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.0.0.2", 2, "203.0.113.7"),
        ("203.0.113.7", 2, PROXY),
        ("203.0.113.7,", 1, PROXY),
        ("not-an-ip", 1, PROXY),
        ("203.0.113.7:4711", 1, PROXY),
        ("203.0.113.007", 1, PROXY),
        ("x" * 300, 1, PROXY),
        ("fe80::1%" + "x" * 300, 1, PROXY),
        ("fe80::1%a\r\nb", 1, PROXY),
        ("2001:DB8:0::1", 1, "2001:db8::1"),
        ("::ffff:203.0.113.7", 1, "203.0.113.7"),
    ],
)
def test_only_what_a_trusted_proxy_has_added_counts(
    forwarded_for: str, hops: int, address: str
) -> None:
    """B9: the hops count entries from the right; an invalid entry stands for the peer."""
    assert client_address(PROXY, forwarded_for, hops) == address


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("", "unknown"),
        ("not-an-ip", "unknown"),
        ("fe80::1%eth0", "unknown"),
        ("2002:cb00:7107:1::1", "203.0.113.7"),
        ("2002:cb00:7107:ffff::2", "203.0.113.7"),
        ("2001:0:53aa:64c:0:7fff:34ff:8ef8", "203.0.113.7"),
        ("64:ff9b::cb00:7107", "203.0.113.7"),
        ("64:ff9b:1::cb00:7107", "64:ff9b:1::/64"),
    ],
)
def test_limits_count_ipv4_addresses_and_ipv6_networks(address: str, key: str) -> None:
    """B9: a subscriber who changes addresses within a /64 stays one client."""
    assert address_key(address) == key


@pytest.mark.parametrize(
    ("address", "keys"),
    [
        ("2001:db8:1:2::1", ("2001:db8:1:2::/64", "2001:db8:1::/48")),
        ("2001:db8:1:ffff::1", ("2001:db8:1:ffff::/64", "2001:db8:1::/48")),
        ("203.0.113.7", ("203.0.113.7",)),
        ("::ffff:203.0.113.7", ("203.0.113.7",)),
        ("2002:cb00:7107:1::1", ("203.0.113.7",)),
        ("2001:0:53aa:64c:0:7fff:34ff:8ef8", ("203.0.113.7",)),
        ("64:ff9b::cb00:7107", ("203.0.113.7",)),
        ("not-an-ip", ("unknown",)),
    ],
)
def test_an_ipv6_address_counts_under_its_64_and_its_48(
    address: str, keys: tuple[str, ...]
) -> None:
    """S8: one customer of a hosting company has all /64s of a /48."""
    client = Client(Flow("flow"), address_key(address))

    assert client_keys(address) == keys
    assert client.network == "".join(keys[1:])


@pytest.mark.parametrize("address", ["2002:7f00:1::1", "64:ff9b::7f00:1"])
def test_an_address_that_holds_a_loopback_address_is_not_this_machine(address: str) -> None:
    """S8: only the keys of limits use the embedded IPv4 address."""
    assert address_key(address) == "127.0.0.1"
    assert not is_direct_loopback(address, {})


@pytest.mark.parametrize(
    "claim",
    [
        {"x-forwarded-for": "203.0.113.7"},
        {"x-real-ip": "203.0.113.7"},
        {"forwarded": "for=203.0.113.7"},
    ],
)
def test_without_a_proxy_the_state_has_the_peers_address(
    browser: Browser, claim: dict[str, str]
) -> None:
    """B9: no forwarding header is trusted by default."""
    headers = {"upgrade": "websocket", "connection": "Upgrade", "origin": ORIGIN, **claim}
    with browser.client.websocket_connect(SOCKET + "tab-1", headers=headers) as session:
        socket = Socket(session)
        socket.open()

    assert re.findall(r'"client_ip":"([^"]*)"', "".join(socket.frames)) == ["testclient"]


def test_behind_a_proxy_everything_inside_sees_the_client() -> None:
    """B9: pages, forms and sockets get the same address; several headers form one list."""
    client = TestClient(TrustedProxies(probe, hops=1, https=True), client=(PROXY, 5000))
    claims = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")]

    seen = client.get("/", headers=claims).json()

    assert seen == {"client": "203.0.113.7", "url": "https://testserver/"}


@pytest.mark.parametrize(("hops", "lines"), [(0, 1), (1, 0)])
def test_an_operator_hears_of_a_proxy_that_is_not_trusted(
    hops: int, lines: int, capfd: pytest.CaptureFixture[str]
) -> None:
    """D10: all visitors behind the proxy would share 20 sockets."""
    settings = Settings(public_url="https://verify.example", trusted_proxy_hops=hops)

    in_stack(probe, settings)

    assert capfd.readouterr().out.count("TRUSTED_PROXY_HOPS") == lines


async def probe(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    client = request.client.host if request.client else None
    await JSONResponse({"client": client, "url": str(request.url)})(scope, receive, send)

"""The simulated phone is open to this machine, and to other machines with the token."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from otp_app import services
from otp_app.config import Settings
from otp_app.phone import PhoneNumber
from otp_app.providers.simulated_phone import DELAYS, SimulatedPhone, Trouble
from otp_app.verification.client import is_direct_loopback
from otp_app.verification.models import Channel
from otp_app.web.dev_server import SimulatedPhoneGate
from tests.backend.client import SIMULATED, Socket
from tests.backend.conftest import ORIGIN, SOCKET
from tests.backend.starts import PRODUCTION, start
from tests.backend.test_events import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from tests.backend.conftest import Browser
    from tests.backend.starts import Start

PHONE = PhoneNumber("+447400123456")
BROWSER = {"host": "localhost:3000", "cookie": "a=b", "accept": "*/*", "user-agent": "Mozilla/5.0"}
HERE, NEIGHBOUR = "127.0.0.1", "192.168.1.7"
SIGNS = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded",
    "X-Original-Host",
    "X-Real-IP",
    "Forwarded",
    "Via",
    "CDN-Loop",
    "CF-Connecting-IP",
    "CF-Ray",
    "True-Client-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "Fly-Client-IP",
    "X-Azure-ClientIP",
    "X-Amzn-Trace-Id",
    "X-Envoy-External-Address",
    "X-AppEngine-User-IP",
    "X-ProxyUser-Ip",
    "X-Remote-Addr",
]
PATHS = ["/phone", "/phone/", "//phone", "/phone/index.html", "/%2e/phone.html", "/x/%2e%2e/PHONE"]
WITHOUT = {
    "real provider": PRODUCTION | {"APP_ENV": "development"},
    "other machines": {"PUBLIC_URL": "http://192.168.1.2:3000"},
}
"""Settings in development that leave out the simulated phone."""


@pytest.fixture
def phone(browser: Browser) -> Iterator[SimulatedPhone]:
    """Yield the phone with a message."""
    del browser
    real = services.current()
    phone = SimulatedPhone(real.verifications.now)
    phone.receive(Channel.SMS, PHONE, "493027", "de")
    services.install(replace(real, simulated_phone=phone))
    yield phone
    services.install(real)


def at(browser: Browser, address: str) -> Browser:
    """Return the same browser on the machine with *address*."""
    client = TestClient(browser.client.app, base_url=ORIGIN, client=(address, 50000))
    client.portal = browser.client.portal
    return replace(browser, client=client)


@contextmanager
def through_a_tunnel(browser: Browser, sign: str, cookie: str = "") -> Iterator[Socket]:
    """Yield a tab of the simulated phone whose handshake has the header *sign*."""
    headers = {"upgrade": "websocket", "connection": "Upgrade", "origin": ORIGIN, sign: "x"}
    headers |= {"cookie": cookie} if cookie else {}
    with browser.client.websocket_connect(SOCKET + f"by-{sign}", headers=headers) as session:
        tab = Socket(session)
        tab.open("/phone")
        yield tab


async def nothing(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Respond with an empty page. This function is an ASGI app."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def look(tab: Socket) -> dict[str, Any]:
    return tab.state(tab.send(f"{SIMULATED}.refresh", {}, "/phone"), SIMULATED)


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.7", False),
        ("203.0.113.7", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_this_machine_has_a_loopback_address(address: str, *, is_here: bool) -> None:
    assert is_direct_loopback(address, BROWSER) is is_here


@pytest.mark.parametrize("sign", SIGNS)
def test_a_request_with_any_sign_of_a_proxy_is_not_from_this_machine(sign: str) -> None:
    """S13."""
    assert not is_direct_loopback(HERE, BROWSER | {sign.lower(): "x"})
    assert not is_direct_loopback(HERE, BROWSER | {sign: "x"})


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost:3000", True),
        ("LOCALHOST", True),
        ("127.0.0.1:3000", True),
        ("[::1]:3000", True),
        ("0.0.0.0:3000", True),
        ("app.example.com", False),
        ("localhost.evil.example", False),
        ("localhost:1@evil.example", False),
        ("192.168.1.7:3000", False),
        ("", False),
    ],
)
def test_a_request_for_another_host_is_not_from_this_machine(host: str, *, is_here: bool) -> None:
    """S13."""
    assert is_direct_loopback(HERE, BROWSER | {"host": host}) is is_here


@pytest.mark.parametrize("path", PATHS)
def test_the_page_opens_on_this_machine_and_asks_for_the_token_elsewhere(
    browser: Browser, path: str
) -> None:
    """B9, S13: the pages are not built in these tests, so 404 stands for access."""
    url = ORIGIN + path
    here, neighbour = at(browser, HERE).client, at(browser, NEIGHBOUR).client

    assert here.get(url, follow_redirects=False).status_code in {307, 404}
    for answer in (
        neighbour.get(url, follow_redirects=False),
        here.get(url, headers={"X-Forwarded-Proto": "https"}),
        here.get(url + "?token=", headers={"Via": "1.1 proxy"}),
        here.get(url + "?token=wrong", headers={"CF-Connecting-IP": "203.0.113.7"}),
        here.get(url, headers={"Via": "1.1 proxy", "cookie": "simulated_phone=wrong"}),
    ):
        assert answer.status_code == 403
        assert '<input id="token" name="token"' in answer.text


@pytest.mark.parametrize(
    "settings",
    [
        Settings(trusted_proxy_hops=1),
        Settings(public_url="https://localhost"),
        Settings(public_url="http://localhost:8080"),
    ],
    ids=["TRUSTED_PROXY_HOPS", "https", "another port"],
)
def test_a_setting_that_tells_of_a_proxy_is_a_sign(browser: Browser, settings: Settings) -> None:
    """S13."""
    del browser
    gate = SimulatedPhoneGate(nothing, settings)

    assert TestClient(gate, ORIGIN, client=(HERE, 1)).get("/phone").status_code == 403


def test_http_1_0_is_a_sign_of_a_proxy(browser: Browser) -> None:
    """S13: many versions of nginx use HTTP/1.0 by default."""
    del browser
    gate = SimulatedPhoneGate(nothing, Settings())

    async def by_nginx(scope: Scope, receive: Receive, send: Send) -> None:
        await gate({**scope, "http_version": "1.0"}, receive, send)

    assert TestClient(gate, ORIGIN, client=(HERE, 1)).get("/phone").status_code == 204
    assert TestClient(by_nginx, ORIGIN, client=(HERE, 1)).get("/phone").status_code == 403


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(
    browser: Browser, phone: SimulatedPhone
) -> None:
    """S13."""
    client = at(browser, HERE).client

    answer = client.get(
        f"/phone?token={phone.token}", headers={"Via": "1.1 proxy"}, follow_redirects=False
    )

    assert (answer.status_code, answer.headers["location"]) == (303, "/phone")
    cookie, _, flags = answer.headers["set-cookie"].partition(";")
    assert cookie == f"simulated_phone={phone.token}"
    assert "HttpOnly" in flags
    assert "samesite=lax" in flags.lower()
    shown = client.get("/phone", headers={"Via": "1.1 proxy", "cookie": cookie})
    assert shown.status_code == 404


@pytest.mark.parametrize("address", [HERE, NEIGHBOUR])
def test_a_browser_with_the_token_sees_what_arrives_from_elsewhere(
    browser: Browser, phone: SimulatedPhone, address: str
) -> None:
    """S13: the rule of the page also applies to the events of the socket."""
    cookie = f"{browser.cookie}; simulated_phone={phone.token}"
    with through_a_tunnel(at(browser, address), "X-Real-IP", cookie=cookie) as tab:
        look(tab)
        tab.send(f"{SIMULATED}.choose_trouble", {"trouble": "late"})

    assert "493027" in "".join(tab.frames)
    assert phone.token not in "".join(tab.frames)
    assert phone.trouble is Trouble.LATE


def test_this_machine_sees_what_arrives_but_not_the_number(
    browser: Browser, phone: SimulatedPhone
) -> None:
    with at(browser, HERE).socket("/phone") as tab:
        look(tab)
        phone.receive(Channel.VOICE, PHONE, "028061")
        shown = look(tab)
        frames = "".join(tab.frames)

    assert [(one["channel"], one["code"]) for one in shown["messages"]] == [
        ("voice", "028061"),
        ("sms", "493027"),
    ]
    assert shown["messages"][0]["spoken"] == "zero, two, eight, zero, six, one"
    assert "7400123456" not in frames


@pytest.mark.row("C13")
@pytest.mark.parametrize(
    ("channel", "last_line"), [(Channel.SMS, "\n\n@localhost #028061"), (Channel.WHATSAPP, ".")]
)
def test_a_message_reads_as_it_would_on_a_phone(
    browser: Browser, phone: SimulatedPhone, channel: Channel, last_line: str
) -> None:
    with at(browser, HERE).socket("/phone") as tab:
        phone.receive(channel, PHONE, "028061", "en")
        message, german = look(tab)["messages"]

    assert message["rest"].startswith(" is your MyApp code. Do not share it.")
    assert message["rest"].endswith(last_line)
    assert (message["language"], german["language"]) == ("en", "de")


def test_what_has_not_changed_is_not_sent_again(browser: Browser, phone: SimulatedPhone) -> None:
    with at(browser, HERE).socket("/phone") as tab:
        look(tab)
        phone.receive(Channel.SMS, PHONE, "028061")
        assert "028061" in str(look(tab))
        assert look(tab) == {}


def test_a_switch_of_one_tab_is_shown_by_the_other(browser: Browser, phone: SimulatedPhone) -> None:
    here = at(browser, HERE)
    with here.socket("/phone") as tab, here.socket("/phone", token="tab-2") as other:
        look(other)
        tab.send(f"{SIMULATED}.choose_trouble", {"trouble": "late"})
        tab.send(f"{SIMULATED}.choose_delay", {"seconds": str(DELAYS[2])})
        shown = look(other)

    assert (phone.trouble, phone.delay) == (Trouble.LATE, DELAYS[2])
    assert (shown["trouble"], shown["delay"]) == ("late", str(DELAYS[2]))


@pytest.mark.parametrize("value", JSON)
def test_no_json_is_a_switch(browser: Browser, phone: SimulatedPhone, value: object) -> None:
    with at(browser, HERE).socket("/phone") as tab:
        tab.send(f"{SIMULATED}.choose_trouble", {"trouble": value})
        tab.send(f"{SIMULATED}.choose_delay", {"seconds": value})
        frames = "".join(tab.frames)

    assert (phone.trouble, phone.delay) == (Trouble.NONE, DELAYS[0])
    assert "problem" not in frames


def test_the_neighbour_sees_nothing_and_switches_nothing(
    browser: Browser, phone: SimulatedPhone
) -> None:
    with at(browser, NEIGHBOUR).socket("/phone") as tab:
        shown = look(tab)
        tab.send(f"{SIMULATED}.choose_trouble", {"trouble": "down"})
        tab.send(f"{SIMULATED}.choose_delay", {"seconds": str(DELAYS[1])})
        frames = "".join(tab.frames)

    assert shown == {}
    assert "493027" not in frames
    assert (phone.trouble, phone.delay) == (Trouble.NONE, DELAYS[0])


@pytest.mark.parametrize("sign", SIGNS)
def test_a_tab_behind_a_tunnel_sees_nothing(
    browser: Browser, phone: SimulatedPhone, sign: str
) -> None:
    """S13."""
    with through_a_tunnel(at(browser, HERE), sign) as tab:
        look(tab)
        tab.send(f"{SIMULATED}.choose_trouble", {"trouble": "down"})

    assert "493027" not in "".join(tab.frames)
    assert phone.trouble is Trouble.NONE


def test_a_token_stolen_from_this_machine_shows_nothing(
    browser: Browser, phone: SimulatedPhone
) -> None:
    del phone
    with at(browser, HERE).socket("/phone", token="stolen-phone") as tab:
        look(tab)
        assert "493027" in "".join(tab.frames)
        tab.leave(browser.client.portal)

    with at(browser, NEIGHBOUR).socket("/phone", token="stolen-phone") as thief:
        look(thief)

    assert "new_token" not in "".join(thief.frames)
    assert "493027" not in "".join(thief.frames)


def traces(names: list[str]) -> list[str]:
    """Return those of *names* that belong to the simulated phone."""
    assert "otp_app.state.verify" in names
    assert "code" in names
    return [name for name in names if "simulated" in name or name == "phone"]


def test_in_production_there_is_no_trace_of_it(production_start: Start) -> None:
    assert traces(production_start.names) == []


@pytest.mark.nightly
@pytest.mark.parametrize("settings", WITHOUT.values(), ids=list(WITHOUT))
def test_elsewhere_there_is_no_trace_of_it(settings: dict[str, str], tmp_path: Path) -> None:
    assert traces(start(settings, tmp_path).names) == []


@pytest.mark.parametrize(
    ("settings", "has_one"),
    [
        ({}, True),
        (PRODUCTION, False),
        *((settings, False) for settings in WITHOUT.values()),
    ],
    ids=["local", "production", *WITHOUT],
)
def test_the_settings_say_whether_there_is_one(settings: dict[str, str], *, has_one: bool) -> None:
    values: dict[str, Any] = {name.lower(): value for name, value in settings.items()}

    assert Settings(**values).has_simulated_phone is has_one

"""Who sees the simulated phone: this machine, and nobody who comes through something on it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from otp_app import services
from otp_app.addresses import is_this_machine
from otp_app.phone import PhoneNumber
from otp_app.providers.simulated_phone import DELAYS, SimulatedPhone, Trouble
from otp_app.verification.models import Channel
from tests.backend.client import SIMULATED, Socket
from tests.backend.conftest import ORIGIN, SOCKET
from tests.backend.test_events import JSON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.backend.conftest import Browser

PHONE = PhoneNumber("+447400123456")
HERE, NEIGHBOUR = "127.0.0.1", "192.168.1.7"
TUNNELS = [{"x-forwarded-for": "203.0.113.7"}, {"forwarded": "for=203.0.113.7"}]
IMPORTS = """
import sys
from reflex_base.registry import RegistrationContext
from otp_app.otp_app import app
print(*sys.modules, *RegistrationContext.get().event_handlers, *app._unevaluated_pages, sep="\\n")
"""
PRODUCTION = {
    "APP_ENV": "production",
    "OTP_PROVIDER": "twilio",
    "TWILIO_ACCOUNT_SID": f"AC{'0' * 32}",
    "TWILIO_AUTH_TOKEN": "not-a-real-token",
    "TWILIO_VERIFY_SERVICE_SID": f"VA{'0' * 32}",
    "PUBLIC_URL": "https://verify.example",
    "ALLOWED_COUNTRIES": "US",
}


@pytest.fixture
def phone(browser: Browser) -> Iterator[SimulatedPhone]:
    """The phone, with a message on it."""
    del browser
    real = services.current()
    phone = SimulatedPhone(real.verifications.now)
    phone.receive(Channel.SMS, PHONE, "493027", "de")
    services.install(replace(real, simulated_phone=phone))
    yield phone
    services.install(real)


def at(browser: Browser, address: str) -> Browser:
    """The same browser, on the machine with *address*."""
    client = TestClient(browser.client.app, base_url=ORIGIN, client=(address, 50000))
    client.portal = browser.client.portal
    return replace(browser, client=client)


def look(tab: Socket) -> dict[str, Any]:
    return tab.state(tab.send(f"{SIMULATED}.look", {}, "/phone"), SIMULATED)


@pytest.mark.parametrize(
    ("address", "headers", "is_here"),
    [
        ("127.0.0.1", [], True),
        ("127.8.8.8", ["host", "cookie"], True),
        ("::1", [], True),
        ("::ffff:127.0.0.1", [], True),
        ("127.0.0.1", ["X-Forwarded-For"], False),
        ("127.0.0.1", ["forwarded"], False),
        ("192.168.1.7", [], False),
        ("203.0.113.7", [], False),
        ("localhost", [], False),
        ("", [], False),
    ],
)
def test_this_machine_is_who_comes_from_it_and_through_nothing(
    address: str, headers: list[str], *, is_here: bool
) -> None:
    assert is_this_machine(address, headers) is is_here


@pytest.mark.parametrize("path", ["/phone", "/phone/", "//phone", "/phone/index.html"])
def test_only_this_machine_gets_the_page(browser: Browser, path: str) -> None:
    """B9: pages do not exist here: 404 takes its place."""
    url = ORIGIN + path

    assert at(browser, HERE).client.get(url, follow_redirects=False).status_code in {307, 404}
    assert at(browser, NEIGHBOUR).client.get(url, follow_redirects=False).status_code == 403
    for claim in TUNNELS:
        assert at(browser, HERE).client.get(url, headers=claim).status_code == 403


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


@pytest.mark.parametrize(
    ("channel", "last_line"), [(Channel.SMS, "\n\n@localhost #028061"), (Channel.WHATSAPP, ".")]
)
def test_c13_a_message_reads_as_it_would_on_a_phone(
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
        tab.send(f"{SIMULATED}.go_wrong", {"trouble": "late"})
        tab.send(f"{SIMULATED}.delay_by", {"seconds": str(DELAYS[2])})
        shown = look(other)

    assert (phone.trouble, phone.delay) == (Trouble.LATE, DELAYS[2])
    assert (shown["trouble"], shown["delay"]) == ("late", str(DELAYS[2]))


@pytest.mark.parametrize("value", JSON)
def test_no_json_is_a_switch(browser: Browser, phone: SimulatedPhone, value: object) -> None:
    with at(browser, HERE).socket("/phone") as tab:
        tab.send(f"{SIMULATED}.go_wrong", {"trouble": value})
        tab.send(f"{SIMULATED}.delay_by", {"seconds": value})
        frames = "".join(tab.frames)

    assert (phone.trouble, phone.delay) == (Trouble.NONE, DELAYS[0])
    assert "problem" not in frames


def test_the_neighbour_sees_nothing_and_switches_nothing(
    browser: Browser, phone: SimulatedPhone
) -> None:
    with at(browser, NEIGHBOUR).socket("/phone") as tab:
        shown = look(tab)
        tab.send(f"{SIMULATED}.go_wrong", {"trouble": "down"})
        tab.send(f"{SIMULATED}.delay_by", {"seconds": str(DELAYS[1])})
        frames = "".join(tab.frames)

    assert shown == {}
    assert "493027" not in frames
    assert (phone.trouble, phone.delay) == (Trouble.NONE, DELAYS[0])


@pytest.mark.parametrize("claim", TUNNELS)
def test_who_comes_through_a_tunnel_sees_nothing(
    browser: Browser, phone: SimulatedPhone, claim: dict[str, str]
) -> None:
    del phone
    headers = {"upgrade": "websocket", "connection": "Upgrade", "origin": ORIGIN, **claim}
    client = at(browser, HERE).client
    with client.websocket_connect(SOCKET + "tunnel", headers=headers) as session:
        tab = Socket(session)
        tab.open("/phone")
        look(tab)

    assert "493027" not in "".join(tab.frames)


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


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(PRODUCTION, id="production", marks=pytest.mark.nightly),
        pytest.param(PRODUCTION | {"APP_ENV": "development"}, id="real provider"),
        pytest.param(
            {"PUBLIC_URL": "http://192.168.1.2:3000"},
            id="other machines",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_elsewhere_there_is_no_trace_of_it(settings: dict[str, str]) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=True,
    )

    names = answer.stdout.split()
    assert "otp_app.state.verify" in names
    assert "code" in names
    assert [name for name in names if "simulated" in name or name == "phone"] == []

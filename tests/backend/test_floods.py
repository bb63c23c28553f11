"""Who sends more than a person can: the rest of us notice nothing."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from anyio import wait_all_tasks_blocked
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from otp_app.web import rates
from otp_app.web.rates import Buckets, Rate
from tests.backend.client import SETVAR, STATE
from tests.backend.conftest import HOURS, SOCKET

if TYPE_CHECKING:
    from tests.backend.client import Socket
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

BURST = 20  # frames of a socket
OPENING = 3  # frames that a tab sends to be there
PER_ADDRESS = 20  # sockets
BROWSER_ERROR = (
    "reflex___state____state.reflex___state____frontend_event_exception_state"
    ".handle_frontend_exception"
)


class Clock:
    """Stands still until it is moved on, by seconds."""

    def __init__(self) -> None:
        self.moment = float(next(HOURS))

    def __call__(self) -> float:
        return self.moment

    def tick(self, seconds: float) -> None:
        self.moment += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "now", clock)
    return clock


def flood(tab: Socket, number: int, event: str = SETVAR) -> None:
    """Send so many events at once; each that is done is answered with its own value."""
    for place in range(number):
        payload = {"var_name": "is_hydrated", "value": f"done-{place}"}
        body = {"name": event, "payload": payload, "router_data": {}}
        tab.session.send_text("42/_event," + json.dumps(["event", body]))
    assert isinstance(tab.session, WebSocketTestSession)
    tab.session.portal.call(wait_all_tasks_blocked)


def done(tab: Socket, clock: Clock) -> int:
    """How many of those were, once the flood is over."""
    clock.tick(10)
    tab.flush()
    return "".join(tab.frames).count('"done-')


def handshake(browser: Browser, token: str = "tab") -> WebSocketTestSession:
    headers = {"upgrade": "websocket", "connection": "Upgrade", "cookie": browser.cookie}
    return browser.client.websocket_connect(SOCKET + token, headers=headers)


def test_a_socket_gets_a_burst_of_events_through_and_then_ten_a_second(
    browser: Browser, clock: Clock
) -> None:
    """D9."""
    with browser.socket() as tab:
        flood(tab, 100)
        assert done(tab, clock) == BURST - OPENING

        flood(tab, 100)
        clock.tick(1)
        flood(tab, 100)
        assert done(tab, clock) == BURST - OPENING + BURST - 1 + 10


def test_a_flood_is_one_line_of_the_log_a_minute(
    browser: Browser, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """D9."""
    with browser.socket() as tab:
        for _ in range(2):
            flood(tab, 1000)
            done(tab, clock)
            clock.tick(60)

    assert "".join(capfd.readouterr()).count("socket.flooded") == 2


def test_a_flood_leaves_the_others_what_is_theirs(browser: Browser, clock: Clock) -> None:
    """D9: a socket of the same address, too."""
    with browser.socket() as flooder, browser.socket(token="tab-2") as other:
        flood(flooder, 1000)
        flood(other, 10)

        assert done(other, clock) == 10


def test_many_sockets_of_one_address_share_its_rate(browser: Browser, clock: Clock) -> None:
    """D9: 100 events at once, then 50 a second."""
    with ExitStack() as stack:
        tabs = [stack.enter_context(browser.socket(token=f"tab-{place}")) for place in range(10)]
        for tab in tabs:
            flood(tab, BURST)

        most = 100 - 10 * OPENING
        # Where it takes long, tabs are asked whether they are still there, and the answer counts.
        assert most - 10 <= sum(done(tab, clock) for tab in tabs) <= most


def test_an_event_that_no_form_could_send_is_dropped(
    browser: Browser, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    """D9, E9: payloads of more than 4 KiB."""
    form = {"phone": "07400 123456", "country": "GB"}
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": form | {"channel": "x" * 4096}})
        assert capfd.readouterr().out.count("event.dropped") == 1
        tab.send(f"{STATE}.request_code", {"form": form | {"channel": "sms"}})

    assert len(provider.sent) == 1


def test_the_handshake_says_how_long_a_frame_may_be_and_how_often_it_asks(browser: Browser) -> None:
    """D8, D11: a dead connection is let go after 20 s."""
    with handshake(browser) as session:
        told = json.loads(session.receive_text().removeprefix("0"))

    assert told["maxPayload"] == 16 * 1024
    assert (told["pingInterval"], told["pingTimeout"]) == (10_000, 10_000)


def test_a_frame_that_is_too_long_ends_its_socket(browser: Browser) -> None:
    """D8."""
    with browser.socket() as tab:
        tab.session.send_text("42/_event," + "x" * 16 * 1024)
        with pytest.raises(WebSocketDisconnect):
            tab.flush()


def test_errors_of_a_browser_fill_no_log(
    browser: Browser, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """D13: 20 at once, and 20 a minute."""
    with browser.socket() as tab:
        for _ in range(60):
            clock.tick(1)
            tab.send(BROWSER_ERROR, {"info": "canary", "component_stack": ""})

    assert caplog.text.count("canary") == 20 + 20 - 1


def test_an_address_has_so_many_sockets_and_no_more(
    browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    """D10: until one of them is closed."""
    with ExitStack() as stack:
        for _ in range(PER_ADDRESS - 1):
            stack.enter_context(handshake(browser))
        with handshake(browser):
            for _ in range(3):
                assert refusal(browser) == 429
        with handshake(browser):
            pass

    assert capfd.readouterr().out.count("socket.refused") == 3  # an hour lies between them


def test_an_address_opens_sixty_sockets_at_once_and_then_one_a_second(
    browser: Browser, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """D10: every new one leaves a state behind for 15 minutes."""
    for _ in range(60):
        with handshake(browser):
            pass
    assert refusal(browser) == refusal(browser) == 429

    clock.tick(1)
    with handshake(browser):
        pass
    assert refusal(browser) == 429
    assert capfd.readouterr().out.count("socket.refused") == 1


def test_full_buckets_are_forgotten(clock: Clock) -> None:
    """D9: addresses are many, memory is not."""
    buckets = Buckets(Rate(1, burst=1))
    for place in range(10_000):
        clock.tick(0.01)
        assert buckets.take(str(place))
        assert not buckets.take(str(place))

    assert len(buckets._buckets) < 1300


def refusal(browser: Browser) -> int:
    """The status that the handshake is refused with."""
    with pytest.raises(WebSocketDenialResponse) as refused, handshake(browser):
        pass
    status: int = refused.value.status_code
    return status

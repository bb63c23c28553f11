"""Floods of frames and sockets, which do not affect other people."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from anyio import wait_all_tasks_blocked
from starlette.testclient import TestClient, WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from otp_app.web import bounds
from otp_app.web.bounds import Buckets, ClientBuckets, Rate
from otp_app.web.socket_guard import SocketLimit, new_sockets
from tests.backend.client import SETVAR, STATE, has_ended
from tests.backend.conftest import HOURS, SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from tests.backend.client import Socket
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

    Opened = Callable[[str], AbstractContextManager[WebSocketTestSession]]

BURST = 20  # frames that a socket may send at once
OPENING = 3  # frames that a tab sends when it opens
PER_ADDRESS = 20  # sockets that an address may have open
BROWSER_ERROR = (
    "reflex___state____state.reflex___state____frontend_event_exception_state"
    ".handle_frontend_exception"
)


class Clock:
    """A clock that stands still until a test moves it on, in seconds."""

    def __init__(self) -> None:
        self.moment = float(next(HOURS))

    def __call__(self) -> float:
        return self.moment

    def tick(self, seconds: float) -> None:
        self.moment += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bounds, "now", clock)
    return clock


def flood(tab: Socket, number: int, event: str = SETVAR) -> None:
    """Send *number* events at once. The reply to each one that is handled has its own value."""
    for place in range(number):
        payload = {"var_name": "is_hydrated", "value": f"done-{place}"}
        body = {"name": event, "payload": payload, "router_data": {}}
        tab.session.send_text("42/_event," + json.dumps(["event", body]))
    assert isinstance(tab.session, WebSocketTestSession)
    tab.session.portal.call(wait_all_tasks_blocked)


def done(tab: Socket, clock: Clock) -> int:
    """Return the number of the flood's events that were handled."""
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
    """D9: the others include a socket of the same address."""
    with browser.socket() as flooder, browser.socket(token="tab-2") as other:
        flood(flooder, 1000)
        flood(other, 10)

        assert done(other, clock) == 10


def test_many_sockets_of_one_address_share_its_rate(browser: Browser, clock: Clock) -> None:
    """D9: the rate is 100 events at once, then 50 a second."""
    with ExitStack() as stack:
        tabs = [stack.enter_context(browser.socket(token=f"tab-{place}")) for place in range(10)]
        for tab in tabs:
            flood(tab, BURST)

        most = 100 - 10 * OPENING
        # On a slow machine, the server pings the tabs, and each pong counts as a frame.
        assert most - 10 <= sum(done(tab, clock) for tab in tabs) <= most


def test_an_event_that_no_form_could_send_is_dropped(
    browser: Browser, provider: FakeProvider, capfd: pytest.CaptureFixture[str]
) -> None:
    """D9, E9: the payload has more than 4 KiB."""
    form = {"phone": "07400 123456", "country": "GB"}
    with browser.socket() as tab:
        tab.send(f"{STATE}.request_code", {"form": form | {"channel": "x" * 4096}})
        assert capfd.readouterr().out.count("ui_event.dropped") == 1
        tab.send(f"{STATE}.request_code", {"form": form | {"channel": "sms"}})

    assert len(provider.sent) == 1


def test_the_handshake_says_how_long_a_frame_may_be_and_how_often_it_asks(browser: Browser) -> None:
    """D8, D11: the server closes a dead connection after 20 s."""
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
    """D13: the rate is 20 at once, and 20 a minute."""
    with browser.socket() as tab:
        for _ in range(60):
            clock.tick(1)
            tab.send(BROWSER_ERROR, {"info": "canary", "component_stack": ""})

    assert caplog.text.count("canary") == 20 + 20 - 1


def test_an_address_has_so_many_sockets_and_no_more(
    browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    """D10: a new socket is accepted after one of them closes."""
    with ExitStack() as stack:
        for _ in range(PER_ADDRESS - 1):
            stack.enter_context(handshake(browser))
        with handshake(browser):
            for _ in range(3):
                assert refusal(browser) == 429
        with handshake(browser):
            pass

    assert capfd.readouterr().out.count("socket.refused") == 3  # there is an hour between them


def test_an_address_opens_sixty_sockets_at_once_and_then_one_a_second(
    browser: Browser, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """D10: every new socket leaves a state in memory for 15 minutes."""
    for _ in range(60):
        with handshake(browser):
            pass
    assert refusal(browser) == refusal(browser) == 429

    clock.tick(1)
    with handshake(browser):
        pass
    assert refusal(browser) == 429
    assert capfd.readouterr().out.count("socket.refused") == 1


def test_a_socket_that_joins_again_counts_as_a_new_one(
    browser: Browser, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """S10: joins on one connection have the rate of new sockets: sixty, then one a second."""
    written = ""
    with handshake(browser) as session:
        joins = 0
        while "socket.refused" not in written and joins < 100:
            joins += 1
            clock.tick(0.2)
            session.send_text("40/_event,{}")
            session.send_text("41/_event,")
            session.portal.call(wait_all_tasks_blocked)
            written += capfd.readouterr().out
        assert has_ended(session)
    assert refusal(browser) == 429

    assert joins - 1 == 60 + int(0.2 * joins)


@pytest.fixture
def capped() -> Opened:
    """Return a function that opens a socket from an address.

    An address may have two sockets, and all addresses together twenty.
    """

    async def accept(_scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            continue

    app = SocketLimit(accept, per_address=2, in_all=20, new=new_sockets(100))

    def opened(address: str) -> AbstractContextManager[WebSocketTestSession]:
        client = TestClient(app, client=(address, 1))
        return client.websocket_connect("/")

    return opened


def test_the_64s_of_one_48_have_eight_times_the_sockets_of_an_address(capped: Opened) -> None:
    """S8."""
    with ExitStack() as stack:
        for place in range(16):
            stack.enter_context(capped(f"2001:db8:1:{place:x}::1"))

        for place in range(3):
            assert status_of(capped(f"2001:db8:1:{place:x}::1")) == 429
        stack.enter_context(capped("2001:db8:2::1"))


def test_when_all_sockets_are_taken_nobody_gets_one(
    capped: Opened, clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    """S8: every client is refused until a socket closes, with one line in the log a minute."""
    with ExitStack() as stack:
        for place in range(19):
            stack.enter_context(capped(f"198.51.100.{place}"))
        with capped("203.0.113.1"):
            for place in range(2, 9):
                assert status_of(capped(f"203.0.113.{place}")) == 503
            assert capfd.readouterr().out.count("socket.full") == 1
            clock.tick(60)
            with pytest.raises(WebSocketDenialResponse) as refused, capped("2001:db8::1"):
                pass
            assert refused.value.headers["retry-after"] == "60"
        stack.enter_context(capped("2001:db8::1"))

    assert capfd.readouterr().out.count("socket.full") == 1


def test_a_network_has_eight_times_the_rate_of_an_address(clock: Clock) -> None:
    """S8: an address that is refused takes nothing from the network's rate."""
    buckets = ClientBuckets(Rate(1, burst=2))
    network = "2001:db8::/48"
    for _ in range(20):
        buckets.take(("2001:db8::/64", network))

    taken = [buckets.take((f"2001:db8:0:{place}::/64", network)) for place in range(1, 20)]

    assert taken.count(True) == 16 - 2
    clock.tick(1)
    assert [buckets.take((f"2001:db8:0:{place}::/64", network)) for place in range(9)] == (
        [True] * 8 + [False]
    )


def test_full_buckets_are_forgotten(clock: Clock) -> None:
    """D9: the many addresses must not fill the memory."""
    buckets = Buckets(Rate(1, burst=1))
    for place in range(10_000):
        clock.tick(0.01)
        assert buckets.take(str(place))
        assert not buckets.take(str(place))

    assert len(buckets._buckets) < 1300


def refusal(browser: Browser) -> int:
    """Return the status of the refused handshake."""
    return status_of(handshake(browser))


def status_of(opened: AbstractContextManager[WebSocketTestSession]) -> int:
    """Return the status of the refused handshake of *opened*."""
    with pytest.raises(WebSocketDenialResponse) as refused, opened:
        pass
    status: int = refused.value.status_code
    return status

"""The frames that a socket may send: our pages' packets only, with the join in time."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from reflex.state import State

from otp_app.web import socket_guard
from otp_app.web.socket_guard import FrameValidation, new_sockets
from tests.backend.client import HYDRATE, PONG, STATE, Socket, has_ended
from tests.backend.test_floods import handshake

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from tests.backend.client import Session
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider

NONSENSE: list[str | bytes] = [
    "",
    "4",
    "9",
    "42/_event,{",
    "42/_event,{}",
    "42/_event,5",
    "42/_event," + 8_000 * "[",
    '42/elsewhere,["event",{}]',
    '42["event",{}]',
    "40/elsewhere,{}",
    "40/_event,[]",
    '43/_event,1["x"]',
    '42/_event,["event",{"name":"no.such.event","payload":{"code":"123456"}}]',
    '42/_event,["event","no object"]',
    '42/_event,["event",{"name":["a","list"]}]',
    '44/_event,{"message":"x"}',
    '451-/_event,["event",{"_placeholder":true,"num":0}]',
    b"\x00\xff",
    "[]",
    "\ufffd\x00",
]

EVENTS = [f for f in NONSENSE if isinstance(f, str) and f.startswith('42/_event,["event",')]
KNOWN = {"name": HYDRATE, "payload": {}, "router_data": {"pathname": "/", "asPath": "/"}}
JOINS = [
    *({"event": json.loads(f.removeprefix("42/_event,"))[1]} for f in EVENTS),
    *({"event": frame} for frame in NONSENSE if isinstance(frame, str)),
    {"event": {}},
    {"event": ["event", KNOWN]},
    {"event": KNOWN, "state_schema": "f" * 65},
    {"event": KNOWN, "state_schema": "no hash\n"},
    {"event": KNOWN, "state_schema": ["f"]},
    {"event": KNOWN, "token": "x"},
    {"name": HYDRATE},
]


def send(session: Session, frame: str | bytes) -> None:
    if isinstance(frame, bytes):
        session.send_bytes(frame)
    else:
        session.send_text(frame)


@pytest.mark.parametrize("frame", NONSENSE, ids=repr)
def test_a_frame_that_no_page_sends_is_dropped(
    browser: Browser, provider: FakeProvider, capfd: pytest.CaptureFixture[str], frame: str | bytes
) -> None:
    """D8: Reflex does not get the frame, nothing is logged, and the socket still works."""
    form = {"phone": "07400 123456", "country": "GB", "channel": "sms"}
    with browser.socket() as tab:
        capfd.readouterr()
        send(tab.session, frame)
        tab.flush()
        assert "".join(capfd.readouterr()) == ""
        assert tab.state(tab.send(f"{STATE}.request_code", {"form": form}))["step"] == "code"

    assert len(provider.sent) == 1


@pytest.mark.parametrize("join", JOINS, ids=repr)
async def test_a_frame_that_no_page_sends_is_dropped_inside_a_connect_packet_too(
    join: dict[str, object],
) -> None:
    """S10: Reflex runs the event in a CONNECT packet before any other event."""
    good = json.dumps({"event": KNOWN, "state_schema": "0123456789abcdef"})

    got = await let_through(f"40/_event,{json.dumps(join)}", f"40/_event,{good}")

    assert got == [f"40/_event,{good}"]


def test_an_event_inside_a_connect_packet_that_no_page_sends_is_not_logged(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """S10."""
    with handshake(browser, token="unknown-event") as session:
        session.send_text('40/_event,{"event":{"name":"no.such_handler"}}')
        tab = Socket(session)
        tab.open()
        tab.flush()

    assert "no.such" not in caplog.text


def test_a_page_joins_with_its_first_event(browser: Browser) -> None:
    """S10: the frame is the one that Reflex's `state.js` sends."""
    join = {"event": KNOWN, "state_schema": State._to_frontend_schema()}
    with handshake(browser) as session:
        session.send_text("40/_event," + json.dumps(join))
        tab = Socket(session)
        tab.flush()

    assert tab.state(tab.frames)["step"] == "phone"
    assert "state_mismatch" not in "".join(tab.frames)


def test_after_twenty_of_them_the_socket_ends(
    browser: Browser, capfd: pytest.CaptureFixture[str]
) -> None:
    """D8."""
    with browser.socket() as tab:
        for frame in NONSENSE:
            tab.flush()  # the socket is still open
            send(tab.session, frame)
        assert has_ended(tab.session)

    written = "".join(capfd.readouterr())
    assert len(NONSENSE) == socket_guard.BAD_FRAMES
    assert written.count("socket.protocol_violation") == 1
    assert "Traceback" not in written


def test_a_socket_that_never_joins_ends(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """D10: the socket replies to pings but never joins."""
    monkeypatch.setattr(socket_guard, "JOIN_WITHIN", 0.05)
    with handshake(browser) as session:
        session.send_text(PONG)
        assert has_ended(session)

    assert capfd.readouterr().out.count("socket.join_timed_out") == 1


async def test_a_socket_that_has_joined_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """D10: the person may take a while to read the message."""
    loop = asyncio.get_running_loop()
    an_hour_later = loop.time() + 3600
    said = ["40/_event,{}", PONG]
    got: list[str] = []

    async def receive() -> Message:
        if len(said) == 1:
            monkeypatch.setattr(loop, "time", lambda: an_hour_later)
            for _ in range(3):  # turns of the event loop, which would run a timer that is due
                await asyncio.sleep(0)
        text = said.pop(0)
        return {"type": "websocket.receive", "text": text}

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        got.extend([(await receive())["text"], (await receive())["text"]])

    async def send(_message: Message) -> None:
        raise AssertionError("Nobody has to say anything")

    await FrameValidation(app, handlers=(), new=new_sockets(1))(
        {"type": "websocket"}, receive, send
    )

    assert got == ["40/_event,{}", PONG]


async def let_through(*frames: str) -> list[str]:
    """Return those of *frames* that `FrameValidation` passes to the app inside."""
    said: list[Message] = [{"type": "websocket.receive", "text": frame} for frame in frames]
    said.append({"type": "websocket.disconnect"})
    got: list[str] = []

    async def receive() -> Message:
        return said.pop(0)

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        while (message := await receive())["type"] == "websocket.receive":
            got.append(message["text"])

    async def send(_message: Message) -> None:
        raise AssertionError("Nothing has to be sent")

    checks = FrameValidation(app, handlers={HYDRATE}, new=new_sockets(1))
    await checks({"type": "websocket"}, receive, send)
    return got

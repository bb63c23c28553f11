"""D: Reflex's socket and its token, which every client chooses itself."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from socket import SHUT_WR
from typing import TYPE_CHECKING

import pytest
from starlette.websockets import WebSocketDisconnect

from otp_app.web.socket_guard import FRAMES
from tests.attacks.attacker import PATIENCE, Refused
from tests.attacks.test_c_binding import is_verified
from tests.backend.client import PONG, SETVAR, STATE, frame, has_ended

if TYPE_CHECKING:
    from tests.attacks.attacker import Wire
    from tests.attacks.world import World

BROWSER_ERROR = (
    "reflex___state____state.reflex___state____frontend_event_exception_state"
    ".handle_frontend_exception"
)
JOIN = "40/_event,{}"
NOT_OURS = [
    f"{STATE}._restore",
    f"{STATE}._mirror",
    f"{STATE}.__init__",
    f"{STATE}.reset",
    f"{STATE}.set_step",
    f"{STATE}.get_delta",
    f"{STATE}.dict",
    "reflex___state____state.reset",
    "otp_app___services.current",
    "os.system",
    "",
]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://localhost.evil.example:{port}",
        "http://localhost:1",
        "http://localhost",
        "https://localhost:{port}",
        "http://localhost:{port}@evil.example",
        "file://",
    ],
)
def test_a_page_of_another_site_gets_no_socket(world: World, origin: str) -> None:
    """D1."""
    me = world.attacker()
    with pytest.raises(Refused), me.wire(Origin=origin.format(port=me.port)):
        pass


def test_who_sends_no_origin_is_no_browser_and_gets_no_more(world: World) -> None:
    """D1: the socket carries no cookie and no verification of another client."""
    form = {"phone": world.number().e164, "country": "US", "channel": "sms"}
    with world.client_without_cookie().tab(Origin="") as tab:
        shown = tab.state(tab.send(f"{STATE}.request_code", {"form": form}))

    assert "cookie" in shown["error"]
    assert world.sent() == 0


def test_a_token_that_the_attacker_chose_shows_nothing_of_the_victim(world: World) -> None:
    """D2: the attacker plants the token in the victim's tab, and the victim verifies."""
    thief, victim, number = world.attacker(), world.attacker(), world.number()
    with thief.tab(token="planted") as tab:
        tab.flush()
    with victim.tab(token="planted") as tab:
        form = {"phone": number.national, "country": "US", "channel": "sms"}
        tab.send(f"{STATE}.request_code", {"form": form})
        code = {"form": {"code": world.code(number)}}
        assert tab.state(tab.send(f"{STATE}.check_code", code, "/code"))["step"] == "verified"

    with thief.tab("/verified", token="planted") as tab:
        assert not is_verified(tab)
        tab.send(f"{STATE}.show_code", {}, "/code")
        assert tab.state(tab.frames).get("ending", "") == ""


def test_a_stolen_token_shows_and_does_nothing(world: World) -> None:
    """D3: the thief has no cookie or their own cookie, and the victim's tab still works."""
    victim, number = world.attacker(), world.number()
    with victim.tab(token="stolen") as tab:
        form = {"phone": number.national, "country": "US", "channel": "sms"}
        tab.send(f"{STATE}.request_code", {"form": form})

    for thief in (world.client_without_cookie(), world.attacker()):
        with thief.tab("/code", token="stolen") as tab:
            tab.send(f"{STATE}.show_code", {}, "/code")
            tab.send(f"{STATE}.check_code", {"form": {"code": world.code(number)}}, "/code")
            assert not is_verified(tab)
            tab.send(f"{STATE}.show_code", {}, "/code")
            assert tab.state(tab.frames).get("ending", "") == ""

    assert world.guesses == 0
    assert victim.guess(world.code(number)).is_yes


def test_neither_cookie_nor_token_nor_payload_is_logged(world: World) -> None:
    """D4, D5: events without a handler, and with a handler of Reflex, have no effect."""
    me = world.attacker()
    words = ["canary-of-a-payload", "canary-of-an-argument"]
    secrets = {"Authorization": "Bearer canary-authorization", "X-Api-Key": "x"}

    with me.tab(token="canary-token-0123456789", **secrets) as tab:
        for event in NOT_OURS:
            tab.session.send_text(frame(event, {"phone": words[0], words[1]: 1}))
        tab.flush()
        assert "verified" not in "".join(tab.frames)

    log = world.log()
    for word in (me.cookie.partition("=")[2], "canary-token", "canary-authorization", *words):
        assert word not in log
    assert "Traceback" not in log


def test_nonsense_ends_its_socket_and_nobody_elses(world: World) -> None:
    """D8: the frames do not add one line to the log each."""
    me, other = world.attacker(), world.attacker()
    with other.tab() as bystander, me.wire() as wire:
        wire.send(*(["42/_event,{"] * 8), *([b"\x00\xff"] * 8), "", "4", "[]", "\x00")
        assert has_ended(wire)
        bystander.flush()

    assert world.log().count("socket.protocol_violation") == 1
    with me.tab() as tab:
        tab.flush()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff" * 40,  # not a frame
        b"\x81\x05hello",  # not masked
        b"\x81\xff" + b"\x7f" * 8 + b"abcd",  # a length of 9 exabytes
        b"\xc1\x80abcd",  # a compressed frame without negotiated compression
        b"\x89\xfe\x00\x7eabcd" + b"x" * 126,  # a ping that is too long
        b"\x81\x82abcd" + bytes([0xC3 ^ 0x61, 0x28 ^ 0x62]),  # not UTF-8
    ],
)
def test_bytes_that_are_no_websocket_harm_nobody(world: World, raw: bytes) -> None:
    """D8."""
    with world.attacker().wire() as wire:
        wire.connection.sendall(raw)

    assert world.client_without_cookie().get("/ping").status == 200


def test_a_flood_leaves_the_others_what_is_theirs(world: World) -> None:
    """D9: one client sends five thousand events in one write."""
    flooder, other = world.attacker(), world.attacker()
    flood = [frame(SETVAR, {"var_name": "is_hydrated", "value": "flooded"})] * 5000
    began = time.monotonic()
    with flooder.wire() as wire, other.tab() as bystander:
        wire.send(JOIN, *flood)
        for _ in range(3):
            bystander.flush()
        wire.connection.shutdown(SHUT_WR)
        heard = heard_until_the_end(wire)

    most = FRAMES.burst + FRAMES.per_second * (time.monotonic() - began)
    assert 0 < heard.count("flooded") <= most + 1
    assert world.log().count("socket.flooded") == 1


def test_an_address_has_twenty_sockets(world: World) -> None:
    """D10."""
    me = world.attacker()
    wires = []
    for _ in range(20):
        wires.append(me.wire())
        wires[-1].__enter__()
    with pytest.raises(Refused) as refused, me.wire():
        pass
    for wire in wires:
        wire.__exit__(None, None, None)

    assert refused.value.args == (429,)
    with world.attacker().wire():
        pass


def test_who_opens_and_says_nothing_is_let_go(world: World) -> None:
    """D10, E8: a socket never joins and a form never arrives, while others are served."""
    me = world.attacker()
    with me.wire() as wire, me.connected() as slow:
        wire.send(PONG)
        slow.sendall(b"POST /request-otp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nn")
        started = time.monotonic()
        with me.tab() as tab:
            tab.flush()
        assert has_ended(wire)
        assert b" 408 " in slow.recv(100)

    assert time.monotonic() - started < PATIENCE
    assert world.log().count("socket.join_timed_out") == 1


def test_the_same_token_twice_sends_nothing_twice_and_goes_on(world: World) -> None:
    """D11: a tab was duplicated, or its first connection has not timed out yet."""
    me, number = world.attacker(), world.number()
    form = {"phone": number.national, "country": "US", "channel": "sms"}
    with me.tab(token="twice") as first:
        first.send(f"{STATE}.request_code", {"form": form})
        with me.tab(token="twice") as second:
            second.send(f"{STATE}.request_code", {"form": form})
            answer = second.send(f"{STATE}.check_code", {"form": {"code": world.code(number)}})
            assert second.state(answer)["step"] == "verified"

    assert world.sent() == 1


def test_nothing_of_a_tab_is_on_the_disk(world: World) -> None:
    """D12: other users of the machine cannot write the state there either."""
    me, number = world.attacker(), world.number()
    with me.tab() as tab:
        form = {"phone": number.national, "country": "US", "channel": "sms"}
        tab.send(f"{STATE}.request_code", {"form": form})

        states = world.server.site.folder / "states"
        assert [path for path in states.rglob("*") if path.is_file()] == []


def test_what_a_browser_reports_cannot_forge_or_fill_the_log(world: World) -> None:
    """D13: a browser can report errors in two ways."""
    evil = "one\r\n2026-01-01T00:00:00Z [info] forged\x1b[2J\u202e" + "x" * 3000
    with world.attacker().tab() as tab:
        for _ in range(6):
            report = {"message": evil, "stack": evil, "info": evil}
            tab.session.send_text("42/_event," + json.dumps(["client_error", report]))
            tab.session.send_text(frame(BROWSER_ERROR, {"info": evil, "component_stack": evil}))
        tab.flush()

    lines = world.log().splitlines()
    assert not [line for line in lines if line.startswith("2026-01-01")]
    assert max(map(len, lines)) < 2500
    assert "\x1b[2J" not in world.log()
    assert "forged" in world.log()


def heard_until_the_end(wire: Wire) -> str:
    frames = []
    with suppress(WebSocketDisconnect):
        while True:
            frames.append(wire.receive_text())
    return "".join(frames)

"""A client that writes the frames of Reflex's socket by hand, like an attacker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from anyio import wait_all_tasks_blocked
from starlette.websockets import WebSocketDisconnect

from otp_app.state.simulated_phone import SimulatedPhoneState
from otp_app.state.verify import VerifyState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio.from_thread import BlockingPortal

STATE = VerifyState.get_full_name()
SIMULATED = SimulatedPhoneState.get_full_name()
HYDRATE = "reflex___state____state.hydrate_and_load"
SETVAR = "reflex___state____state.setvar"
PING, PONG = "2", "3"


class Session(Protocol):
    """A websocket, in this process or over the wire."""

    def send_text(self, data: str) -> None:
        """Send a frame of text."""

    def send_bytes(self, data: bytes) -> None:
        """Send a frame of bytes."""

    def receive_text(self) -> str:
        """Return the next frame.

        Raises:
            WebSocketDisconnect: the server has closed the socket.
        """


@dataclass
class Socket:
    """One open socket. `frames` holds every frame from the server."""

    session: Session
    frames: list[str] = field(default_factory=list)

    def open(self, page: str = "/") -> None:
        """Join and request the state, like a page that loads."""
        self.session.send_text("40/_event,{}")
        self._receive()
        self._receive()
        self.send(HYDRATE, {}, page)

    def send(self, event: str, payload: object, page: str = "/") -> list[str]:
        """Send one event, and return the frames from the server until the event is done."""
        before = len(self.frames)
        self.session.send_text(frame(event, payload, page))
        self.flush()
        return self.frames[before:]

    def send_all(self, event: str, payloads: Iterable[object]) -> None:
        """Send one event with each of *payloads*, and wait until the last is done."""
        for payload in payloads:
            self.session.send_text(frame(event, payload))
        self.flush()

    def flush(self) -> None:
        """Wait until all earlier events are done: a tab's events are handled in order."""
        mark = f"mark-{len(self.frames)}"
        self.session.send_text(frame(SETVAR, {"var_name": "is_hydrated", "value": mark}))
        while mark not in self._receive():
            continue

    def leave(self, portal: BlockingPortal | None) -> None:
        """Disconnect like a browser, and wait until the server in *portal* has noticed."""
        assert portal is not None
        self.session.send_text("41/_event,")
        portal.call(wait_all_tasks_blocked)

    def state(self, frames: list[str], name: str = STATE) -> dict[str, Any]:
        """Return the vars that *frames* changed in the state *name*, by default the flow's."""
        changed: dict[str, Any] = {}
        for frame in frames:
            if frame.startswith("42/_event,"):
                kind, update = json.loads(frame.removeprefix("42/_event,"))
                if kind == "event":
                    changed |= (update.get("delta") or {}).get(name, {})
        return {name.removesuffix("_rx_state_"): value for name, value in changed.items()}

    def _receive(self) -> str:
        frame = self.session.receive_text()
        if frame == PING:
            self.session.send_text(PONG)
        self.frames.append(frame)
        return frame


def has_ended(session: Session) -> bool:
    """Read until the server closes *session*, and return True."""
    try:
        while session.receive_text():
            continue
    except WebSocketDisconnect:
        return True
    return False


def frame(event: str, payload: object, page: str = "/") -> str:
    """Return the frame of one event."""
    router_data = {"pathname": page, "asPath": page}
    body = {"name": event, "payload": payload, "router_data": router_data}
    return "42/_event," + json.dumps(["event", body])

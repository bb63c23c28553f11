"""A client that speaks Reflex's socket by hand, as an attacker would."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from otp_app.state.simulated_phone import SimulatedPhoneState
from otp_app.state.verify import VerifyState

if TYPE_CHECKING:
    from starlette.testclient import WebSocketTestSession

STATE = VerifyState.get_full_name()
SIMULATED = SimulatedPhoneState.get_full_name()
HYDRATE = "reflex___state____state.hydrate_and_load"
SETVAR = "reflex___state____state.setvar"
PING, PONG = "2", "3"


@dataclass
class Socket:
    """One open socket. `frames` keeps everything the server said."""

    session: WebSocketTestSession
    frames: list[str] = field(default_factory=list)

    def open(self, page: str = "/") -> None:
        """Shake hands and ask for the state, as a page does when it loads."""
        self.session.send_text("40/_event,{}")
        self._receive()
        self._receive()
        self.send(HYDRATE, {}, page)

    def send(self, event: str, payload: object, page: str = "/") -> list[str]:
        """Send one event; returns what the server answered, until it is done."""
        body = {
            "name": event,
            "payload": payload,
            "router_data": {"pathname": page, "asPath": page},
        }
        before = len(self.frames)
        self.session.send_text("42/_event," + json.dumps(["event", body]))
        self.flush()
        return self.frames[before:]

    def flush(self) -> None:
        """Wait until the server has nothing more to say: events of one tab are done in order."""
        mark = f"mark-{len(self.frames)}"
        body = {"name": SETVAR, "payload": {"var_name": "is_hydrated", "value": mark}}
        self.session.send_text("42/_event," + json.dumps(["event", body | {"router_data": {}}]))
        while mark not in self._receive():
            continue

    def leave(self) -> None:
        """Disconnect as a browser does, and wait until the server has let the token go."""
        self.session.send_text("41/_event,")
        self.session.send_text("40/nowhere,{}")  # is refused, after what came before
        while not self._receive().startswith("44/nowhere"):
            continue

    def state(self, frames: list[str], name: str = STATE) -> dict[str, Any]:
        """The vars of the flow, or of the state *name*, that *frames* changed."""
        changed: dict[str, Any] = {}
        for frame in frames:
            if frame.startswith("42/_event,"):
                update = json.loads(frame.removeprefix("42/_event,"))[1]
                changed |= (update.get("delta") or {}).get(name, {})
        return {name.removesuffix("_rx_state_"): value for name, value in changed.items()}

    def _receive(self) -> str:
        frame = self.session.receive_text()
        if frame == PING:
            self.session.send_text(PONG)
        self.frames.append(frame)
        return frame

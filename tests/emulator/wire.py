"""The data on a connection: a response, or a fault in place of one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Protocol


class Wire(Protocol):
    """The server's end of the connection a request came in on."""

    def write(self, data: bytes, /) -> None:
        """Send bytes at once."""

    def wait(self, seconds: float, /) -> bool:
        """Let time pass; true when the server is being stopped meanwhile."""

    def hang_up(self, *, reset: bool = False) -> None:
        """Close the connection: politely (FIN) or not (RST)."""


class Fault(Protocol):
    """Something to do instead of giving the service's own answer."""

    @property
    def applied(self) -> bool:
        """True if the service carries out the request before the fault."""

    def play(self, wire: Wire, answer: "Answer", /) -> None:
        """Put the fault on the wire; `answer` is what should have been said."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer: the service's own, or a scripted one."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    applied: bool = False

    @property
    def payload(self) -> bytes:
        """The body's bytes: text and bytes as they are, anything else as JSON."""
        match self.body:
            case None:
                return b""
            case bytes():
                return self.body
            case str():
                return self.body.encode()
            case _:
                return json.dumps(self.body).encode()

    def head(self, length: int | None = None) -> bytes:
        """Status line and headers, announcing the payload's length or another one."""
        fields = {"Content-Type": self._content_type()} if self.body is not None else {}
        if self.status != 204:  # RFC 9110 8.6: no Content-Length in a 204
            fields["Content-Length"] = str(len(self.payload) if length is None else length)
        lines = [f"{name}: {value}" for name, value in (fields | dict(self.headers)).items()]
        status_line = f"HTTP/1.1 {self.status} {responses.get(self.status, 'Unknown')}"
        return "\r\n".join([status_line, *lines, "", ""]).encode()

    def play(self, wire: Wire, _answer: "Answer", /) -> None:
        wire.write(self.head() + self.payload)

    def _content_type(self) -> str:
        return "text/html" if isinstance(self.body, str | bytes) else "application/json"

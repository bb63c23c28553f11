"""A client that writes HTTP requests and the frames of Reflex's socket by hand."""

from __future__ import annotations

import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPMessage, HTTPResponse
from itertools import count
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from starlette.websockets import WebSocketDisconnect
from wsproto import WSConnection
from wsproto.connection import ConnectionType
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    RejectData,
    TextMessage,
)
from wsproto.events import Request as Handshake

from tests.backend.client import Socket
from tests.browser.recorder import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PATIENCE = 20.0  # seconds
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

_tokens = count(1)


class Answer(NamedTuple):
    """One HTTP response."""

    status: int
    headers: HTTPMessage
    text: str

    @property
    def is_yes(self) -> bool:
        """True if the response confirms a number."""
        return "is confirmed" in self.text


class Refused(Exception):
    """The server refused the socket. The status of the response is the only argument."""


@dataclass
class Attacker:
    """A client with a cookie jar, and an address that it sends as the proxy would."""

    port: int
    address: str
    heard: list[Text]
    cookie: str = ""

    def visit(self) -> Attacker:
        """Load the first page, which sets the flow cookie."""
        self.cookie = self.get("/").headers["Set-Cookie"].partition(";")[0]
        return self

    def get(self, path: str, **headers: str) -> Answer:
        return self.exchange(self.request("GET", path, headers=headers))

    def ask(self, number: str, **fields: str) -> Answer:
        """Post the phone page's form."""
        return self.exchange(self.asking(number, **fields))

    def guess(self, code: str) -> Answer:
        """Post the code page's form."""
        return self.exchange(self.guessing(code))

    def asking(self, number: str, **fields: str) -> bytes:
        return self.request("POST", "/request-otp", urlencode({"number": number, **fields}))

    def guessing(self, code: str) -> bytes:
        return self.request("POST", "/verify-otp", urlencode({"code": code}))

    def request(
        self,
        method: str,
        path: str,
        body: str | bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return the bytes of a request."""
        content = body if isinstance(body, bytes) else body.encode()
        lines = {
            "Host": f"localhost:{self.port}",
            "X-Forwarded-For": self.address,
            **({"Cookie": self.cookie} if self.cookie else {}),
            **(FORM | {"Content-Length": str(len(content))} if method == "POST" else {}),
            **{name.replace("_", "-"): value for name, value in (headers or {}).items()},
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode() + content

    def exchange(self, *requests: bytes) -> Answer:
        """Send *requests* over one connection, and return the first response."""
        with self.connected() as connection:
            connection.sendall(b"".join(requests))
            return self._answer(connection)

    def at_once(self, requests: Sequence[bytes]) -> list[Answer]:
        """Send all *requests* at the same moment: the last byte of each is held back until then."""
        connections = [self._connect() for _ in requests]
        for connection, request in zip(connections, requests, strict=True):
            connection.sendall(request[:-1])
        for connection, request in zip(connections, requests, strict=True):
            connection.sendall(request[-1:])
        answers = [self._answer(connection) for connection in connections]
        for connection in connections:
            connection.close()
        return answers

    @contextmanager
    def tab(self, page: str = "/", token: str = "", **headers: str) -> Iterator[Socket]:
        """Yield the socket of a tab that has loaded *page*."""
        with self.wire(token, **headers) as wire:
            tab = Socket(wire)
            tab.open(page)
            yield tab

    @contextmanager
    def wire(self, token: str = "", **headers: str) -> Iterator[Wire]:
        """Yield a socket that sends nothing by itself.

        Raises:
            Refused: the server refused the handshake.
        """
        lines = {
            "X-Forwarded-For": self.address,
            "Origin": f"http://localhost:{self.port}",
            **({"Cookie": self.cookie} if self.cookie else {}),
            **headers,
        }
        lines = {name: value for name, value in lines.items() if value}
        with self.connected() as connection:
            token = token or f"tab-{next(_tokens)}"
            yield Wire(connection, f"localhost:{self.port}", token, lines, self.heard)

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with self._connect() as connection:
            yield connection

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def _answer(self, connection: socket.socket) -> Answer:
        response = HTTPResponse(connection)
        response.begin()
        text = response.read().decode("utf-8", "replace")
        self.heard += [Text("headers", str(response.msg)), Text("body", text)]
        return Answer(response.status, response.msg, text)


@dataclass
class Wire:
    """One websocket. The frames of one `send` leave in one write.

    The server drops frames above 10 a second after a burst of 20, and pings keep a socket open that
    waits for a dropped reply. The socket therefore closes after `PROBE_TIMEOUT`.
    """

    connection: socket.socket
    host: str
    token: str
    headers: Mapping[str, str]
    heard: list[Text]
    _protocol: WSConnection = field(init=False)
    _events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + PATIENCE
        self._protocol = WSConnection(ConnectionType.CLIENT)
        target = f"/_event/?EIO=4&transport=websocket&token={self.token}"
        extra = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        handshake = Handshake(host=self.host, target=target, extra_headers=extra)
        self.connection.sendall(self._protocol.send(handshake))
        match self._next():
            case AcceptConnection():
                return
            case RejectConnection(status_code=status):
                raise Refused(status)
            case other:
                raise AssertionError(other)

    def send(self, *frames: str | bytes) -> None:
        """Send all *frames* in one write."""
        self.connection.sendall(b"".join(map(self._written, frames)))

    def send_text(self, data: str) -> None:
        self.send(data)

    def send_bytes(self, data: bytes) -> None:
        self.send(data)

    def receive_text(self) -> str:
        """Return the next frame.

        Raises:
            WebSocketDisconnect: the server has closed the socket.
        """
        match self._next():
            case TextMessage(data=text):
                self.heard.append(Text("frame", text))
                return text
            case CloseConnection(code=code):
                raise WebSocketDisconnect(int(code))
            case other:
                raise AssertionError(other)

    def _written(self, frame: str | bytes) -> bytes:
        if isinstance(frame, bytes):
            return self._protocol.send(BytesMessage(data=frame))
        return self._protocol.send(TextMessage(data=frame))

    def _next(self) -> Event:
        while True:
            while self._events:
                event = self._events.pop(0)
                if not isinstance(event, RejectData):
                    return event
            data = self._received()
            self._protocol.receive_data(data or None)
            self._events += self._protocol.events()

    def _received(self) -> bytes:
        if time.monotonic() > self._until:
            raise TimeoutError
        try:
            return self.connection.recv(65536)
        except ConnectionResetError:
            return b""

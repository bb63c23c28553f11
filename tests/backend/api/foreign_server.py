"""A foreign server, which accepts a request and sends a given response, or none."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class ForeignServer:
    """The URL of a foreign server, and the requests that the server got."""

    address: str
    requests: list[str] = field(default_factory=list)


@contextmanager
def foreign_server(answer: str = "") -> Iterator[ForeignServer]:
    """Run a server that sends the bytes of *answer* for every request, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = ForeignServer(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread = Thread(target=_serve, args=(server, one, answer.encode()))
        thread.start()
        try:
            yield one
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(status: str, kind: str, body: str, *headers: str) -> str:
    """Return the text of an HTTP response."""
    head = (f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*head, "Connection: close", "", body))


def _serve(server: socket.socket, one: ForeignServer, answer: bytes) -> None:
    while connection := _accepted(server):
        with connection:
            one.requests.append(_request(connection))
            connection.sendall(answer)


def _accepted(server: socket.socket) -> socket.socket | None:
    try:
        return server.accept()[0]
    except OSError:  # the listening socket was closed
        return None


def _request(connection: socket.socket) -> str:
    """Read head and body, because closing with unread data would reset the connection."""
    with connection.makefile("r", newline="") as lines:
        head = "".join(iter(lines.readline, "\r\n"))
        length = next(
            (
                int(line[15:])
                for line in head.splitlines()
                if line.lower()[:15] == "content-length:"
            ),
            0,
        )
        return head + lines.read(length)

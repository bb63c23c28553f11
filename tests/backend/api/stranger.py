"""A server that is not ours: it takes a request and says what it is told to say, or nothing."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Stranger:
    """Its address, and the requests that it took."""

    address: str
    requests: list[str] = field(default_factory=list)


@contextmanager
def stranger(answer: str = "") -> Iterator[Stranger]:
    """Answers every request by *answer*, as it goes over the wire, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = Stranger(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread = Thread(target=_serve, args=(server, one, answer.encode()))
        thread.start()
        try:
            yield one
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(status: str, kind: str, body: str, *headers: str) -> str:
    """An answer as it goes over the wire."""
    head = (f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers)
    return "\r\n".join((*head, "Connection: close", "", body))


def _serve(server: socket.socket, one: Stranger, answer: bytes) -> None:
    while connection := _accepted(server):
        with connection:
            one.requests.append(_request(connection))
            connection.sendall(answer)


def _accepted(server: socket.socket) -> socket.socket | None:
    try:
        return server.accept()[0]
    except OSError:  # shut down
        return None


def _request(connection: socket.socket) -> str:
    """Head and body: to hang up on what is unread would be a reset."""
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

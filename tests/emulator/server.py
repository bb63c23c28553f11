"""A threaded HTTP/1.1 server on 127.0.0.1 that lets an answer, or a fault, play on its socket."""

import socket
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.emulator.wire import Answer, Fault

Receive = Callable[[str, str, Mapping[str, str], bytes], tuple[Fault, Answer]]

# SO_LINGER on, for zero seconds: close() then sends RST instead of FIN (man 7 socket).
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Handler(BaseHTTPRequestHandler):
    """One connection; it is the `Wire` that faults play on."""

    server: "Server"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_ANY(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        raw = self.rfile.read(length)
        if len(raw) < length:
            return self.hang_up()  # the client left in the middle of its request
        fault, answer = self.server.receive(self.command, self.path, headers, raw)
        return fault.play(self, answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_ANY  # noqa: N815

    def write(self, data: bytes, /) -> None:
        self.wfile.write(data)

    def wait(self, seconds: float, /) -> bool:
        return self.server.stopping.wait(seconds)

    def hang_up(self, *, reset: bool = False) -> None:
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
            self.rfile.close()  # the descriptor closes with its last user
            self.connection.close()

    def log_message(self, *_args: object) -> None:
        """Say nothing: what arrived is in `Emulator.requests`."""


class Server(ThreadingHTTPServer):
    """The listening socket, its thread, and the connections to cut when it stops."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, receive: Receive) -> None:
        self.receive = receive
        self.stopping = Event()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), Handler)
        self._thread = Thread(target=self._accept, name="emulator", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Refuse new connections and cut those that are open."""
        self.stopping.set()
        with suppress(OSError):  # the backlog may be full, and then `accept` returns anyway
            socket.create_connection(("127.0.0.1", self.server_port), timeout=1).close()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        """Until `stop` connects: the loop of `serve_forever` looks for its end at intervals."""
        while not self.stopping.is_set():
            self.handle_request()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in socketserver
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A client that leaves early is no error; anything else is a bug of the emulator."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

"""The transport of the adapters: timeouts, bulkheads, and an HTTP client that sends a request once.

A provider has one bulkhead for sends and one for checks, so that neither starves the other. A full
bulkhead refuses further calls at once, because a queued call would only time out later. This limit
is our own and not a failure of the provider, so the error has `for_everybody` False: a burst of a
few callers does not open the circuit breaker. If the provider hangs, the calls in flight time out,
and the circuit breaker counts those timeouts.

The HTTP client is our own because it is in the path of every flow. A call to Twilio needs 0.19 ms
of processor time with it, and 0.39 ms with aiohttp, or 0.32 ms with all that aiohttp can switch
off (docs/performance.md).
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from aiohappyeyeballs import start_connection
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from otp_app.errors import ProviderNotReached, ProviderTimedOut
from otp_app.providers.vendor_input import MAX_BODY, parse_response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

IN_FLIGHT = 563
"""Calls of a bulkhead at the same time. Each call has a connection. The number is 10 % above the
largest bound of the overload gate, so that the gate refuses first."""
MAX_RESPONSE = MAX_BODY + 16 * 1024  # bytes of a response with its head and its chunk sizes
MAX_IDLE = 15.0
"""Seconds after which an idle connection is not used again. A server may close it at any moment,
and a request that crosses with the close may have been sent."""
NEXT_ADDRESS = 0.25
"""Seconds until the next address of the host is tried too: RFC 8305 section 5."""

_TARGET = re.compile("/[!-~]*")


@dataclass(frozen=True)
class Timeouts:
    """Timeouts in seconds. `send` and `check` bound a whole call, `connect` its connection."""

    send: float = 5.0
    check: float = 4.0
    connect: float = 2.0


TIMEOUTS = Timeouts()


class Bulkhead:
    """Bound on the number of simultaneous calls and on the duration of each call."""

    def __init__(self, capacity: int, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._inside = 0

    def close(self) -> None:
        """Refuse all further calls."""
        self._capacity = 0

    @asynccontextmanager
    async def enter(self, until: float | None = None) -> AsyncIterator[None]:
        """Hold one place of the bulkhead, for its whole timeout at most.

        Args:
            until: the end by the clock of the event loop, for calls that share one timeout.

        Raises:
            ProviderNotReached: the bulkhead is full or closed.
            ProviderTimedOut: the timeout is over.
        """
        if self._inside >= self._capacity:
            raise ProviderNotReached(for_everybody=False)
        self._inside += 1
        if until is None:
            until = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(until):
                yield
        except TimeoutError as exc:
            raise ProviderTimedOut from exc
        finally:
            self._inside -= 1


@dataclass(frozen=True)
class HttpResponse:
    """A 2xx response. *fields* are the JSON object in *body*, none if *body* is empty."""

    status: int
    body: bytes
    fields: Mapping[str, object]


class HttpClient:
    """Sends each request once, to one origin, on connections that are kept open.

    The client follows no redirect, keeps no cookie, uses no proxy and repeats no request. It has no
    timer for an exchange: a `Bulkhead` bounds a whole call by one timer, and the number of
    connections by its capacity.
    """

    def __init__(self, origin: str, connect_timeout: float) -> None:
        url = urlsplit(origin)
        self._tls = ssl.create_default_context() if url.scheme == "https" else None
        self._host = url.hostname or ""
        self._port = url.port or (443 if self._tls else 80)
        self._connect_timeout = connect_timeout
        # Without this header a server may compress the response.
        self._common = f" HTTP/1.1\r\nHost: {url.netloc}\r\nAccept-Encoding: identity\r\n"
        self._idle: deque[_Connection] = deque()  # the one that was used last is at the right
        self._is_open = True
        self._lookup: asyncio.Future[Any] | None = None

    async def close(self) -> None:
        """Close the idle connections now, and each other connection after its exchange."""
        self._is_open = False
        while self._idle:
            self._idle.pop().close()
        await asyncio.sleep(0)  # the event loop closes the sockets

    async def request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> HttpResponse:
        """Send the request, and return a 2xx that an SDK can read.

        The path and query in *target* and the *headers* are written as they are. A canceled request
        may have been sent. Its connection is closed, so that its response is never taken for
        another one.

        Raises:
            VendorError: the status is not 2xx.
            ProviderNotReached: no byte of the request was written.
            ProviderTimedOut: the request may have been sent, and there is no usable response.
        """
        if not _TARGET.fullmatch(target):  # it would end the request line
            raise ProviderNotReached(for_everybody=False)
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"{method} {target}{self._common}{fields}Content-Length: {len(body)}\r\n\r\n"
        connection = self._take() or await self._connect()
        try:
            status, retry_after, content = await connection.exchange(head.encode("ascii") + body)
        finally:
            self._put_back(connection)
        return HttpResponse(status, content, parse_response(status, content, retry_after))

    def _take(self) -> _Connection | None:
        """Return the idle connection that was used last, or None if none is usable."""
        oldest = asyncio.get_running_loop().time() - MAX_IDLE
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and connection.used_at > oldest:
                return connection
            connection.close()
        return None

    def _put_back(self, connection: _Connection) -> None:
        """Keep the connection if it is usable, and close those that were idle for too long."""
        connection.used_at = asyncio.get_running_loop().time()
        while self._idle and self._idle[0].used_at <= connection.used_at - MAX_IDLE:
            self._idle.popleft().close()
        if self._is_open and connection.is_reusable:
            self._idle.append(connection)
        else:
            connection.close()

    async def _connect(self) -> _Connection:
        """Open a connection. With TLS, the certificate and its host name are verified.

        Raises:
            ProviderNotReached: by DNS, TCP, TLS or the timeout there is no connection.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout):
                found = await self._look_up()
                connected = await start_connection(found, happy_eyeballs_delay=NEXT_ADDRESS)
                name = self._host if self._tls else None
                _, connection = await loop.create_connection(
                    _Connection, sock=connected, ssl=self._tls, server_hostname=name
                )
        except OSError as exc:  # `gaierror`, `SSLError` and `TimeoutError` are OSErrors
            raise ProviderNotReached from exc
        return connection

    def _look_up(self) -> asyncio.Future[Any]:
        """Return the addresses of the host. Connections that open at the same time share them."""
        if self._lookup is None or self._lookup.done():
            call = partial(socket.getaddrinfo, self._host, self._port, type=socket.SOCK_STREAM)
            self._lookup = asyncio.get_running_loop().run_in_executor(None, call)
        return asyncio.shield(self._lookup)


class _Connection(asyncio.Protocol):
    """A connection with one exchange at a time.

    The methods `on_…` are called by the parser.

    Attributes:
        is_reusable: whether a further exchange may use this connection.
        used_at: the end of the last exchange, by the clock of the event loop.
    """

    def __init__(self) -> None:
        self.is_reusable = False
        self.used_at = 0.0
        self._has_head = False
        self._response: asyncio.Future[tuple[int, str, bytes]] | None = None

    def close(self) -> None:
        """Close the connection without waiting for the server."""
        self.is_reusable = False
        self._transport.abort()

    async def exchange(self, request: bytes) -> tuple[int, str, bytes]:
        """Write *request*, and return the status, `Retry-After` and body of the response.

        A body that is too long is cut off somewhere after `MAX_BODY` bytes.

        Raises:
            ProviderTimedOut: the connection ended before the response, or the response is invalid.
        """
        self.is_reusable = False
        self._parser = HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._has_head = False
        self._body = bytearray()
        self._size = 0
        self._response = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._response

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def eof_received(self) -> None:
        self.is_reusable = False  # before `connection_lost`, which the event loop calls later

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_reusable = False
        framing = {b"content-length", b"transfer-encoding"}
        # Without either header the body ends with the connection: RFC 9112 section 6.3.
        self._end(usable=not exc and self._has_head and framing.isdisjoint(self._headers))

    def data_received(self, data: bytes) -> None:
        if self._response is None:
            self.close()  # nothing was requested
            return
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._end(usable=False)
            self.close()
            return
        if self._size > MAX_RESPONSE:
            self._end(usable=self._has_head)

    def on_message_begin(self) -> None:
        if self._response is None:
            self.is_reusable = False  # bytes after the end of the response

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._has_head = self._parser.get_status_code() >= 200

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if not self._has_head:
            self._headers.clear()  # a 1xx precedes the response: RFC 9110 section 15.2
        elif self._response is not None:
            self.is_reusable = self._parser.should_keep_alive()
            self._end(usable=True)

    def _end(self, *, usable: bool) -> None:
        """End the exchange, if there is one, by its response or by an error."""
        response, self._response = self._response, None
        if response is None or response.done():  # the future of a canceled request is done
            return
        if usable:
            retry_after = self._headers.get(b"retry-after", b"").decode("latin-1")
            response.set_result((self._parser.get_status_code(), retry_after, bytes(self._body)))
        else:
            response.set_exception(ProviderTimedOut())

"""Load on a server over HTTP: callers that request codes and check them.

A flow is two requests: one for a code to a new number, and one that checks the code. Each caller
has one connection and sends a request when it has the response to the one before.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PAUSE = 0.05  # seconds of a caller after a failure
PATIENCE = 60.0  # seconds that the last responses may take after the end

_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """An HTTP/1.1 connection, client's or server's end, whose messages have a Content-Length.

    The general clients of Python need more processor time for a request than the servers here.
    """

    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(_END)) >= 0:
            length = _LENGTH.search(self._data, 0, end)
            body = end + len(_END)
            after = body + (int(length[1]) if length else 0)
            if len(self._data) < after:
                return
            head, content, self._data = self._data[:end], self._data[body:after], self._data[after:]
            self.received(head, content)

    def received(self, head: bytes, body: bytes) -> None:
        """Handle one message. *head* is the first line and the headers."""
        raise NotImplementedError


class ClientConnection(Connection):
    """The client's end: one request at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._response: asyncio.Future[tuple[bytes, bytes]] | None = None

    async def send(self, request: bytes) -> tuple[bytes, bytes]:
        """Send *request*, and return head and body of the response.

        Raises:
            ConnectionError: the server has closed the connection.
        """
        if self.transport.is_closing():
            raise ConnectionResetError
        self._response = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._response

    def received(self, head: bytes, body: bytes) -> None:
        if self._response and not self._response.done():
            self._response.set_result((head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._response and not self._response.done():
            self._response.set_exception(exc or ConnectionResetError())


class Target(NamedTuple):
    """A server with the routes of one of the vendors' guides."""

    port: int
    request_path: str
    check_path: str


class Person(NamedTuple):
    """One person: a number, and the address in `X-Forwarded-For`."""

    phone: str
    address: str

    @property
    def code(self) -> str:
        """The code that `Vendor` sends to the number."""
        return self.phone[-6:]


def people() -> Iterator[Person]:
    """Yield people with new British mobile numbers, from a random one on.

    Each number is in another block than the one before, and 5,000 blocks take turns.
    """
    for index in count(random.randrange(10_000_000)):
        address = f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"
        yield Person(f"+4474{index % 5000:04}{index // 5000 % 10_000:04}", address)


everybody = people()


@dataclass
class Load:
    """The result of a run.

    Attributes:
        seconds: the duration.
        times: the seconds that each success took.
        failures: the number of failed flows, by the reason.
    """

    seconds: float = 0.0
    times: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Successes a second."""
        return len(self.times) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the milliseconds within which *share* of the successes were done."""
        return percentile(self.times, share)


def percentile(seconds: list[float], share: float) -> float:
    """Return the milliseconds within which *share* of the results came, 0 if there are none."""
    return 1000 * sorted(seconds)[int(share * (len(seconds) - 1))] if seconds else 0.0


async def run(target: Target, callers: int, seconds: float) -> Load:
    """Return the result of *callers* who start flows for *seconds*, and finish them."""
    load, began = Load(), time.perf_counter()
    calls = [_call(target, load, began + seconds) for _ in range(callers)]
    await asyncio.wait_for(asyncio.gather(*calls), seconds + PATIENCE)
    load.seconds = time.perf_counter() - began
    return load


async def _call(target: Target, load: Load, end: float) -> None:
    """Start flows until *end*, on a new connection after each failure."""
    while time.perf_counter() < end:
        try:
            async with connected(target.port) as connection:
                while (began := time.perf_counter()) < end:
                    await flow(target, connection, next(everybody))
                    load.times.append(time.perf_counter() - began)
        except (ConnectionError, FlowFailed) as failure:
            load.failures[repr(failure)] += 1
            await asyncio.sleep(PAUSE)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[ClientConnection]:
    """Yield a connection to *port* of this machine.

    Raises:
        ConnectionError: nothing listens on the port.
    """
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(ClientConnection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        transport.close()


class FlowFailed(Exception):
    """A response is no success. The arguments are its status and the start of its body."""


async def flow(target: Target, connection: ClientConnection, person: Person) -> None:
    """Request a code for *person* and check it.

    Raises:
        FlowFailed: a response is no success.
        ConnectionError: the server has closed the connection.
    """
    body = f'{{"phoneNumber":"{person.phone}"}}'
    answer = await _post(target.port, target.request_path, connection, person, body)
    request_id = json.loads(answer)["requestId"]
    body = f'{{"requestId":"{request_id}","code":"{person.code}"}}'
    await _post(target.port, target.check_path, connection, person, body)


async def _post(
    port: int, path: str, connection: ClientConnection, person: Person, body: str
) -> bytes:
    request = (
        f"POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nX-Forwarded-For: {person.address}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    head, answer = await connection.send(request.encode())
    if head[9:12] != b"200":
        raise FlowFailed(head[9:12], answer[:160])
    return answer

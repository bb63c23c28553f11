"""The HTTP client of the adapters, on servers that are written byte by byte."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from otp_app.errors import ProviderNotReached, ProviderTimedOut
from otp_app.providers import transport
from otp_app.providers.transport import HttpClient
from otp_app.providers.vendor_input import MAX_BODY, VendorError
from tests.contract.test_connections import self_signed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEADERS = {"Authorization": "Basic eA=="}
STALL = 10.0  # seconds; no test waits for it unless the client waits for a server without end


@dataclass
class Script:
    """A server that reads requests without a body and writes one part for each of them.

    Attributes:
        parts: bytes to write for each request. The server closes the connection after the last.
        requests: the requests, from all connections.
        connections: the connections so far.
    """

    parts: list[bytes]
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                if not self.parts:
                    return
                writer.write(self.parts.pop(0))
                if not self.parts:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    *parts: bytes, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[HttpClient, Script]]:
    """Yield a client and the server that it sends its requests to."""
    script = Script(list(parts))
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(f"{'https' if tls else 'http'}://127.0.0.1:{port}", connect_timeout=2.0)
    try:
        async with asyncio.timeout(STALL):
            yield client, script
    finally:
        await client.close()
        server.close()
        for writer in script.writers:
            writer.close()
        await server.wait_closed()
        await asyncio.sleep(0)


async def get(client: HttpClient) -> bytes:
    return (await client.request("GET", "/", HEADERS)).body


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}',
        b'HTTP/1.1 200\r\ncontent-length:7\r\n\r\n{"a":1}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\n\r\n',
        b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"a":1}',
        b'HTTP/1.0 200 OK\r\n\r\n{"a":1}',
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\nContent-Length: 5\r\n\r\n"
        b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{"a":1}',
    ],
    ids=["length", "lower case", "chunked", "until close", "HTTP/1.0", "after a 1xx"],
)
async def test_every_framing_of_a_body_is_read(response: bytes) -> None:
    async with serving(response) as (client, _):
        answer = await client.request("POST", "/", HEADERS, b"")

        assert (answer.status, answer.body, answer.fields) == (200, b'{"a":1}', {"a": 1})


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"{}",
    ],
    ids=[
        "nothing",
        "half a head",
        "too short",
        "two lengths",
        "negative length",
        "length and chunks",
        "no chunk size",
        "no last chunk",
        "another protocol",
        "a 1xx alone",
        "HTTP/9.9",
        "SSH",
        "JSON alone",
    ],
)
async def test_a_broken_response_may_have_been_sent_and_nothing_is_repeated(
    response: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(response) as (client, script):
        with pytest.raises(ProviderTimedOut):
            await get(client)

        assert len(script.requests) == script.connections == 1
    assert caplog.records == []


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Padding: x\r\n" * 10_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n" + b" " * 200_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 40_000,
    ],
    ids=["head", "1xx", "body", "chunks"],
)
async def test_a_response_without_end_is_cut_off(endless: bytes) -> None:
    async with serving(endless, OK) as (client, script):
        with pytest.raises(ProviderTimedOut):
            await get(client)

        assert await get(client) == b"{}"
        assert script.connections == 2


async def test_an_error_with_a_long_page_is_judged_by_its_status() -> None:
    page = b"x" * (MAX_BODY + 100_000)
    head = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 1000000\r\n\r\n"
    async with serving(head + page, OK) as (client, _):
        with pytest.raises(VendorError) as caught:
            await get(client)

        assert (caught.value.status, caught.value.wait, caught.value.empty) == (503, 7, False)


async def test_requests_share_a_connection() -> None:
    async with serving(OK, OK, OK) as (client, script):
        for _ in range(3):
            assert await get(client) == b"{}"

        assert script.connections == 1


async def test_simultaneous_requests_have_a_connection_each() -> None:
    async with serving(*[OK] * 9) as (client, script):
        await asyncio.gather(*(get(client) for _ in range(4)))

        assert script.connections == 4


async def test_connections_that_open_at_the_same_time_share_one_look_up_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lookups = []
    real = socket.getaddrinfo

    def counted(host: str, *args: Any, **options: Any) -> object:  # noqa: ANN401 - as in `socket`
        lookups.append(host)
        return real(host, *args, **options)

    async with serving(*[OK] * 9) as (client, script):
        monkeypatch.setattr(socket, "getaddrinfo", counted)
        await asyncio.gather(*(get(client) for _ in range(4)))

        assert script.connections == 4
        assert lookups == ["127.0.0.1"]


@pytest.mark.parametrize(
    "first",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        OK + OK,
        OK + b"more",
    ],
    ids=["close", "HTTP/1.0", "a second response", "more bytes"],
)
async def test_a_connection_that_may_be_out_of_step_is_not_used_again(first: bytes) -> None:
    async with serving(first, OK, OK) as (client, script):
        assert await get(client) == b"{}"
        assert await get(client) == b"{}"

        assert script.connections == 2


@pytest.mark.parametrize(
    "interrupt",
    [
        lambda writer: writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{"a": 1}'),
        lambda writer: writer.close(),
    ],
    ids=["bytes that no request asked for", "the end of the connection"],
)
async def test_an_idle_connection_that_the_server_uses_is_replaced(
    interrupt: Callable[[asyncio.StreamWriter], None],
) -> None:
    async with serving(OK, OK, OK) as (client, script):
        await get(client)
        [idle] = client._idle
        interrupt(script.writers[0])
        while idle.is_reusable:  # noqa: ASYNC110 - the event loop has no event for it
            await asyncio.sleep(0)

        assert await get(client) == b"{}"
        assert script.connections == 2


async def test_a_connection_whose_end_was_read_is_replaced_before_it_is_closed() -> None:
    async with serving(OK, OK, OK) as (client, script):
        await get(client)
        [idle] = client._idle

        idle.eof_received()

        assert await get(client) == b"{}"
        assert script.connections == 2


async def test_a_connection_that_was_idle_for_long_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(OK, OK, OK) as (client, script):
        await get(client)
        monkeypatch.setattr(transport, "MAX_IDLE", 0.0)

        assert await get(client) == b"{}"
        assert script.connections == 2


async def test_connections_of_a_burst_are_closed_when_they_were_idle_for_long() -> None:
    async with serving(*[OK] * 9) as (client, script):
        await asyncio.gather(*(get(client) for _ in range(4)))
        for connection in list(client._idle)[:3]:
            connection.used_at -= transport.MAX_IDLE

        await get(client)

        assert len(client._idle) == 1
        assert script.connections == 4


async def test_a_connection_in_use_is_closed_after_its_exchange_when_the_client_was_closed() -> (
    None
):
    async with serving(OK, OK) as (client, script):
        asking = asyncio.create_task(get(client))
        while not script.requests:  # noqa: ASYNC110 - the event loop has no event for it
            await asyncio.sleep(0)

        await client.close()

        assert await asking == b"{}"
        assert not client._idle


class Wire(asyncio.Transport):
    """A transport that leads nowhere."""

    def write(self, data: object) -> None:
        """Drop *data*."""


async def test_a_body_without_a_length_is_incomplete_if_the_connection_is_reset() -> None:
    connection = transport._Connection()
    connection.connection_made(Wire())
    exchange = asyncio.create_task(connection.exchange(b""))
    await asyncio.sleep(0)
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n{}")

    connection.connection_lost(ConnectionResetError())

    with pytest.raises(ProviderTimedOut):
        await exchange


async def test_the_response_to_a_canceled_request_is_never_taken_for_another() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n"
    async with serving(OK, half, OK, OK) as (client, script):
        await get(client)
        asking = asyncio.create_task(get(client))
        while len(script.requests) < 2:  # noqa: ASYNC110 - the event loop has no event for it
            await asyncio.sleep(0)

        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await get(client) == b"{}"
        assert script.connections == 2


@pytest.mark.parametrize("target", ["/ HTTP/1.1\r\nX: y", "/a b", "/é", "", "http://elsewhere/"])
async def test_a_target_that_is_no_path_is_not_sent(target: str) -> None:
    async with serving(OK) as (client, script):
        with pytest.raises(ProviderNotReached):
            await client.request("GET", target, HEADERS)

        assert script.connections == 0


async def test_compression_is_not_accepted() -> None:
    async with serving(OK) as (client, script):
        await get(client)

        assert script.requests[0].lower().count(b"accept-encoding: identity\r\n") == 1


@pytest.mark.parametrize(
    ("address", "is_trusted"), [("127.0.0.1", True), ("127.0.0.2", False)], ids=["ours", "another"]
)
async def test_a_certificate_counts_for_its_own_host_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, is_trusted: bool
) -> None:
    file = self_signed(tmp_path / "certificate.pem", ipaddress.ip_address(address))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with serving(OK, OK, tls=context) as (client, script):
        if is_trusted:
            assert await get(client) == await get(client) == b"{}"
            assert script.connections == 1
        else:
            with pytest.raises(ProviderNotReached):
                await get(client)
            assert script.requests == []

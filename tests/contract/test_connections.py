"""Services that cannot be reached: nothing was sent, and it is known in time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from otp_app.errors import ProviderUnavailable
from otp_app.providers.transport import TIMEOUTS, Timeouts
from otp_app.verification.models import Channel
from tests.contract.conftest import MAKERS
from tests.contract.numbers import PHONE
from tests.contract.observing import come_true
from tests.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ipaddress import IPv4Address, IPv6Address
    from pathlib import Path

CONNECTING = Timeouts(send=30.0, check=30.0, connect=0.7)
"""Only the deadline of a connection ends a call before `IN_TIME`."""

IN_TIME = 10.0  # seconds


async def assert_unavailable(vendor: str, url: str) -> None:
    """Nothing can be sent at *url*, and the app starts nevertheless."""
    provider = MAKERS[vendor](url, CONNECTING)
    await provider.open()
    async with asyncio.timeout(IN_TIME):
        with pytest.raises(ProviderUnavailable):
            await provider.start(PHONE, Channel.SMS)
    await provider.aclose()


@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_service_that_is_down_was_asked_nothing(vendor: str) -> None:
    with Emulator() as stopped:
        url = stopped.url

    await assert_unavailable(vendor, url)


@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_service_without_an_address_was_asked_nothing(vendor: str) -> None:
    await assert_unavailable(vendor, "http://nowhere.invalid")


@pytest.mark.skipif(sys.platform != "linux", reason="full backlogs differ")
@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_service_that_does_not_pick_up_was_asked_nothing(vendor: str) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        # With its backlog full, Linux drops what would open a further connection.
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(address)

        await assert_unavailable(vendor, f"http://127.0.0.1:{address[1]}")

        for caller in callers:
            caller.close()


@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_service_that_does_not_speak_tls_was_asked_nothing(
    vendor: str, emulator: Emulator
) -> None:
    await assert_unavailable(vendor, emulator.url.replace("http", "https"))

    assert emulator.requests == []


@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_service_whose_certificate_nobody_vouches_for_was_asked_nothing(
    vendor: str, tmp_path: Path
) -> None:
    with impostor(tmp_path) as url:
        await assert_unavailable(vendor, url)


@pytest.mark.parametrize("vendor", MAKERS)
async def test_it_works_again_when_the_service_does(vendor: str, emulator: Emulator) -> None:
    provider = MAKERS[vendor](emulator.url, TIMEOUTS)
    await provider.open()
    await stop_and_hear_of_it(emulator)
    with pytest.raises(ProviderUnavailable):
        await provider.start(PHONE, Channel.SMS)

    emulator.start()

    await provider.start(PHONE, Channel.SMS)
    await provider.aclose()


@pytest.mark.parametrize("vendor", MAKERS)
async def test_calls_share_a_connection(vendor: str, emulator: Emulator) -> None:
    provider = MAKERS[vendor](emulator.url, TIMEOUTS)
    await provider.open()
    reference = await provider.start(PHONE, Channel.SMS)
    for _ in range(3):
        await provider.check(reference, PHONE, "000000")

    assert emulator._server is not None
    assert len(emulator._server._connections) == 1
    await provider.aclose()


@pytest.mark.parametrize("vendor", MAKERS)
async def test_a_proxy_of_the_environment_does_not_get_the_credentials(
    vendor: str, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    provider = MAKERS[vendor](emulator.url, TIMEOUTS)
    await provider.open()

    await provider.start(PHONE, Channel.SMS)

    assert emulator.count(f"{vendor}.start") == 1
    await provider.aclose()


async def stop_and_hear_of_it(emulator: Emulator) -> None:
    """Stop the services, and let the event loop read that its connections are closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    mine = writer.get_extra_info("sockname")
    server = emulator._server
    assert server is not None
    await come_true(lambda: mine in {one.getpeername() for one in list(server._connections)})
    emulator.stop()
    assert await reader.read() == b""
    writer.close()


@contextmanager
def impostor(folder: Path) -> Iterator[str]:
    """A TLS server with a self-signed certificate. Any data after the handshake fails the test."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder / "certificate.pem"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard: list[bytes] = []
        thread = Thread(target=listen, args=(server, context, heard))
        thread.start()
        yield f"https://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert heard == []


def listen(server: socket.socket, context: ssl.SSLContext, heard: list[bytes]) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return  # shut down
        with connection:
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    heard.append(tls.recv(1024))
            except OSError:
                continue  # the client broke off, as it should


def self_signed(path: Path, address: IPv4Address | IPv6Address | None = None) -> Path:
    """Write a key and a certificate, of *address* if it is given, and return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    if address:
        names = x509.SubjectAlternativeName([x509.IPAddress(address)])
        builder = builder.add_extension(names, critical=False)
    certificate = (
        builder.not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, no_password)
    path.write_bytes(private + certificate.public_bytes(pem))
    return path

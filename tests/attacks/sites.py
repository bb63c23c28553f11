"""Two sites for a browser: ours by https, and a sibling that sets a cookie over plain http."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPBACK = "127.0.0.1"


@contextmanager
def https_in_front_of(port: int, host: str, folder: Path) -> Iterator[int]:
    """Yield a port that terminates TLS for *host* and forwards to *port*."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(_certificate(host, folder))
    with start_blocking_portal() as portal:
        server = portal.call(
            partial(asyncio.start_server, partial(_relay, port), LOOPBACK, 0, ssl=tls)
        )
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            portal.call(server.close)


@contextmanager
def site_that_sets(cookie: str) -> Iterator[int]:
    """Yield the port of a site whose every response sets *cookie*, which is in Latin-1."""

    class Planting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Set-Cookie", cookie)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing, so that only the tests print."""

    with ThreadingHTTPServer((LOOPBACK, 0), Planting) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


async def _relay(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from_app, to_app = await asyncio.open_connection(LOOPBACK, port)
    await asyncio.gather(_pass_on(reader, to_app), _pass_on(from_app, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):  # one side has closed its connection
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _certificate(host: str, folder: Path) -> Path:
    """Return a file with a key and a self-signed certificate for *host*."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    file = folder / "certificate.pem"
    file.write_bytes(private + certificate.public_bytes(pem))
    return file

"""The Twilio SDK's asynchronous HTTP client, with bounds added.

The SDK's own client ignores its timeout and even disables aiohttp's
(https://github.com/twilio/twilio-python/issues/925), reads responses of any length, causes
deprecation warnings of aiohttp, and drops `Retry-After`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    TCPConnector,
    encode_basic_auth,
)
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from otp_app.errors import ProviderNotReached, ProviderTimedOut
from otp_app.providers.answers import MAX_BODY, require_answer

if TYPE_CHECKING:
    from aiohttp import StreamReader

    from otp_app.providers.lanes import Deadlines


class TwilioTransport(AsyncTwilioHttpClient):
    """Sends each request once, to its `url` alone, within bounds of time and size.

    The transport is bound to the event loop that it is made on. For a response that is not a 2xx
    it raises `Refused` or an `OtpError`.
    """

    def __init__(self, connections: int, deadlines: Deadlines) -> None:
        super().__init__(pool_connections=False)  # the SDK's own pool has no bounds
        self._pool = ClientSession(
            connector=TCPConnector(limit=connections),
            timeout=ClientTimeout(total=deadlines.send, connect=deadlines.connect),
        )
        # aiohttp would repeat a GET whose connection closes without a response. Each number lookup
        # is a GET and has a price.
        self._pool._retry_connection = False  # noqa: SLF001 - aiohttp has no public way

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def request(  # type: ignore[override]  # as in the SDK: its base is synchronous
        self,
        method: str,
        url: str,
        params: dict[str, Any] | None = None,
        data: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the SDK's signature; never given
        allow_redirects: bool = False,  # noqa: ARG002, FBT001, FBT002 - the SDK's signature
    ) -> Response:
        """Send the request, and return a 2xx whose body the SDK can read.

        Raises:
            Refused: the status is not 2xx.
            ProviderNotReached: the request certainly never left.
            ProviderTimedOut: the request may have left, and there is no usable response.
        """
        if auth:
            headers = {**(headers or {}), "Authorization": encode_basic_auth(*auth)}
        try:
            async with self._pool.request(
                method, url, params=params, data=data, headers=headers, allow_redirects=False
            ) as answer:
                body = await _read(answer.content)
        except (ClientConnectorError, ConnectionTimeoutError) as exc:  # and DNS, TLS
            raise ProviderNotReached from exc
        except (ClientError, TimeoutError) as exc:
            raise ProviderTimedOut from exc
        require_answer(answer.status, body, answer.headers.get("Retry-After", ""))
        return Response(answer.status, body.decode(errors="replace"), answer.headers)


def make_client(account_sid: str, auth_token: str, transport: TwilioTransport) -> Client:
    """Return the SDK's client on *transport*."""
    client = Client(account_sid, auth_token, http_client=transport)  # type: ignore[no-untyped-call]
    client.region = client.edge = None  # TWILIO_REGION and _EDGE would rewrite the base URLs
    return client


async def _read(content: StreamReader) -> bytes:
    """Read the body, but at most `MAX_BODY` + 1 bytes. The last one shows that it is too long."""
    body = bytearray()
    while len(body) <= MAX_BODY and (chunk := await content.read(MAX_BODY + 1 - len(body))):
        body += chunk
    return bytes(body)

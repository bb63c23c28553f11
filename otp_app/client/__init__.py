"""A client of the API for other Python programs. The only dependency is httpx.

The two classes make the same calls, with and without `await`. The package imports nothing from the
rest of the app, so a copy of this folder works wherever httpx is installed:
https://www.python-httpx.org/
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import httpx

from otp_app.client import protocol
from otp_app.client.protocol import (
    ApiError,
    Calls,
    Channel,
    ClientError,
    NoAnswer,
    NotReached,
    Verification,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from otp_app.client.protocol import Call

__all__ = [
    "ApiError",
    "AsyncClient",
    "Channel",
    "Client",
    "ClientError",
    "NoAnswer",
    "NotReached",
    "Verification",
]

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds without data from the server. A number lookup and a send take at most 5 seconds each."""

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Client:
    """A synchronous client of a running otp_app. Threads may share a client.

    Each call is one HTTP request. The client never retries, because only your program knows whether
    the message is still wanted. With an API key, each call that sends or checks a code has an
    `Idempotency-Key`, and an error of the call has the same key. To retry a call, repeat it with
    that key and the same arguments: the server then returns the first response and does nothing
    twice. A call without the argument gets a new key and is a new request.

    Args:
        base_url: address of the app, such as `https://verify.example.com`.
        api_key: key from `python -m otp_app key NAME`. Without a key the client acts like one
            browser: it keeps the cookie, and has one verification at a time.
        timeout: seconds without data from the server.

    Raises:
        ValueError: *base_url* or *api_key* is invalid.
    """

    def __init__(self, base_url: str, api_key: str | None = None, timeout: float = TIMEOUT) -> None:
        self._calls = Calls(api_key)
        self._http = httpx.Client(
            base_url=_url(base_url), headers=self._calls.headers, timeout=timeout
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def start(
        self,
        phone: str,
        channel: Channel | None = None,
        country: str = "",
        idempotency_key: str | None = None,
    ) -> Verification:
        """Send a code to *phone*.

        Args:
            phone: number in E.164, or in national format together with *country*.
            channel: channel of the code; by default the first that the app offers and that reaches
                the number.
            country: ISO 3166-1 code, for a number without a plus sign and country code.
            idempotency_key: key of an earlier call, to retry that call.

        Raises:
            ApiError: the server returned an error.
            NotReached: there was no connection, so no message was sent.
            NoAnswer: there was no response, so a message may have been sent.
        """
        call = self._calls.start(phone, channel, country, idempotency_key)
        return self._ask(call, protocol.verification)

    def read(self, id_: str) -> Verification:
        """Return the state of verification *id_*. No message is sent.

        Raises:
            ApiError: the server returned an error.
            NoAnswer: there was no response.
        """
        return self._ask(self._calls.read(id_), protocol.verification)

    def check(self, id_: str, code: str, idempotency_key: str | None = None) -> Verification:
        """Check *code*, as the person typed it, and return the approved verification.

        A check uses up one attempt of verification *id_*.

        Raises:
            ApiError: the code is wrong (`code_mismatch`), or the server returned another error.
            NoAnswer: there was no response, so the code may have been checked.
        """
        return self._ask(self._calls.check(id_, code, idempotency_key), protocol.approval)

    def resend(
        self, id_: str, channel: Channel | None = None, idempotency_key: str | None = None
    ) -> Verification:
        """Send the code again, by the channel of the last message unless *channel* is given.

        If verification *id_* is over, a new one starts, with a new id.

        Raises:
            ApiError: the server returned an error.
            NotReached: there was no connection, so no message was sent.
            NoAnswer: there was no response, so a message may have been sent.
        """
        return self._ask(self._calls.resend(id_, channel, idempotency_key), protocol.verification)

    def cancel(self, id_: str) -> None:
        """Cancel verification *id_*, so that its code is no longer accepted.

        Raises:
            ApiError: the server returned an error.
            NoAnswer: there was no response, so the verification may have been canceled.
        """
        self._ask(self._calls.cancel(id_), protocol.nothing)

    def _ask(self, call: Call, read: Callable[[httpx.Response], T]) -> T:
        with _told(call):
            return read(
                self._http.request(call.method, call.path, json=call.body, headers=call.headers)
            )


class AsyncClient:
    """The asynchronous variant of `Client`, with the same arguments, results and errors."""

    def __init__(self, base_url: str, api_key: str | None = None, timeout: float = TIMEOUT) -> None:
        self._calls = Calls(api_key)
        self._http = httpx.AsyncClient(
            base_url=_url(base_url), headers=self._calls.headers, timeout=timeout
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def start(
        self,
        phone: str,
        channel: Channel | None = None,
        country: str = "",
        idempotency_key: str | None = None,
    ) -> Verification:
        """Send a code to *phone*. See `Client.start`."""
        call = self._calls.start(phone, channel, country, idempotency_key)
        return await self._ask(call, protocol.verification)

    async def read(self, id_: str) -> Verification:
        """Return the state of verification *id_*. See `Client.read`."""
        return await self._ask(self._calls.read(id_), protocol.verification)

    async def check(self, id_: str, code: str, idempotency_key: str | None = None) -> Verification:
        """Check *code* and return the approved verification. See `Client.check`."""
        return await self._ask(self._calls.check(id_, code, idempotency_key), protocol.approval)

    async def resend(
        self, id_: str, channel: Channel | None = None, idempotency_key: str | None = None
    ) -> Verification:
        """Send the code of verification *id_* again. See `Client.resend`."""
        call = self._calls.resend(id_, channel, idempotency_key)
        return await self._ask(call, protocol.verification)

    async def cancel(self, id_: str) -> None:
        """Cancel verification *id_*. See `Client.cancel`."""
        await self._ask(self._calls.cancel(id_), protocol.nothing)

    async def _ask(self, call: Call, read: Callable[[httpx.Response], T]) -> T:
        with _told(call):
            return read(
                await self._http.request(
                    call.method, call.path, json=call.body, headers=call.headers
                )
            )


@contextmanager
def _told(call: Call) -> Iterator[None]:
    """Convert exceptions of httpx to `ClientError`, and add the idempotency key of *call*."""
    try:
        with _connecting():
            yield
    except ClientError as error:
        error.idempotency_key = call.idempotency_key
        raise


@contextmanager
def _connecting() -> Iterator[None]:
    try:
        yield
    except _NOTHING_SENT as error:
        raise NotReached("no connection; the request was not sent") from error
    except httpx.RequestError as error:
        raise NoAnswer("no response; the request may have been carried out") from error


def _url(text: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(text)
        if url.scheme in {"http", "https"} and url.host:
            return url
    raise ValueError("base_url must be an address such as https://verify.example.com")

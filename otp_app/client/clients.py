"""The two clients: the same calls, with and without `await`."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

import httpx

from otp_app.client import answers
from otp_app.client.calls import Calls
from otp_app.client.errors import ClientError, NoAnswer, NotReached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

    from otp_app.client.answers import Verification
    from otp_app.client.calls import Call, Channel

T = TypeVar("T")

TIMEOUT = 30.0
"""Seconds of silence. The server looks at a number for 5 at most, and sends for 5 at most."""

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class Client:
    """Verifies numbers by a running otp_app. Threads may share one.

    One call is one request. Nothing is repeated, for whether a message is still wanted only the
    caller knows. With an API key, each call that sends or checks has an `Idempotency-Key`, which
    its error has too: asked again with the same key and arguments, the server answers what it
    answered before and does nothing twice. A new key, which is the default, means one more.

    Args:
        base_url: where the app is, such as `https://verify.example.com`.
        api_key: from `python -m otp_app key NAME`. Without one the client is like one browser:
            it keeps the cookie, and has one verification at a time.
        timeout: seconds without a sign of the server.

    Raises:
        ValueError: *base_url* or *api_key* cannot be one.
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
            phone: E.164, or as people write it, with *country*.
            channel: how the code travels; by default the first that is offered and reaches it.
            country: ISO 3166-1 code, for a number without its +.
            idempotency_key: the key of an earlier try, to ask for the same again.

        Raises:
            ApiError: refused.
            NotReached: certainly not sent.
            NoAnswer: perhaps sent.
        """
        call = self._calls.start(phone, channel, country, idempotency_key)
        return self._ask(call, answers.verification)

    def read(self, id_: str) -> Verification:
        """Where *id_* stands. Sends nothing. Raises `ApiError`, `NoAnswer`."""
        return self._ask(self._calls.read(id_), answers.verification)

    def check(self, id_: str, code: str, idempotency_key: str | None = None) -> Verification:
        """Spend one guess of *id_* on *code*, as the person typed it. What returns is verified.

        Raises:
            ApiError: `code_mismatch` if it is wrong; or refused.
            NoAnswer: perhaps checked.
        """
        return self._ask(self._calls.check(id_, code, idempotency_key), answers.approval)

    def resend(
        self, id_: str, channel: Channel | None = None, idempotency_key: str | None = None
    ) -> Verification:
        """Send the code again, as before if not by *channel*.

        One that is over is begun anew, with a new id.

        Raises:
            ApiError, NotReached, NoAnswer: as `start`.
        """
        return self._ask(self._calls.resend(id_, channel, idempotency_key), answers.verification)

    def cancel(self, id_: str) -> None:
        """Give *id_* up: its code is worth nothing any more. Raises `ApiError`, `NoAnswer`."""
        self._ask(self._calls.cancel(id_), answers.nothing)

    def _ask(self, call: Call, read: Callable[[httpx.Response], T]) -> T:
        with _told(call):
            return read(
                self._http.request(call.method, call.path, json=call.body, headers=call.headers)
            )


class AsyncClient:
    """`Client`, with `await`: the same arguments, answers and errors."""

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
        """As `Client.start`."""
        call = self._calls.start(phone, channel, country, idempotency_key)
        return await self._ask(call, answers.verification)

    async def read(self, id_: str) -> Verification:
        """As `Client.read`."""
        return await self._ask(self._calls.read(id_), answers.verification)

    async def check(self, id_: str, code: str, idempotency_key: str | None = None) -> Verification:
        """As `Client.check`."""
        return await self._ask(self._calls.check(id_, code, idempotency_key), answers.approval)

    async def resend(
        self, id_: str, channel: Channel | None = None, idempotency_key: str | None = None
    ) -> Verification:
        """As `Client.resend`."""
        call = self._calls.resend(id_, channel, idempotency_key)
        return await self._ask(call, answers.verification)

    async def cancel(self, id_: str) -> None:
        """As `Client.cancel`."""
        await self._ask(self._calls.cancel(id_), answers.nothing)

    async def _ask(self, call: Call, read: Callable[[httpx.Response], T]) -> T:
        with _told(call):
            return read(
                await self._http.request(
                    call.method, call.path, json=call.body, headers=call.headers
                )
            )


@contextmanager
def _told(call: Call) -> Iterator[None]:
    """Whatever *call* ends in is an error of ours, which has its key."""
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
        raise NotReached("no connection, so nothing was done") from error
    except httpx.RequestError as error:
        raise NoAnswer("no answer, but what was asked for may have been done") from error


def _url(text: str) -> httpx.URL:
    with suppress(httpx.InvalidURL):
        url = httpx.URL(text)
        if url.scheme in {"http", "https"} and url.host:
            return url
    raise ValueError("base_url must be an address such as https://verify.example.com")

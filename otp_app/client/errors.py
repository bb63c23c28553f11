"""The exceptions that calls of the client raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class ClientError(Exception):
    """The base class of all errors of a call.

    Attributes:
        idempotency_key: key to retry the same call with; empty if the call had no key. See
            `Client`.
    """

    idempotency_key: str = ""


class NoAnswer(ClientError):
    """A call without a response: the connection broke or timed out.

    The server may have carried out the request.
    """


class NotReached(NoAnswer):
    """A call without a connection. The server has not carried out the request."""


class ApiError(ClientError):
    """An error response: the server rejected the request or failed.

    Attributes:
        code: stable name of the error, listed in `/api/docs`; `foreign_answer` if the response is
            not from the API but from a proxy or another server at this address.
        status: HTTP status.
        text: message for the person, in English.
        retry_after: seconds to wait before a retry, if the server sends a time.
        attempts_left: number of further codes that can be checked, after a wrong code.
        until: earliest time of a retry or, after a wrong code, the expiry of the verification; in
            UTC.
    """

    def __init__(
        self,
        code: str,
        status: int,
        text: str,
        retry_after: int | None = None,
        attempts_left: int | None = None,
        until: datetime | None = None,
    ) -> None:
        super().__init__(code, status, text)
        self.code = code
        self.status = status
        self.text = text
        self.retry_after = retry_after
        self.attempts_left = attempts_left
        self.until = until

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.text}"

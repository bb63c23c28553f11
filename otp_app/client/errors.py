"""What a call may end in, other than with what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class ClientError(Exception):
    """A call that did not end well.

    Attributes:
        idempotency_key: what to ask again with, for the same and not for one more; empty where the
            call had none. See `Client`.
    """

    idempotency_key: str = ""


class NoAnswer(ClientError):
    """The connection broke or was silent for too long: what was asked for may have been done."""


class NotReached(NoAnswer):
    """There was no connection: certainly nothing was done."""


class ApiError(ClientError):
    """The server refused, or could not do, what was asked.

    Attributes:
        code: stable name, as `/api/docs` lists them; `foreign_answer` where something else than the
            API answered: a proxy, or another server at this address.
        status: of HTTP.
        text: for the person, in English.
        retry_after: seconds, where waiting helps and the server says how long.
        attempts_left: wrong codes that are still forgiven, where the code was wrong.
        until: when to try again, or when a wrong code's verification expires; in UTC.
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

"""The requests of the client, and what their responses mean."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote
from uuid import uuid4

if TYPE_CHECKING:
    import httpx


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

    @property
    def can_be_repeated(self) -> bool:
        """Whether the server refused the call unread, because too many others were under way.

        The server has counted and sent nothing, so the call can be repeated after `retry_after`
        seconds.
        """
        return self.code == "overloaded"


Channel = Literal["sms", "voice", "whatsapp"]

_PATH = "/api/v1/verifications"
_VISIBLE = re.compile(r"[\x21-\x7e]+")  # the characters that the server accepts in a header


@dataclass(frozen=True)
class Call:
    """The parts of an HTTP request that differ between calls. An empty key sends no header."""

    method: str
    path: str
    body: dict[str, str] | None = None
    idempotency_key: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers of this call only, without those in `Calls.headers`."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}


@dataclass(frozen=True)
class Calls:
    """Creates the requests of a program, with or without an API key.

    Raises:
        ValueError: *api_key* has characters that no key has. The text does not hold the key.
    """

    api_key: str | None = field(repr=False)

    def __post_init__(self) -> None:
        if self.api_key is not None:
            _require_visible(self.api_key, "api_key")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every call: the API key as a bearer token (RFC 6750 section 2.1)."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}

    def start(self, phone: str, channel: Channel | None, country: str, key: str | None) -> Call:
        """Return the request that sends a code to *phone*."""
        body = {"phone_number": phone, "country": country} | _by(channel)
        return Call("POST", _PATH, body, self._once(key))

    def read(self, id_: str) -> Call:
        """Return the request for the state of verification *id_*."""
        return Call("GET", _one(id_))

    def check(self, id_: str, code: str, key: str | None) -> Call:
        """Return the request that checks *code* for verification *id_*."""
        return Call("POST", f"{_one(id_)}/check", {"code": code}, self._once(key))

    def resend(self, id_: str, channel: Channel | None, key: str | None) -> Call:
        """Return the request that sends the code of verification *id_* again."""
        return Call("POST", f"{_one(id_)}/resend", _by(channel), self._once(key))

    def cancel(self, id_: str) -> Call:
        """Return the request that cancels verification *id_*."""
        return Call("DELETE", _one(id_))

    def _once(self, key: str | None) -> str:
        """Return *key*, else a new idempotency key for this call.

        Without an API key there is no new one: the server may reject an idempotency key of a caller
        that it cannot identify.
        """
        if key is not None:
            return _require_visible(key, "idempotency_key")
        return str(uuid4()) if self.api_key else ""


def _by(channel: Channel | None) -> dict[str, str]:
    return {"channel": channel} if channel else {}


def _one(id_: str) -> str:
    return f"{_PATH}/{quote(id_, safe='')}"


def _require_visible(text: str, name: str) -> str:
    if not _VISIBLE.fullmatch(text):
        raise ValueError(f"{name} must be visible ASCII characters, without spaces or line ends")
    return text


@dataclass(frozen=True)
class Verification:
    """The state of a verification at the time of the response. Times are aware and in UTC.

    Attributes:
        id: identifies the verification, only for the caller that started it.
        status: `sending`, `unknown` (a message may have been sent), `pending` (a code can be
            checked), `approved`, `exhausted`, `expired`, `canceled` or `refused`.
        channel: channel of the last message: `sms`, `voice` or `whatsapp`.
        ending: last digits of the number.
        code_length: number of digits in a code.
        attempts_left: number of further codes that can be checked.
        sends: number of messages so far.
        resend_at: earliest time of the next message.
        expires_at: time after which no code is accepted.
    """

    id: str
    status: str
    channel: str
    ending: str
    code_length: int
    attempts_left: int
    sends: int
    resend_at: datetime
    expires_at: datetime

    @property
    def is_verified(self) -> bool:
        """Whether the person has proved that they hold the number of this verification."""
        return self.status == "approved"


def verification(answer: httpx.Response) -> Verification:
    """Return the verification in *answer*. Unknown fields of a newer server are ignored.

    Raises:
        ApiError: the response is an error, or is not from the API.
    """
    if not answer.is_success:
        raise _refusal(answer)
    try:
        return _verification(answer.json())
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(answer) from error


def approval(answer: httpx.Response) -> Verification:
    """Return the approved verification in *answer*.

    Raises:
        ApiError: the response is an error, is not from the API, or has another status.
    """
    approved = verification(answer)
    if not approved.is_verified:
        raise _foreign(answer)
    return approved


def nothing(answer: httpx.Response) -> None:
    """Accept an empty response (HTTP 204).

    Raises:
        ApiError: the response has another status.
    """
    if answer.status_code != 204:
        raise _foreign(answer) if answer.is_success else _refusal(answer)


def _verification(fields: dict[str, Any]) -> Verification:
    known = {name: fields[name] for name in Verification.__dataclass_fields__}
    times = {name: datetime.fromisoformat(fields[name]) for name in ("resend_at", "expires_at")}
    return Verification(**known | times)


def _refusal(answer: httpx.Response) -> ApiError:
    try:
        return _problem(answer.json(), answer)
    except (KeyError, TypeError, ValueError):
        return _foreign(answer)


def _problem(fields: dict[str, Any], answer: httpx.Response) -> ApiError:
    until = fields.get("until")
    return ApiError(
        fields["code"],
        answer.status_code,
        fields["detail"],
        _retry_after(answer),
        fields.get("attempts_left"),
        datetime.fromisoformat(until) if until else None,
    )


def _foreign(answer: httpx.Response) -> ApiError:
    """Return the error for a response that the API did not write.

    The body is dropped: the text is not meant for people and may be a whole page.
    """
    text = "The service did not answer as expected. Try again later"
    return ApiError("foreign_answer", answer.status_code, text, _retry_after(answer))


def _retry_after(answer: httpx.Response) -> int | None:
    """Return `Retry-After` in seconds (RFC 9110 section 10.2.3). The API sends no dates."""
    seconds = answer.headers.get("retry-after", "")
    return int(seconds) if seconds.isdecimal() else None

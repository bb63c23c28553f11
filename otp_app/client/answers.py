"""Parsing of responses: a verification, an empty response or an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from otp_app.client.errors import ApiError

if TYPE_CHECKING:
    import httpx


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

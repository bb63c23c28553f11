"""What is answered: a verification, nothing, or an error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from otp_app.client.errors import ApiError

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Verification:
    """Where a verification stood when the server answered. Times are aware and in UTC.

    Attributes:
        id: names it to the caller that began it, and to nobody else.
        status: `sending`, `unknown` (a message may have been sent), `pending` (a code can be
            checked), `approved`, `exhausted`, `expired`, `canceled` or `refused`.
        channel: of the last message: `sms`, `voice` or `whatsapp`.
        ending: the last digits of the number.
        code_length: digits.
        attempts_left: wrong codes that are still forgiven.
        sends: messages so far.
        resend_at: when the next message may be asked for.
        expires_at: until when a code is taken.
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
        """Whether the person has proved to hold the number that it was started for."""
        return self.status == "approved"


def verification(answer: httpx.Response) -> Verification:
    """The verification in *answer*. Fields that a newer server may add are left out.

    Raises:
        ApiError: there is none.
    """
    if not answer.is_success:
        raise _refusal(answer)
    try:
        return _verification(answer.json())
    except (KeyError, TypeError, ValueError) as error:
        raise _foreign(answer) from error


def approval(answer: httpx.Response) -> Verification:
    """The verification in *answer*, which is approved. Raises `ApiError` if it is not."""
    approved = verification(answer)
    if not approved.is_verified:
        raise _foreign(answer)
    return approved


def nothing(answer: httpx.Response) -> None:
    """The answer to what is done without a word. Raises `ApiError` if it was not done."""
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
    """Not an answer of the API. What it says is not for people, and may be a whole page."""
    text = "The service did not answer as expected. Try again later"
    return ApiError("foreign_answer", answer.status_code, text, _retry_after(answer))


def _retry_after(answer: httpx.Response) -> int | None:
    """In seconds (RFC 9110 section 10.2.3). The API writes no dates."""
    seconds = answer.headers.get("retry-after", "")
    return int(seconds) if seconds.isdecimal() else None

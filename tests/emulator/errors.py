"""The vendors' documented refusals, as answers.

The tables in `specs/` hold one row for each; `TWILIO_ERRORS` and `VONAGE_ERRORS` list them so that
a test can be parametrised over every one.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.emulator.specs import load
from tests.emulator.wire import Answer


@dataclass(frozen=True)
class TwilioError:
    """A row of Twilio's error dictionary; `status_is` says how sure its HTTP status is."""

    code: int
    status: int
    status_is: str
    message: str
    operations: list[str]


@dataclass(frozen=True)
class VonageError:
    """A problem body of the Vonage document; `kind` names it where `type` is shared by two."""

    status: int
    kind: str
    title: str
    type: str
    detail: str
    operations: list[str]
    members: dict[str, Any] = field(default_factory=dict)


TWILIO_ERRORS = tuple(TwilioError(**row) for row in load("twilio_errors.json")["rows"])
VONAGE_ERRORS = tuple(VonageError(**row) for row in load("vonage_errors.json")["rows"])

_BY_CODE = {error.code: error for error in TWILIO_ERRORS}
_BY_KIND = {(error.status, error.kind): error for error in VONAGE_ERRORS}


def twilio_error(
    code: int, *, message: str | None = None, retry_after: int | str | None = None
) -> Answer:
    """Twilio's refusal `code`. Shape: https://www.twilio.com/docs/usage/twilios-response."""
    error = _BY_CODE[code]
    body = {
        "code": code,
        "message": message or error.message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": error.status,
    }
    return Answer(error.status, body, _retry_after(retry_after))


def vonage_error(
    status: int, kind: str, *, retry_after: int | str | None = None, **members: object
) -> Answer:
    """Vonage's problem document (RFC 9457), with `members` added or put in place of its own.

    `instance` is new in each answer, as it names the occurrence.
    """
    error = _BY_KIND[status, kind]
    body = {"title": error.title, "type": error.type, "detail": error.detail}
    body |= {"instance": str(uuid4())} | error.members | members
    headers = {"Content-Type": "application/problem+json"} | _retry_after(retry_after)
    return Answer(status, body, headers)


def _retry_after(value: int | str | None) -> dict[str, str]:
    return {} if value is None else {"Retry-After": str(value)}

"""One HTTP request of the doctor to a service, and the difference between the two clocks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from aiohttp import ClientError, ClientSession, ClientTimeout

from otp_app.operations.findings import Finding, fail, ok, warn
from otp_app.providers.answers import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE = 5.0  # seconds for the whole request
TOLERATED, BEARABLE = 5, 60  # seconds of clock difference: more than these warns, or fails


@dataclass(frozen=True)
class Question:
    """An HTTP request that is free of charge and sends no message."""

    method: str
    url: str
    authorization: str = ""


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    Attributes:
        body: the JSON object in the response; empty if the body is not a JSON object.
        ahead: seconds that our clock is ahead of the server's; None without a `Date` header.
    """

    status: int
    body: Mapping[str, object]
    ahead: float | None


async def ask(question: Question) -> Answer | None:
    """Send the request once. Return None if there is no response within `PATIENCE`.

    Redirects are not followed and proxies of the environment are not used, so the credentials
    reach no other host.
    """
    headers = {"Authorization": question.authorization} if question.authorization else {}
    asked_at = time.time()
    try:
        async with (
            ClientSession(timeout=ClientTimeout(total=PATIENCE)) as session,
            session.request(
                question.method, question.url, headers=headers, allow_redirects=False
            ) as answer,
        ):
            body = read_object(await answer.read()) or {}
    except (ClientError, TimeoutError):
        return None
    middle = (asked_at + time.time()) / 2
    return Answer(answer.status, body, _ahead(answer.headers.get("Date", ""), middle))


def clock(answer: Answer) -> Finding:
    """Compare our clock with the provider's: the lifetimes of codes, limits and tokens need it."""
    fix = "see that this machine keeps its clock synchronised"
    if answer.ahead is None:
        return warn("clock", "not compared: the provider told no time", fix)
    if abs(answer.ahead) <= TOLERATED:
        return ok("clock", "agrees with the provider's")
    direction = "ahead of" if answer.ahead > 0 else "behind"
    what = f"is {abs(answer.ahead):.0f} s {direction} the provider's"
    return (warn if abs(answer.ahead) <= BEARABLE else fail)("clock", what, fix)


def _ahead(date: str, at: float) -> float | None:
    try:
        return at - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None

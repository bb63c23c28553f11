"""One question to a provider, and what its answer tells of the clocks."""

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

PATIENCE = 5.0  # seconds
TOLERATED, BEARABLE = 5, 60  # seconds between the clocks


@dataclass(frozen=True)
class Question:
    """A request that costs nothing and sends nothing."""

    method: str
    url: str
    authorization: str = ""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        body: its JSON object, if it is one.
        ahead: seconds that our clock is ahead of the other one, if that told the time.
    """

    status: int
    body: Mapping[str, object]
    ahead: float | None


async def ask(question: Question) -> Answer | None:
    """Ask once, and only there: no redirect is followed, no proxy of the environment used."""
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
    """Codes, limits and tokens live by the clock."""
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

"""`python -m otp_app why`: prints the history of one number and the limits that apply to it now.

The output has no code, no provider's id and no browser, and only the last digits of the number.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otp_app.bootstrap import NO_KEY
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.errors import NumbersUnreadable, StoreUnavailable
from otp_app.operations.configuration import rate
from otp_app.operations.history import NAMES, asked, told
from otp_app.operations.installation import (
    NO_DATABASE,
    NO_SECRET,
    find_numbers,
    find_secret,
    open_existing,
)
from otp_app.storage.limiter import SqlLimiter, Standing
from otp_app.storage.sql import SqlStore
from otp_app.verification.channels import reaching
from otp_app.verification.limits import (
    UNCONFIRMED,
    Action,
    Client,
    Limit,
    Scope,
    Spending,
    spendings,
)
from otp_app.verification.models import Flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Entry
    from otp_app.verification.models import Channel, Verification

MOST = 20  # verifications
_BY_NUMBER = {Scope.NUMBER, Scope.STRANGERS, Scope.FAILURES, Scope.PREFIX} | {
    Scope.COUNTRY,
    Scope.COUNTRY_CONFIRMED,
    Scope.EVERYBODY,
    *UNCONFIRMED,
}
_NOBODY = Client(Flow(""), "")


@dataclass(frozen=True)
class Found:
    """The rows about a number in the database: verifications, audit entries and limits."""

    past: Sequence[Verification]
    questions: Sequence[Entry]
    standings: Sequence[Standing]


def run(phone: PhoneNumber) -> int:
    """Print all that is known about *phone*. Return the exit code.

    The exit code is 1 if the settings, the secret, a key or the database cannot be used, else 0.
    """
    try:
        settings = load_settings()
        found = asyncio.run(_look(settings, phone, now := datetime.now(UTC)))
    except SettingsError as exc:
        return _say(str(exc), code=1)
    except NumbersUnreadable:
        return _say(NO_KEY, code=1)
    except (StoreUnavailable, ValueError):
        return _say(NO_DATABASE, code=1)
    if found is None:
        return _say("\n".join((*_reach(settings, phone), NO_SECRET)), code=1)
    parts = (
        _reach(settings, phone),
        told(found.past, MOST, now),
        asked(found.questions, MOST),
        _limits(found.standings),
    )
    return _say("\n".join(line for part in parts for line in part), code=0)


def _say(text: str, *, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


async def _look(settings: Settings, phone: PhoneNumber, now: datetime) -> Found | None:
    """Return the rows about *phone*, or None if the secret that they are found by is missing."""
    engine = open_existing(settings)
    secret, numbers = find_secret(settings), find_numbers(settings)
    try:
        if not (secret and numbers):
            return None
        store, limiter = SqlStore(engine, numbers), SqlLimiter(engine, secret)
        return Found(
            await store.of_number(phone, MOST),
            await store.journal.of_number(phone, MOST),
            await limiter.standings(_uses(settings.limits, phone), now),
        )
    finally:
        await engine.dispose()


def _uses(limits: Sequence[Limit], phone: PhoneNumber) -> list[Spending]:
    """Return the uses of *limits* by *phone* that do not depend on a browser or an address."""
    both = [s for action in Action for s in spendings(limits, action, _NOBODY, phone)]
    return [s for s in both if s.limit.scope in _BY_NUMBER]


def _reach(settings: Settings, phone: PhoneNumber) -> Iterator[str]:
    is_served = not settings.countries or phone.region in settings.countries
    served = "is served" if is_served else "is not in ALLOWED_COUNTRIES"
    yield f"The number ending {phone.ending}"
    yield f"  country   {phone.region} {served}"
    ways = reaching(phone, settings.channel_list)
    yield f"  kind      {phone.kind}: {_reached(ways)}"


def _reached(ways: Sequence[Channel]) -> str:
    """Return the text for the channels in *ways*, those of CHANNELS that reach the number."""
    return f"reached by {', '.join(NAMES[way] for way in ways)}" if ways else "gets no codes"


def _limits(standings: Sequence[Standing]) -> Iterator[str]:
    yield "Limits, but for those by browser and by address"
    yield from map(_limit, sorted(standings, key=lambda found: found.until is None))


def _limit(standing: Standing) -> str:
    limit, until = standing.limit, standing.until
    mark = "full" if until else "room"
    room = f", room from {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
    return f"  {mark}  {limit.name:<34}{standing.used} of {rate(limit)}{room}"

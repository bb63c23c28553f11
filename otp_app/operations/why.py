"""`python -m otp_app why`: what happened to one number, and which limits hold it now.

Tells what its person saw: no code, no provider's id, no browser, and of the number its ending.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otp_app.bootstrap import SECRET_FILE
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.errors import StoreUnavailable
from otp_app.operations.configuration import rate
from otp_app.operations.database import sqlite_file
from otp_app.operations.history import asked, told
from otp_app.phone import Kind, PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.limiter import SqlLimiter, Standing
from otp_app.storage.sql import SqlStore
from otp_app.verification.limits import Action, Client, Limit, Scope, Spending, spendings
from otp_app.verification.models import Flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from otp_app.verification.audit import Entry
    from otp_app.verification.models import Verification

MOST = 20  # verifications
_BY_NUMBER = {Scope.NUMBER, Scope.STRANGERS, Scope.FAILURES, Scope.PREFIX} | {
    Scope.COUNTRY,
    Scope.EVERYBODY,
}
_NOBODY = Client(Flow(""), "")

_NO_DATABASE = "DATABASE_URL: no migrated database answers. python -m otp_app doctor tells more"
_NO_SECRET = (
    f"  not known: SECRET_KEY is not set and {SECRET_FILE} is not there. They are filed under\n"
    "  keys made with it, so run this where the app runs and with its settings"
)
_REACHED = {
    Kind.MOBILE: "text messages and calls reach it",
    Kind.LANDLINE: "only calls reach it",
    Kind.OTHER: "no codes go to this kind of number",
}


@dataclass(frozen=True)
class Keyed:
    """What is filed under keys made with the secret."""

    questions: Sequence[Entry]
    standings: Sequence[Standing]


def run(phone: PhoneNumber) -> int:
    """Tell all that is known of *phone*; 1 if something could not be found out, else 0."""
    try:
        settings = load_settings()
        past, keyed = asyncio.run(_look(settings, phone, now := datetime.now(UTC)))
    except SettingsError as exc:
        return _say(str(exc), code=1)
    except (StoreUnavailable, ValueError):
        return _say(_NO_DATABASE, code=1)
    parts = (_reach(settings, phone), told(past, MOST, now), _filed(keyed))
    return _say("\n".join(line for part in parts for line in part), code=int(keyed is None))


def _say(text: str, *, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


async def _look(
    settings: Settings, phone: PhoneNumber, now: datetime
) -> tuple[Sequence[Verification], Keyed | None]:
    """What the database has; without the secret, only what is not filed under it."""
    engine = _engine(settings)
    try:
        secret = (_secret(settings) or "").encode()
        store = SqlStore(engine, secret)
        past = await store.of_number(phone, MOST)
        if not secret:
            return past, None
        questions = await store.journal.of_number(phone, MOST)
        standings = await SqlLimiter(engine, secret).standings(_uses(settings.limits, phone), now)
        return past, Keyed(questions, standings)
    finally:
        await engine.dispose()


def _engine(settings: Settings) -> AsyncEngine:
    """The database, which is not made for being looked at."""
    url = settings.database_url.get_secret_value()
    file = sqlite_file(url)
    if file and not file.exists():
        raise StoreUnavailable
    return open_engine(url)


def _secret(settings: Settings) -> str | None:
    """As the app finds it, but none is made."""
    if settings.secret_key:
        return settings.secret_key.get_secret_value()
    return SECRET_FILE.read_text() if SECRET_FILE.exists() else None


def _uses(limits: Sequence[Limit], phone: PhoneNumber) -> list[Spending]:
    """Those that are the same for every browser and address."""
    both = [s for action in Action for s in spendings(limits, action, _NOBODY, phone)]
    return [s for s in both if s.limit.scope in _BY_NUMBER]


def _reach(settings: Settings, phone: PhoneNumber) -> Iterator[str]:
    is_served = not settings.countries or phone.region in settings.countries
    served = "is served" if is_served else "is not in ALLOWED_COUNTRIES"
    yield f"The number ending {phone.ending}"
    yield f"  country   {phone.region} {served}"
    yield f"  kind      {phone.kind}: {_REACHED[phone.kind]}"


def _filed(keyed: Keyed | None) -> Iterator[str]:
    if keyed is None:
        yield from ("Limits and audit", _NO_SECRET)
        return
    yield from asked(keyed.questions, MOST)
    yield "Limits, but for those by browser and by address"
    yield from map(_limit, sorted(keyed.standings, key=lambda found: found.until is None))


def _limit(standing: Standing) -> str:
    limit, until = standing.limit, standing.until
    mark = "full" if until else "room"
    room = f", room from {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
    return f"  {mark}  {limit.name:<28}{standing.used} of {rate(limit)}{room}"

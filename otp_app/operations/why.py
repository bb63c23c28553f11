"""`python -m otp_app why`: what happened to one number, and which limits hold it now.

Tells what its person saw: no code, no provider's id, no browser, and of the number its ending.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otp_app.bootstrap import SECRET_FILE
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.errors import StoreUnavailable
from otp_app.operations.configuration import rate
from otp_app.operations.database import sqlite_file
from otp_app.operations.history import told
from otp_app.phone import Kind, PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.limiter import SqlLimiter, Standing
from otp_app.storage.sql import SqlStore
from otp_app.verification.limits import Action, Client, Limit, Scope, Spending, spendings
from otp_app.verification.models import Flow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from otp_app.verification.models import Verification

MOST = 20  # verifications
_BY_NUMBER = {Scope.NUMBER, Scope.FAILURES, Scope.PREFIX, Scope.COUNTRY, Scope.EVERYBODY}
_NOBODY = Client(Flow(""), "")

_NO_DATABASE = "DATABASE_URL: no migrated database answers. python -m otp_app doctor tells more"
_NO_SECRET = (
    f"  not known: SECRET_KEY is not set and {SECRET_FILE} is not there. Limits are counted under\n"
    "  keys made with it, so run this where the app runs and with its settings"
)
_REACHED = {
    Kind.MOBILE: "text messages and calls reach it",
    Kind.LANDLINE: "only calls reach it",
    Kind.OTHER: "no codes go to this kind of number",
}


def run(phone: PhoneNumber) -> int:
    """Tell all that is known of *phone*; 1 if something could not be found out, else 0."""
    try:
        settings = load_settings()
        past, standings = asyncio.run(_look(settings, phone, now := datetime.now(UTC)))
    except SettingsError as exc:
        return _say(str(exc), code=1)
    except (StoreUnavailable, ValueError):
        return _say(_NO_DATABASE, code=1)
    parts = (_reach(settings, phone), told(past, MOST, now), _limits(standings))
    return _say("\n".join(line for part in parts for line in part), code=int(standings is None))


def _say(text: str, *, code: int) -> int:
    sys.stdout.write(f"{text}\n")
    return code


async def _look(
    settings: Settings, phone: PhoneNumber, now: datetime
) -> tuple[Sequence[Verification], list[Standing] | None]:
    """What the database has; no standings without the secret."""
    engine = _engine(settings)
    try:
        past = await SqlStore(engine).of_number(phone, MOST)
        if not (secret := _secret(settings)):
            return past, None
        limiter = SqlLimiter(engine, secret.encode())
        return past, await limiter.standings(_uses(settings.limits, phone), now)
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


def _limits(standings: list[Standing] | None) -> Iterator[str]:
    yield "Limits, but for those by browser and by address"
    if standings is None:
        yield _NO_SECRET
        return
    for standing in sorted(standings, key=lambda found: found.until is None):
        limit, until = standing.limit, standing.until
        mark = "full" if until else "room"
        room = f", room from {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
        yield f"  {mark}  {limit.name:<24}{standing.used} of {rate(limit)}{room}"

"""`python -m otp_app events`: lists dead letters, or queues them for delivery again.

A dead letter is an event that the backend did not accept in any attempt.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from otp_app.cli import NO_DATABASE, existing_database, say
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.errors import StoreUnavailable
from otp_app.storage.outbox import DeadLetters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from otp_app.verification.outbox import DeadLetter

_T = TypeVar("_T")

MOST = 100  # lines
_NOBODY = "WEBHOOK_URL: is not set here. An app without it delivers nothing"


def run(*, retry: bool) -> int:
    """Print the dead letters or, with *retry*, queue them again. Return the exit code.

    The exit code is 1 if the settings or the database cannot be used, else 0.
    """
    try:
        settings = load_settings()
        lines = _retried(settings) if retry else _listed(settings)
    except SettingsError as exc:
        return say(str(exc), code=1)
    except (StoreUnavailable, ValueError):
        return say(NO_DATABASE, code=1)
    return say(*lines, code=0)


def with_dead_letters(settings: Settings, do: Callable[[DeadLetters], Awaitable[_T]]) -> _T:
    """Return the result of *do*, called with the dead letters in the database.

    Raises:
        StoreUnavailable: the database file does not exist, or the database does not respond.
        ValueError: DATABASE_URL names no database that the app can use.
    """

    async def work() -> _T:
        async with existing_database(settings) as engine:
            return await do(DeadLetters(engine))

    return asyncio.run(work())


def _listed(settings: Settings) -> list[str]:
    newest = with_dead_letters(settings, lambda dead: dead.newest(MOST))
    lines = [_line(event) for event in newest] or ["  none"]
    return [f"Dead letters, the newest first, at most {MOST}", *lines]


def _retried(settings: Settings) -> list[str]:
    count = with_dead_letters(settings, lambda dead: dead.revive(datetime.now(UTC)))
    said = f"{count} queued again: the app delivers them within seconds, or retries for three days"
    return [said] if settings.webhook_url else [said, _NOBODY]


def _line(event: DeadLetter) -> str:
    end = f"dead {_time(event.died_at)}, attempts: {event.attempts}, last: {event.failure}"
    return f"  {_time(event.at)}  {event.type}  {event.id}  {end}"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"

"""Checks of the backend that receives webhooks: its settings, its endpoint and dead letters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from otp_app.errors import StoreUnavailable
from otp_app.operations.asking import Question, ask
from otp_app.operations.events import with_dead_events
from otp_app.operations.findings import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_app.config import Settings


def backend(settings: Settings) -> Iterator[Finding]:
    """Yield the findings about the backend.

    No test webhook is posted, because a backend might process the test as a real event.
    """
    if settings.events_url:
        yield _signed(len(settings.events_secret_list))
        yield _reached(settings.events_url)
    elif settings.events_secret_list:
        yield warn("events", "EVENTS_SECRETS is set and EVENTS_URL is not", "set or unset both")
    else:
        yield ok("events", "EVENTS_URL is not set: no backend is told")
    yield from _dead(settings)


def _signed(secrets: int) -> Finding:
    if secrets == 1:
        return ok("EVENTS_SECRETS", "one secret signs events")
    what = f"{secrets} secrets sign events"
    return warn("EVENTS_SECRETS", what, "unset the old one, once the backend has the new one")


def _reached(url: str) -> Finding:
    if asyncio.run(ask(Question("HEAD", url))) is None:
        fix = "see that this machine can reach it, and that its certificate is right"
        return fail("EVENTS_URL", "does not answer", fix)
    return ok("EVENTS_URL", "answers; whether it takes events was not tried")


def _dead(settings: Settings) -> Iterator[Finding]:
    try:
        count = with_dead_events(settings, lambda dead: dead.count())
    except (StoreUnavailable, ValueError):
        return  # `database` reports this failure already
    if count:
        what = f"{count} were never taken"
        yield warn("dead events", what, "python -m otp_app events tells why, events retry revives")
    else:
        yield ok("dead events", "none")

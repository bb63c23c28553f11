"""`python -m otp_app why`: prints the history of one number and the limits that apply to it now.

The output has no code, no provider's id and no browser, and only the last digits of the number.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otp_app.cli import NO_DATABASE, NO_SECRET, existing_database, find_encryption, rate, say
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.config.values import NO_DECRYPTION_KEY
from otp_app.errors import PhoneDecryptionFailed, StoreUnavailable
from otp_app.identity.keyring import Purpose, find_keyring
from otp_app.providers.error_tables import ErrorFactory
from otp_app.providers.twilio.client import START
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.store import SqlStore
from otp_app.verification.channels import channels_for
from otp_app.verification.client import Client
from otp_app.verification.limits import UNCONFIRMED, Action, Limit, LimitUse, Scope, limit_uses
from otp_app.verification.models import Channel, Flow, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import AuditEntry, CallResult
    from otp_app.verification.models import Verification
    from otp_app.verification.ports import LimitUsage

CHANNEL_NAMES = {Channel.SMS: "text message", Channel.VOICE: "call", Channel.WHATSAPP: "WhatsApp"}
_BECAME = {
    Status.SENDING: "on its way to the provider",
    Status.UNKNOWN: "perhaps sent: the provider did not respond",
    Status.PENDING: "sent, code not yet entered",
    Status.APPROVED: "verified",
    Status.EXHAUSTED: "ended by wrong codes",
    Status.EXPIRED: "expired",
    Status.CANCELED: "canceled, or replaced by another verification",
    Status.REFUSED: "not sent: the provider refused or failed",
}


def verification_lines(past: Sequence[Verification], most: int, now: datetime) -> Iterator[str]:
    """Yield a heading and a line for each verification in *past*, which holds at most *most*."""
    yield f"Verifications, the newest first, at most {most}"
    yield from (f"  {_line(verification, now)}" for verification in past)
    if not past:
        yield "  none"


def provider_call_lines(questions: Sequence[AuditEntry], most: int) -> Iterator[str]:
    """Yield a heading and a line for each audit entry in *questions*, at most *most*."""
    yield f"Calls to providers, the newest first, at most {most}"
    yield from (f"  {_question(question)}" for question in questions)
    if not questions:
        yield "  nothing"


def _question(entry: AuditEntry) -> str:
    what = f"{entry.action} ({entry.channel}) to {entry.provider}"
    return f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {what}: {_answer(entry.result, entry.provider)}"


def _answer(answer: CallResult | None, provider: str) -> str:
    if answer is None:
        return "no response yet"
    took = "" if answer.duration_ms is None else f"in {answer.duration_ms} ms"
    parts = (answer.outcome, answer.detail, took, *_about(provider, answer.detail))
    return ", ".join(part for part in parts if part)


def _about(provider: str, detail: str) -> Iterator[str]:
    """Yield the fix for the Twilio error code at the end of *detail*, and the code's web page."""
    code = detail.rpartition(" ")[2]
    if provider == "twilio" and code.isdecimal() and int(code) >= 1000:  # less is an HTTP status
        row = START.rows.get(int(code))
        yield row.mend if isinstance(row, ErrorFactory) else ""
        yield f"https://www.twilio.com/docs/api/errors/{code}"


def _line(verification: Verification, now: datetime) -> str:
    way = f"{CHANNEL_NAMES[verification.channel]} by {verification.provider}"
    parts = (
        _BECAME[verification.status_at(now)],
        _counted(0 if verification.status is Status.REFUSED else verification.sends, "message"),
        f"{_counted(verification.attempts_left, 'guess', 'guesses')} left",
        *_until(verification, now),
    )
    return f"{verification.sent_at:%Y-%m-%d %H:%M:%S} UTC  {way}: {', '.join(parts)}"


def _until(verification: Verification, now: datetime) -> Iterator[str]:
    end = f"{verification.expires_at:%H:%M:%S} UTC"
    if verification.is_open(now):
        yield f"good until {end}"
    elif verification.is_locked(now):
        yield f"the browser gets no new code until {end}"


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


MOST = 20  # verifications
_BY_NUMBER = {Scope.NUMBER, Scope.UNPROVED_CLIENTS, Scope.CONSECUTIVE_FAILURES, Scope.PREFIX} | {
    Scope.COUNTRY,
    Scope.COUNTRY_CONFIRMED,
    Scope.GLOBAL,
    *UNCONFIRMED,
}
_NOBODY = Client(Flow(""), "")


@dataclass(frozen=True)
class NumberHistory:
    """The rows about a number in the database: verifications, audit entries and limits."""

    past: Sequence[Verification]
    questions: Sequence[AuditEntry]
    usages: Sequence[LimitUsage]


def run(phone: PhoneNumber) -> int:
    """Print all that is known about *phone*. Return the exit code.

    The exit code is 1 if the settings, the secret, a key or the database cannot be used, else 0.
    """
    try:
        settings = load_settings()
        found = asyncio.run(_look(settings, phone, now := datetime.now(UTC)))
    except SettingsError as exc:
        return say(str(exc), code=1)
    except PhoneDecryptionFailed:
        return say(NO_DECRYPTION_KEY, code=1)
    except (StoreUnavailable, ValueError):
        return say(NO_DATABASE, code=1)
    if found is None:
        return say(*_reach(settings, phone), NO_SECRET, code=1)
    parts = (
        _reach(settings, phone),
        verification_lines(found.past, MOST, now),
        provider_call_lines(found.questions, MOST),
        _limits(found.usages),
    )
    return say(*(line for part in parts for line in part), code=0)


async def _look(settings: Settings, phone: PhoneNumber, now: datetime) -> NumberHistory | None:
    """Return the rows about *phone*, or None if the secret that they are found by is missing."""
    async with existing_database(settings) as engine:
        keyring, numbers = find_keyring(settings), find_encryption(settings)
        if not (keyring and numbers):
            return None
        store = SqlStore(engine, numbers)
        limiter = SqlLimiter(engine, keyring.subkey(Purpose.LIMIT))
        return NumberHistory(
            await store.of_number(phone, MOST),
            await store.audit_store.of_number(phone, MOST),
            await limiter.usages(_uses(settings.limits, phone), now),
        )


def _uses(limits: Sequence[Limit], phone: PhoneNumber) -> list[LimitUse]:
    """Return the uses of *limits* by *phone* that do not depend on a browser or an address."""
    both = [s for action in Action for s in limit_uses(limits, action, _NOBODY, phone)]
    return [s for s in both if s.limit.scope in _BY_NUMBER]


def _reach(settings: Settings, phone: PhoneNumber) -> Iterator[str]:
    is_served = not settings.countries or phone.region in settings.countries
    served = "is served" if is_served else "is not in ALLOWED_COUNTRIES"
    yield f"The number ending {phone.ending}"
    yield f"  country   {phone.region} {served}"
    ways = channels_for(phone, settings.channel_list)
    yield f"  kind      {phone.kind}: {_channel_list(ways)}"


def _channel_list(ways: Sequence[Channel]) -> str:
    """Return the text for the channels in *ways*, those of CHANNELS that reach the number."""
    return (
        f"reached by {', '.join(CHANNEL_NAMES[way] for way in ways)}" if ways else "gets no codes"
    )


def _limits(standings: Sequence[LimitUsage]) -> Iterator[str]:
    yield "Limits, except those of browsers and addresses"
    yield from map(_limit, sorted(standings, key=lambda found: found.until is None))


def _limit(standing: LimitUsage) -> str:
    limit, until = standing.limit, standing.until
    mark = "full" if until else "room"
    room = f", room from {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
    return f"  {mark}  {limit.name:<34}{standing.used} of {rate(limit)}{room}"

"""Lines for the terminal about a number's verifications and the requests to providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app.providers.refusals import Row
from otp_app.providers.twilio_refusals import START
from otp_app.verification.models import OPEN, Channel, Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from otp_app.verification.audit import Answer, Entry
    from otp_app.verification.models import Verification

NAMES = {Channel.SMS: "text message", Channel.VOICE: "call", Channel.WHATSAPP: "WhatsApp"}
_BECAME = {
    Status.SENDING: "on its way to the provider",
    Status.UNKNOWN: "perhaps sent, the provider did not answer",
    Status.PENDING: "sent, waits for its code",
    Status.APPROVED: "verified",
    Status.EXHAUSTED: "ended by wrong codes",
    Status.EXPIRED: "ran out of time",
    Status.CANCELED: "given up, or another number took its place",
    Status.REFUSED: "not sent, the provider refused or failed",
}


def told(past: Sequence[Verification], most: int, now: datetime) -> Iterator[str]:
    """Yield a heading and a line for each verification in *past*, which holds at most *most*."""
    yield f"Verifications, the newest first, at most {most}"
    yield from (f"  {_line(verification, now)}" for verification in past)
    if not past:
        yield "  none"


def asked(questions: Sequence[Entry], most: int) -> Iterator[str]:
    """Yield a heading and a line for each audit entry in *questions*, at most *most*."""
    yield f"What providers were asked about it, the newest first, at most {most}"
    yield from (f"  {_question(question)}" for question in questions)
    if not questions:
        yield "  nothing"


def _question(entry: Entry) -> str:
    what = f"{entry.action} ({entry.channel}) to {entry.provider}"
    return f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {what}: {_answer(entry.answer, entry.provider)}"


def _answer(answer: Answer | None, provider: str) -> str:
    if answer is None:
        return "no answer yet"
    took = "" if answer.duration_ms is None else f"in {answer.duration_ms} ms"
    parts = (answer.outcome, answer.detail, took, *_about(provider, answer.detail))
    return ", ".join(part for part in parts if part)


def _about(provider: str, detail: str) -> Iterator[str]:
    """Yield the fix for the Twilio error code at the end of *detail*, and the code's web page."""
    code = detail.rpartition(" ")[2]
    if provider == "twilio" and code.isdecimal() and int(code) >= 1000:  # less is an HTTP status
        row = START.rows.get(int(code))
        yield row.mend if isinstance(row, Row) else ""
        yield f"https://www.twilio.com/docs/api/errors/{code}"


def _line(verification: Verification, now: datetime) -> str:
    way = f"{NAMES[verification.channel]} by {verification.provider}"
    parts = (
        _became(verification, now),
        _counted(0 if verification.status is Status.REFUSED else verification.sends, "message"),
        f"{_counted(verification.attempts_left, 'guess', 'guesses')} left",
        *_until(verification, now),
    )
    return f"{verification.sent_at:%Y-%m-%d %H:%M:%S} UTC  {way}: {', '.join(parts)}"


def _became(verification: Verification, now: datetime) -> str:
    """Return the text for the status, as of *now*.

    The database marks a verification as expired only later, so the time is compared here.
    """
    is_over = verification.status in OPEN and not verification.is_open(now)
    return _BECAME[Status.EXPIRED if is_over else verification.status]


def _until(verification: Verification, now: datetime) -> Iterator[str]:
    end = f"{verification.expires_at:%H:%M:%S} UTC"
    if verification.is_open(now):
        yield f"good until {end}"
    elif verification.is_locked(now):
        yield f"its browser gets no new code until {end}"


def _counted(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"

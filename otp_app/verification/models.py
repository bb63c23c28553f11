"""A verification, the numbers it lives under, and what may become of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from otp_app.phone import PhoneNumber

Flow = NewType("Flow", str)
"""Names one browser's journey. It comes from the flow cookie and stays on the server."""

Reference = NewType("Reference", str)
"""The provider's own id of a verification. It never leaves the server."""


class Channel(StrEnum):
    """How a code travels."""

    SMS = "sms"
    VOICE = "voice"
    WHATSAPP = "whatsapp"


class Status(StrEnum):
    """Where a verification stands."""

    SENDING = "sending"  # recorded, the provider is being asked
    UNKNOWN = "unknown"  # a message may have been sent, no reference came back
    PENDING = "pending"  # sent: a code can be checked
    APPROVED = "approved"
    EXHAUSTED = "exhausted"  # ended by wrong codes
    EXPIRED = "expired"
    CANCELED = "canceled"  # another number took its place, or the person gave up
    REFUSED = "refused"  # nothing was sent


OPEN = frozenset({Status.SENDING, Status.UNKNOWN, Status.PENDING})
"""A flow has at most one verification in these."""


class CheckOutcome(StrEnum):
    """A provider's answer to one code."""

    APPROVED = "approved"
    MISMATCH = "mismatch"
    EXHAUSTED = "exhausted"  # too many wrong codes, says the provider
    EXPIRED = "expired"  # gone: expired, used or never there


JOINED_ATTEMPTS = 2
"""Guesses of a browser that asks for a code while another browser waits for one to the same number.
Twilio gives both the same code, and five guesses in all. Two guesses forgive one typing mistake and
leave three to the first browser: wrong codes of one person use up no guess of another person."""


@dataclass(frozen=True)
class Policy:
    """The numbers every verification lives under."""

    lifetime: timedelta = timedelta(minutes=10)
    """NIST SP 800-63B-4 section 3.1.3.2 allows at most 10 minutes; Twilio's codes live as long."""

    max_attempts: int = 5
    """Wrong codes, resends included. Twilio Verify allows 5 checks, Vonage Verify 3."""

    cooldowns: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (30, 60, 120, 300))
    """The wait after the first, second, … message: a text takes seconds to arrive, and NIST SP
    800-63B-4 section 3.2.2 asks for waits that grow from 30 seconds. Also how long a `SENDING` that
    a dying server left behind is taken for one on its way."""

    max_sends: int = 4
    """Messages of one verification, the first included. Twilio Verify refuses the sixth."""

    remembered: timedelta = timedelta(minutes=30)
    """How long after its expiry a browser is still told what became of a verification."""

    def cooldown(self, sends: int) -> timedelta:
        """How long to wait after the message number *sends*."""
        return self.cooldowns[min(sends, len(self.cooldowns)) - 1]


@dataclass(frozen=True)
class Verification:
    """One attempt of one browser to prove one number. Times are aware and in UTC."""

    id: str
    flow: Flow
    phone: PhoneNumber
    provider: str
    channel: Channel
    status: Status
    attempts_left: int
    sends: int
    sent_at: datetime
    resend_at: datetime
    expires_at: datetime
    reference: Reference | None = None
    canceled: bool = False
    """Whether the provider has nothing more to send or check for it."""

    cancels: int = 0
    """How often the sweeper has tried to cancel it."""

    def is_open(self, now: datetime) -> bool:
        """Whether it still waits for its code."""
        return self.status in OPEN and now < self.expires_at

    def is_locked(self, now: datetime) -> bool:
        """Whether wrong codes ended it and its time is not over: no new code until then."""
        return self.status is Status.EXHAUSTED and now < self.expires_at


@dataclass(frozen=True)
class Running:
    """A verification that a provider runs for a number, seen by a new flow for the same number.

    Attributes:
        room: guesses that a new flow can get.
        kept: guesses that other flows keep.
    """

    verification: Verification
    room: int
    kept: int


@dataclass(frozen=True)
class Send:
    """A message to be sent: which one of the verification, how, and when the next may follow."""

    number: int
    channel: Channel
    at: datetime
    next_at: datetime
    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))

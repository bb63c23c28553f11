"""The verification: its states, its channels and the policy that bounds it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from otp_app.phone import PhoneNumber

Flow = NewType("Flow", str)
"""Id of one browser's visit, from the flow cookie. The value is a secret of that browser."""

Reference = NewType("Reference", str)
"""The provider's id of a verification. A reference never leaves the server."""


class Channel(StrEnum):
    """The means by which a code is delivered."""

    SMS = "sms"
    VOICE = "voice"
    WHATSAPP = "whatsapp"


class Status(StrEnum):
    """The state of a verification."""

    SENDING = "sending"  # recorded; the call to the provider is under way
    UNKNOWN = "unknown"  # a message may have been sent, but no reference was received
    PENDING = "pending"  # a message was sent; a code can be checked
    APPROVED = "approved"  # the right code was entered
    EXHAUSTED = "exhausted"  # ended by too many wrong codes
    EXPIRED = "expired"
    CANCELED = "canceled"  # replaced by another number, or canceled by the person
    REFUSED = "refused"  # no message was sent


OPEN = frozenset({Status.SENDING, Status.UNKNOWN, Status.PENDING})
"""States of a verification that has not ended. A flow has at most one such verification."""


class CheckOutcome(StrEnum):
    """The provider's result for one code."""

    APPROVED = "approved"
    MISMATCH = "mismatch"
    EXHAUSTED = "exhausted"  # the provider has counted too many wrong codes
    EXPIRED = "expired"  # the provider has no such verification: expired, used or never started


class SecondStart(StrEnum):
    """The effect of a start for a number that the provider is already verifying."""

    OWN_CODE = "own_code"  # another verification, with a code of its own
    REFUSED = "refused"  # `NumberBusy`
    SAME_CODE = "same_code"  # the running one: one reference, one code and one count of guesses


JOINED_ATTEMPTS = 2
"""Guesses of a browser that requests a code while another browser waits for one to the same number.
Twilio gives both the same code, and five guesses together. Two guesses allow one typing mistake and
leave three to the first browser. The wrong codes of one person never use up guesses of the other.
"""


@dataclass(frozen=True)
class Policy:
    """The bounds of every verification."""

    lifetime: timedelta = timedelta(minutes=10)
    """Time from the first message until the verification expires. NIST SP 800-63B-4 section
    3.1.3.2 allows at most 10 minutes; Twilio's codes are valid for 10 minutes."""

    max_attempts: int = 5
    """Guesses of one verification. A resend adds none. Twilio Verify allows 5, Vonage Verify 3."""

    cooldowns: tuple[timedelta, ...] = tuple(timedelta(seconds=s) for s in (30, 60, 120, 300))
    """Waits after the first, second, … message; the last one repeats. A text message takes seconds
    to arrive, and NIST SP 800-63B-4 section 3.2.2 suggests waits that grow from 30 seconds. After
    the same wait, a `SENDING` left behind by a crashed server no longer blocks a resend."""

    max_sends: int = 4
    """Messages of one verification, including the first. Twilio Verify refuses the sixth."""

    remembered: timedelta = timedelta(minutes=30)
    """Time after its expiry for which the browser is still shown the result of a verification."""

    def cooldown(self, sends: int) -> timedelta:
        """Return the wait after message number *sends*, counted from 1."""
        return self.cooldowns[min(sends, len(self.cooldowns)) - 1]


@dataclass(frozen=True)
class Verification:
    """One attempt of one browser to prove that its user holds one number.

    Attributes:
        id: the public id, random and safe in a URL.
        flow: the browser's flow; in a verification read without it, the stored hash of the flow.
        provider: the name of the provider that started the verification.
        channel: the channel of the last message.
        attempts_left: guesses that remain.
        sends: messages so far, including one under way.
        sent_at: time of the last message; all times are aware, in UTC.
        resend_at: earliest time of the next message.
        reference: the provider's id; None until a message is confirmed.
    """

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
    """True once the provider has nothing more to send or check under `reference`."""

    cancels: int = 0
    """Number of times that the sweeper has tried to cancel at the provider."""

    def status_at(self, now: datetime) -> Status:
        """Return the status at the time *now*.

        The store marks an open verification as expired some seconds after `expires_at`.
        """
        is_over = self.status in OPEN and now >= self.expires_at
        return Status.EXPIRED if is_over else self.status

    def is_open(self, now: datetime) -> bool:
        """Return whether the verification has neither ended nor expired."""
        return self.status_at(now) in OPEN

    def is_locked(self, now: datetime) -> bool:
        """Return whether too many wrong codes block a new code until `expires_at`."""
        return self.status is Status.EXHAUSTED and now < self.expires_at


@dataclass(frozen=True)
class Running:
    """A verification that a provider still runs, as a new flow for the same number would share it.

    Attributes:
        room: guesses that the new flow can get; 0 or less if there are none.
        kept: guesses that are reserved for other open flows.
    """

    verification: Verification
    room: int
    kept: int


def new_id() -> str:
    """Return the id of a message: 128 random bits, safe in a URL."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True)
class Send:
    """One message of a verification.

    Attributes:
        number: position among the messages of the verification, from 1.
        at: time at which the message is counted.
        next_at: earliest time of the next message.
        id: the id in the audit; for the first message, also the id of the verification.
    """

    number: int
    channel: Channel
    at: datetime
    next_at: datetime
    id: str = field(default_factory=new_id)

"""Fakes that work: the outside of the domain, small enough to see through."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from otp_app.verification.events import Receipt, Verdict
from otp_app.verification.looking import Insight
from otp_app.verification.models import Channel, CheckOutcome, Reference

if TYPE_CHECKING:
    from otp_app.phone import PhoneNumber
    from otp_app.verification.events import Event

RIGHT, WRONG = "123456", "000000"


@dataclass
class FakeProvider:
    """Sends nothing, remembers what it was asked, and fails when told to."""

    name: str = "fake"
    code_length: int = 6
    max_attempts: int = 5
    sent: list[tuple[PhoneNumber, Channel]] = field(default_factory=list)
    checked: list[Reference] = field(default_factory=list)
    canceled: list[Reference] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """What the next calls raise, in turn."""
    answers: list[CheckOutcome] = field(default_factory=list)
    """What the next checks say, whatever the code."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def open(self) -> None:
        """Nothing to make ready."""

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def start(self, to: PhoneNumber, channel: Channel) -> Reference:
        """Pretend to send a code."""
        self._fail_if_told()
        self.sent.append((to, channel))
        return Reference(f"reference-{next(self._numbers)}")

    async def resend(self, reference: Reference, to: PhoneNumber, channel: Channel) -> Reference:
        """Pretend to send it again, under the same reference."""
        self._fail_if_told()
        self.sent.append((to, channel))
        return reference

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """`RIGHT` is right, for any number."""
        del to
        self.checked.append(reference)
        self._fail_if_told()
        if self.answers:
            return self.answers.pop(0)
        return CheckOutcome.APPROVED if code == RIGHT else CheckOutcome.MISMATCH

    async def cancel(self, reference: Reference) -> None:
        """Remember that it was canceled."""
        self._fail_if_told()
        self.canceled.append(reference)

    def _fail_if_told(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


@dataclass
class FakeLook:
    """Knows of every number what it is told to know."""

    name: str = "fake"
    insight: Insight = field(default_factory=Insight)
    looked_at: list[PhoneNumber] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """What the next looks raise, in turn."""

    async def open(self) -> None:
        """Nothing to make ready."""

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def look(self, phone: PhoneNumber) -> Insight:
        """Remember who was looked at."""
        self.looked_at.append(phone)
        if self.failures:
            raise self.failures.pop(0)
        return self.insight


@dataclass
class FakeReceiver:
    """Takes events, unless it is told to say something else."""

    told: list[Event] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    """What it says next, in turn."""

    async def receive(self, event: Event) -> Receipt:
        """Remember *event*."""
        self.told.append(event)
        return self.receipts.pop(0) if self.receipts else Receipt(Verdict.TAKEN)

"""Fakes that work: the outside of the domain, small enough to see through."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from otp_app.errors import NumberBusy, ProviderNotReached, ProviderTimedOut
from otp_app.verification.budget import Call
from otp_app.verification.events import Receipt, Verdict
from otp_app.verification.limits import Action, Client
from otp_app.verification.looking import Insight
from otp_app.verification.models import Channel, CheckOutcome, Reference
from tests.emulator.clock import Clock

if TYPE_CHECKING:
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.events import Event

RIGHT, WRONG = "123456", "000000"
LIFETIME = timedelta(minutes=10)


@dataclass
class FakeProvider:
    """Sends nothing, remembers what it was asked, and fails when told to."""

    name: str = "fake"
    code_length: int = 6
    max_attempts: int = 5
    one_request_per_number: bool = False
    shares_codes: bool = False
    sent: list[tuple[PhoneNumber, Channel]] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    """Of what was sent, by turns."""
    checked: list[Reference] = field(default_factory=list)
    canceled: list[Reference] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """What the next calls raise, in turn."""
    answers: list[CheckOutcome] = field(default_factory=list)
    """What the next checks say, whatever the code."""
    calls: list[Call] = field(default_factory=list)
    """Every call that reached it, whatever it answered."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def open(self) -> None:
        """Nothing to make ready."""

    async def aclose(self) -> None:
        """Nothing to give back."""

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Pretend to send a code."""
        self._receive(Call.SEND)
        self.sent.append((to, channel))
        self.languages.append(language)
        return Reference(f"reference-{next(self._numbers)}")

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Pretend to send it again, under the same reference."""
        self._receive(Call.SEND)
        self.sent.append((to, channel))
        self.languages.append(language)
        return reference

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """`RIGHT` is right, for any number."""
        del to
        self.checked.append(reference)
        self._receive(Call.CHECK)
        if self.answers:
            return self.answers.pop(0)
        return CheckOutcome.APPROVED if code == RIGHT else CheckOutcome.MISMATCH

    async def cancel(self, reference: Reference) -> None:
        """Remember that it was canceled."""
        self._receive(Call.CANCEL)
        self.canceled.append(reference)

    def _receive(self, call: Call) -> None:
        """Take a call, and raise the next failure."""
        failure = self.failures.pop(0) if self.failures else None
        if not isinstance(failure, ProviderNotReached):
            self._note_call(call)
        if failure:
            raise failure

    def _note_call(self, call: Call) -> None:
        self.calls.append(call)


@dataclass
class SharingProvider(FakeProvider):
    """A provider like Twilio: all flows of a number get one reference, one code and five guesses.

    A sixth guess ends the verification, and the number gets no other one.
    """

    shares_codes: bool = True
    pending: dict[str, Reference] = field(default_factory=dict)
    guesses: Counter[Reference] = field(default_factory=Counter)
    held_back: set[str] = field(default_factory=set)

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send the code of the pending verification again, else a new one."""
        if to.e164 in self.held_back:
            raise NumberBusy
        reference = await super().start(to, channel, language)
        return self.pending.setdefault(to.e164, reference)

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Do the same as a start."""
        del reference
        return await self.start(to, channel, language)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Count the guess first."""
        if self.pending.get(to.e164) != reference:
            return CheckOutcome.EXPIRED
        self.guesses[reference] += 1
        if self.guesses[reference] > self.max_attempts:
            self.held_back.add(to.e164)
            return CheckOutcome.EXHAUSTED
        outcome = await super().check(reference, to, code)
        if outcome is CheckOutcome.APPROVED:
            del self.pending[to.e164]
        return outcome

    async def cancel(self, reference: Reference) -> None:
        """Forget it, and what is no longer there as well."""
        await super().cancel(reference)
        self.pending = {to: one for to, one in self.pending.items() if one != reference}


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


class Asked(NamedTuple):
    """One thing that was asked of the oracle, and was done."""

    action: Action
    at: datetime
    by: Client
    to: PhoneNumber
    reference: Reference
    is_yes: bool = False


class Called(NamedTuple):
    """One call that reached the oracle, whatever it answered."""

    call: Call
    at: datetime
    by: Client | None
    """The person who acted; None for the sweeper."""


@dataclass
class Oracle(FakeProvider):
    """A provider with codes that forgives everything and remembers all; our limits have to do.

    Its codes live for ever and work any number of times. Its looks at numbers find nothing.
    """

    clock: Clock = field(default_factory=Clock)
    by: Client | None = None
    """The person who acts now; None while the sweeper does."""
    log: list[Asked] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    codes: dict[Reference, str] = field(default_factory=dict)
    running: dict[str, Reference] = field(default_factory=dict)
    loses_answers: bool = False
    """Whether the next answer is lost, after all was done."""
    is_busy: bool = False
    """Whether a number that has a running verification gets no other."""

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send a code, in a new verification."""
        running = self.running.get(to.e164)
        if self.is_busy and running:
            self.failures.insert(0, NumberBusy(running))
        reference = await super().start(to, channel, language)
        self.running[to.e164] = reference
        return self._send(reference, to)

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a new code, in the same one."""
        return self._send(await super().resend(reference, to, channel, language), to)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """The right code is the reference's last."""
        self._receive(Call.CHECK)
        is_yes = self.codes.get(reference) == code
        self._note(Action.CHECK, reference, to, is_yes=is_yes)
        self._lose_answer_if_told()
        return CheckOutcome.APPROVED if is_yes else CheckOutcome.MISMATCH

    async def cancel(self, reference: Reference) -> None:
        """Forget that it runs."""
        await super().cancel(reference)
        self.running = {to: one for to, one in self.running.items() if one != reference}

    async def look(self, phone: PhoneNumber) -> Insight:
        """Know nothing of *phone*."""
        del phone
        self._note_call(Call.LOOK)
        return Insight()

    def _note_call(self, call: Call) -> None:
        super()._note_call(call)
        self.called.append(Called(call, self.clock.now(), self.by))

    def _send(self, reference: Reference, to: PhoneNumber) -> Reference:
        self.codes[reference] = f"{100_000 + 7 * len(self.log):06}"
        self._note(Action.SEND, reference, to)
        self._lose_answer_if_told()
        return reference

    def _note(
        self, action: Action, reference: Reference, to: PhoneNumber, *, is_yes: bool = False
    ) -> None:
        assert self.by is not None
        answered = is_yes and not self.loses_answers
        self.log.append(Asked(action, self.clock.now(), self.by, to, reference, answered))

    def _lose_answer_if_told(self) -> None:
        if self.loses_answers:
            self.loses_answers = False
            raise ProviderTimedOut


@dataclass
class SharingOracle(Oracle):
    """An oracle that can be like Twilio, as `SharingProvider`, and then allows five guesses."""

    over: set[Reference] = field(default_factory=set)
    """References that were approved or canceled."""

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send the code of a pending verification once more, if codes are shared."""
        pending = self.running.get(to.e164)
        if not self.shares_codes or pending is None or not self._lives(pending):
            return await super().start(to, channel, language)
        return await self.resend(pending, to, channel, language)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Report a reference that is gone or used up, as Twilio does."""
        before, is_gone = len(self.log), self.shares_codes and not self._lives(reference)
        is_used_up = self.shares_codes and self.guesses(reference) >= self.max_attempts
        if is_gone or is_used_up:
            code = ""
        try:
            outcome = await super().check(reference, to, code)
        finally:
            if len(self.log) > before and self.codes[reference] == code:
                self.over.add(reference)
        if is_gone:
            return CheckOutcome.EXPIRED
        return CheckOutcome.EXHAUSTED if is_used_up else outcome

    async def cancel(self, reference: Reference) -> None:
        """Take no more guesses either."""
        await super().cancel(reference)
        self.over.add(reference)

    def guesses(self, reference: Reference) -> int:
        """The number of guesses at *reference*."""
        asked = [one.action for one in self.log if one.reference == reference]
        return asked.count(Action.CHECK)

    def _lives(self, reference: Reference) -> bool:
        began = next(one.at for one in self.log if one.reference == reference)
        return reference not in self.over and self.clock.now() < began + LIFETIME

    def _send(self, reference: Reference, to: PhoneNumber) -> Reference:
        code = self.codes.get(reference)
        try:
            return super()._send(reference, to)
        finally:
            if self.shares_codes and code:
                self.codes[reference] = code


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

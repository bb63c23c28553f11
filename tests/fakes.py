"""Working fakes of the domain's ports: providers, a number lookup and a webhook receiver."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from otp_app.errors import NumberBusy, ProviderNotReached, ProviderTimedOut
from otp_app.verification.allowances import Call
from otp_app.verification.limits import Action
from otp_app.verification.models import Channel, CheckOutcome, Reference, SecondStart
from otp_app.verification.outbox import WebhookOutcome, WebhookResult
from otp_app.verification.risk import NumberInsight
from tests.emulator.clock import Clock

if TYPE_CHECKING:
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.client import Client
    from otp_app.verification.outbox import WebhookEvent

RIGHT, WRONG = "123456", "000000"
LIFETIME = timedelta(minutes=10)


@dataclass
class FakeProvider:
    """A provider that sends nothing, records its calls and raises the errors in `failures`."""

    name: str = "fake"
    code_length: int = 6
    max_attempts: int = 5
    second_start: SecondStart = SecondStart.OWN_CODE
    sent: list[tuple[PhoneNumber, Channel]] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    """The languages of the messages in `sent`, in the same order."""
    checked: list[Reference] = field(default_factory=list)
    canceled: list[Reference] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """The errors that the next calls raise, first to last."""
    answers: list[CheckOutcome] = field(default_factory=list)
    """The results of the next checks, for any code."""
    calls: list[Call] = field(default_factory=list)
    """Every call that reached the provider, failed ones included."""
    _numbers: count[int] = field(default_factory=lambda: count(1))

    async def open(self) -> None:
        """Do nothing: a fake has no connections to open."""

    async def aclose(self) -> None:
        """Do nothing: a fake has no connections to close."""

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Record a message, and return a new reference."""
        self._receive(Call.SEND)
        self.sent.append((to, channel))
        self.languages.append(language)
        return Reference(f"reference-{next(self._numbers)}")

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Record another message with the same reference."""
        self._receive(Call.SEND)
        self.sent.append((to, channel))
        self.languages.append(language)
        return reference

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Accept the code `RIGHT` for any number."""
        del to
        self.checked.append(reference)
        self._receive(Call.CHECK)
        if self.answers:
            return self.answers.pop(0)
        return CheckOutcome.APPROVED if code == RIGHT else CheckOutcome.MISMATCH

    async def cancel(self, reference: Reference) -> None:
        """Record that *reference* was canceled."""
        self._receive(Call.CANCEL)
        self.canceled.append(reference)

    def _receive(self, call: Call) -> None:
        """Record *call*, and raise the next failure if there is one."""
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

    A sixth guess ends the verification, and the number gets no new verification.
    """

    second_start: SecondStart = SecondStart.SAME_CODE
    pending: dict[str, Reference] = field(default_factory=dict)
    guesses: Counter[Reference] = field(default_factory=Counter)
    held_back: set[str] = field(default_factory=set)

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send the code of the pending verification again, or a new code if there is none."""
        if to.e164 in self.held_back:
            raise NumberBusy
        reference = await super().start(to, channel, language)
        return self.pending.setdefault(to.e164, reference)

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Start, because Twilio has no separate call to resend."""
        del reference
        return await self.start(to, channel, language)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Count the guess, then check it."""
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
        """Remove *reference*. An unknown reference is no error."""
        await super().cancel(reference)
        self.pending = {to: one for to, one in self.pending.items() if one != reference}


@dataclass
class FakeLook:
    """A number lookup that returns `insight` for every number."""

    name: str = "fake"
    insight: NumberInsight = field(default_factory=NumberInsight)
    looked_at: list[PhoneNumber] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    """The errors that the next lookups raise, first to last."""

    async def open(self) -> None:
        """Do nothing: a fake has no connections to open."""

    async def aclose(self) -> None:
        """Do nothing: a fake has no connections to close."""

    async def lookup(self, phone: PhoneNumber) -> NumberInsight:
        """Record *phone*, and return `insight` or raise the next failure."""
        self.looked_at.append(phone)
        if self.failures:
            raise self.failures.pop(0)
        return self.insight


class Asked(NamedTuple):
    """One request that the oracle carried out."""

    action: Action
    at: datetime
    by: Client
    to: PhoneNumber
    reference: Reference
    is_yes: bool = False


class Called(NamedTuple):
    """One call that reached the oracle, failed ones included."""

    call: Call
    at: datetime
    by: Client | None
    """The client of the person who acted; None for the sweeper."""


@dataclass
class Oracle(FakeProvider):
    """A provider without limits and with a complete log, so that only our own limits protect.

    Codes never expire and work any number of times. Number lookups find nothing.
    """

    clock: Clock = field(default_factory=Clock)
    by: Client | None = None
    """The client of the person who acts now; None while the sweeper acts."""
    log: list[Asked] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    codes: dict[Reference, str] = field(default_factory=dict)
    running: dict[str, Reference] = field(default_factory=dict)
    loses_answers: bool = False
    """If True, the next response is lost after the request was carried out."""
    is_busy: bool = False
    """If True, a number with a pending verification is refused a second one."""

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send a code in a new verification."""
        running = self.running.get(to.e164)
        if self.is_busy and running:
            self.failures.insert(0, NumberBusy(running))
        reference = await super().start(to, channel, language)
        self.running[to.e164] = reference
        return self._send(reference, to)

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a new code in the verification of *reference*."""
        return self._send(await super().resend(reference, to, channel, language), to)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Accept the newest code of *reference*."""
        self._receive(Call.CHECK)
        is_yes = self.codes.get(reference) == code
        self._note(Action.CHECK, reference, to, is_yes=is_yes)
        self._lose_answer_if_told()
        return CheckOutcome.APPROVED if is_yes else CheckOutcome.MISMATCH

    async def cancel(self, reference: Reference) -> None:
        """Remove *reference* from the pending verifications."""
        await super().cancel(reference)
        self.running = {to: one for to, one in self.running.items() if one != reference}

    async def lookup(self, phone: PhoneNumber) -> NumberInsight:
        """Return no risk signals."""
        del phone
        self._note_call(Call.NUMBER_LOOKUP)
        return NumberInsight()

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
    """An oracle that can share codes like `SharingProvider`, and then allows five guesses."""

    over: set[Reference] = field(default_factory=set)
    """References that were approved or canceled."""

    @property
    def shares_codes(self) -> bool:
        """True if all flows of a number get one code at present."""
        return self.second_start is SecondStart.SAME_CODE

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send the code of a pending verification again if codes are shared."""
        pending = self.running.get(to.e164)
        if not self.shares_codes or pending is None or not self._lives(pending):
            return await super().start(to, channel, language)
        return await self.resend(pending, to, channel, language)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Return Twilio's results for a reference that has ended or has no guess left."""
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
        """End *reference*: no more guesses are accepted."""
        await super().cancel(reference)
        self.over.add(reference)

    def guesses(self, reference: Reference) -> int:
        """Return the number of guesses at *reference*."""
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
    """A receiver that accepts every event, unless `receipts` has another result."""

    told: list[WebhookEvent] = field(default_factory=list)
    receipts: list[WebhookResult] = field(default_factory=list)
    """The results of the next deliveries, first to last."""

    async def post(self, event: WebhookEvent) -> WebhookResult:
        """Record *event*, and return the next receipt."""
        self.told.append(event)
        return self.receipts.pop(0) if self.receipts else WebhookResult(WebhookOutcome.ACCEPTED)

"""What the domain asks of the outside: who sends codes, knows numbers, remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Answer
    from otp_app.verification.deliveries import Delivery
    from otp_app.verification.events import Claim, Event, Receipt
    from otp_app.verification.limits import Conversion, Spending
    from otp_app.verification.looking import Insight
    from otp_app.verification.models import (
        Channel,
        CheckOutcome,
        Flow,
        Reference,
        Running,
        Send,
        Status,
        Verification,
    )
    from otp_app.verification.sessions import Session, Token


class Provider(Protocol):
    """Sends one-time codes and checks them.

    Implementations raise only `ProviderError` subclasses and `NumberBusy`, never send twice for one
    call, and answer `start` and `resend` within 5 s, `check` and `cancel` within 4 s. A
    `resend` is at most three requests, any other call is one. An error that may be due to this
    request's number, country, channel or language has `for_everybody` False.
    """

    name: str

    code_length: int
    """Digits of its codes."""

    max_attempts: int
    """Wrong codes it forgives, by its documentation."""

    one_request_per_number: bool
    """Whether it refuses to verify a number that it is verifying already, whoever asks."""

    shares_codes: bool
    """True if all flows that verify one number at the same time get one reference, with one code
    and one count of guesses."""

    async def open(self) -> None:
        """Make ready to work on the running event loop.

        Raises:
            ProviderMisconfigured: the account or service cannot do what this app needs.
        """
        ...

    async def aclose(self) -> None:
        """Give connections and threads back."""
        ...

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send a code, and return the provider's own name for this verification.

        The message is in *language*, a BCP 47 tag, if the provider speaks it, else in its own.

        Raises:
            NumberBusy: it is verifying this number already. Nothing was sent.
            LanguageRefused: it has no message in *language*. Nothing was sent, and the next start
                in it uses the provider's own language.
            ProviderRejected: it will not send to this number or by this channel.
            ProviderUnavailable: certainly nothing was sent.
            ProviderTimedOut: a code may have been sent.
        """
        ...

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a code again, by this channel; the reference may change.

        Raises as `start`, and `ResendTimedOut` where a code may have been sent under a reference
        that is not known, in place of the old one.
        """
        ...

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Ask whether *code* is right. Anything but the provider's exact yes is not `APPROVED`."""
        ...

    async def cancel(self, reference: Reference) -> None:
        """Make its codes useless and stop what it would still send, where the provider can."""
        ...


class NumberLook(Protocol):
    """Tells what a service knows of a number.

    Implementations ask once, raise only `ProviderError` subclasses, and give up when the time they
    were made with is over, however the answer comes.
    """

    name: str

    async def open(self) -> None:
        """Make ready to work on the running event loop.

        Raises:
            ProviderMisconfigured: the credentials cannot be used.
        """
        ...

    async def aclose(self) -> None:
        """Give connections and threads back."""
        ...

    async def look(self, phone: PhoneNumber) -> Insight:
        """Ask what is known of *phone*. It costs money, and whose number it is learns nothing."""
        ...


class Limiter(Protocol):
    """Counts uses of limits, before they are made. All methods raise `StoreUnavailable`."""

    async def spend(self, spendings: Sequence[Spending], now: datetime) -> str:
        """Count all of *spendings*, or none; gives the name to take them back by.

        Raises:
            RateLimited: with the moment from which all have room.
        """
        ...

    async def require(self, spendings: Sequence[Spending], now: datetime) -> None:
        """See that all of *spendings* have room, and count nothing. Raises `RateLimited`."""
        ...

    def recall(self, spendings: Sequence[Spending], now: datetime) -> None:
        """Refuse what is remembered to have no room, without the database. Raises `RateLimited`."""
        ...

    async def has_room(self, spending: Spending, now: datetime) -> bool:
        """True if a limit has room. Counts nothing, and reports nothing to the operator."""
        ...

    async def exhaust(self, spending: Spending, now: datetime) -> bool:
        """Use up all that is left of a limit.

        Returns:
            False if there was nothing left.
        """
        ...

    async def refund(self, batch: str, spendings: Sequence[Spending]) -> None:
        """Give back those of *spendings* that were counted under the name *batch*."""
        ...

    async def forgive(self, spendings: Sequence[Spending]) -> None:
        """Forget what was counted in a row, after a success."""
        ...

    async def prune(self, now: datetime) -> None:
        """Forget what no window reaches back to."""
        ...


class Journal(Protocol):
    """The audit: what providers were asked, and what they answered. Nothing in it ever changes.

    Questions are written by the store, with what counts them. All methods that wait raise
    `StoreUnavailable` when the database does not answer.
    """

    def pseudonym(self, phone: PhoneNumber) -> str:
        """What stands for *phone* in audit and log: hexadecimal digits, made with a secret."""
        ...

    async def answer(self, id_: str, answer: Answer, at: datetime) -> None:
        """Write down the answer to the question *id_*; the first one stays."""
        ...

    async def give_up(self, now: datetime, since: datetime, until: datetime) -> None:
        """Answer `unknown` to what was asked between *since* and *until* and has no answer."""
        ...

    async def countries(
        self, since: datetime, until: datetime, by_source: int
    ) -> Mapping[str, Conversion]:
        """The conversion of the verifications that a provider sent in that time, by region.

        At most *by_source* verifications of one address or API key count. Chance decides which.
        """
        ...

    async def block(self, phone: PhoneNumber, since: datetime, until: datetime) -> Conversion:
        """Likewise, of all numbers in the block of *phone*."""
        ...


class VerificationStore(Protocol):
    """Remembers verifications. Every transition is one conditional statement.

    There is no `save`: a transition that comes too late changes nothing and says so. What counts a
    message or a guess (`reserve`, `record_send`, `take_attempt`) writes it into the journal too, or
    does neither; likewise what ends one, with its event, where events are told. All methods raise
    `StoreUnavailable` when the database does not answer.
    """

    @property
    def journal(self) -> Journal:
        """The audit, in the same database."""
        ...

    async def reserve(self, verification: Verification, source: str = "") -> bool:
        """Record a new verification before its first message; close the flow's open one.

        The journal keeps *source*, the address or API key that asks, as a keyed hash.

        Returns:
            False if the flow has an open verification of the same number, which stays.
        """
        ...

    async def latest(self, flow: Flow) -> Verification | None:
        """The flow's newest verification, whatever its status."""
        ...

    async def locked(self, flow: Flow, phone: PhoneNumber, now: datetime) -> Verification | None:
        """The verification of *phone* that wrong codes ended and whose time is not over."""
        ...

    async def is_verifying(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> bool:
        """Whether *provider* runs an open verification of *phone* for another flow than *flow*.

        It does if it gave the verification a reference. One without may not have been taken.
        """
        ...

    async def record_send(self, verification: Verification, send: Send, source: str = "") -> bool:
        """Count a further message before it is sent, if it is still *verification*'s turn.

        The journal keeps *source* as in `reserve`.

        Returns:
            False if it is not open, or another caller was first.
        """
        ...

    async def settle_send(self, id_: str, send: Send, reference: Reference) -> bool:
        """The message *send* is out under *reference*: the verification is `PENDING`.

        Returns:
            False if it was closed meanwhile. The reference is kept, so that it can be canceled.
        """
        ...

    async def adopt(self, verification: Verification, send: Send, reference: Reference) -> bool:
        """As `settle_send`, for what the provider was running already.

        Returns:
            False if it was not this flow that asked for it: another flow has *reference*, or
            *verification* has neither had it nor lost an earlier answer; or if it is over here.
        """
        ...

    async def fail_send(self, id_: str, send: Send, status: Status) -> bool:
        """The message *send* was not confirmed: an open verification takes *status*."""
        ...

    async def lose_reference(self, id_: str, send: Send) -> bool:
        """The message *send* may be out under a reference that we do not know: `UNKNOWN`."""
        ...

    async def release_send(self, before: Verification, send: Send) -> bool:
        """The message *send* certainly was not sent: all is as *before*, and it may be tried."""
        ...

    async def take_attempt(self, id_: str, flow: Flow, now: datetime) -> Verification | None:
        """Spend one guess, and return the verification with what is left.

        Flows that have one reference share its guesses: the first to have it keeps all but
        `JOINED_ATTEMPTS`, and a flow that came later what it was given then.

        Returns:
            None if *flow* has no such open, sent verification with guesses and time left.
        """
        ...

    async def running(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> Sequence[Running]:
        """The verifications that *provider* runs for *phone*, one for each reference.

        Their room is counted for a new verification of *flow*.
        """
        ...

    async def close_used_up(self, id_: str, now: datetime) -> bool:
        """End an open verification as `EXPIRED` whose reference has no guess left for any flow.

        Returns:
            False if it has used its own guesses up, or another flow keeps some.
        """
        ...

    async def use_up(self, id_: str, reference: Reference) -> bool:
        """End an open verification as `EXPIRED`: its provider takes no more guesses.

        No flow that has *reference* gets a guess after that.
        """
        ...

    async def is_confirmed(self, phone: PhoneNumber) -> bool:
        """Whether somebody has proved to hold *phone*."""
        ...

    async def approve(self, id_: str, now: datetime) -> bool:
        """Mark an open verification approved and its number as verified, once."""
        ...

    async def close(self, id_: str, status: Status, reference: Reference | None) -> bool:
        """End an open verification, if *reference* is still its own."""
        ...

    async def expire(self, since: datetime, until: datetime) -> None:
        """End what is open though its time was over between *since* and *until*."""
        ...

    async def ended(self, now: datetime) -> Sequence[Verification]:
        """What is over here and not known to be over at the provider, the oldest first.

        What has used up its cancels, or waits for its next one, is left out.
        """
        ...

    async def take_cancel(self, over: Verification, again_at: datetime) -> bool:
        """Count a cancel of *over* before it is made; the next one is due at *again_at*.

        Returns:
            False if another caller was first, or *over* has another reference now.
        """
        ...

    async def mark_canceled(self, id_: str, reference: Reference | None) -> None:
        """The provider has nothing more to send or check for it under *reference*."""
        ...

    async def forget(self, before: datetime) -> None:
        """Delete verifications whose time was over *before*, some of them if there are many."""
        ...


class Outbox(Protocol):
    """The events that are still to be told. All methods raise `StoreUnavailable`.

    They are written by the store, with what ends a verification.
    """

    async def claim(self, now: datetime, until: datetime) -> Claim | None:
        """Count an attempt at the oldest event that is due, and keep others off it *until* then.

        Returns:
            None if there is none, or another caller was first.
        """
        ...

    async def read(self, id_: str) -> Event | None:
        """What there is to tell; None if it was deleted meanwhile. Raises `NumbersUnreadable`."""
        ...

    async def mark_delivered(self, id_: str, at: datetime) -> None:
        """It was taken."""
        ...

    async def postpone(self, claim: Claim, why: str, until: datetime) -> None:
        """It was not, and is due again at *until*."""
        ...

    async def bury(self, claim: Claim, why: str, at: datetime) -> None:
        """It was not, and is a dead letter now."""
        ...


class Receiver(Protocol):
    """Who is told of events."""

    async def receive(self, event: Event) -> Receipt:
        """Tell *event* once, and give up after `DEADLINE`. Raises nothing."""
        ...


class SessionStore(Protocol):
    """Remembers sessions, by the hashes of their tokens. All methods raise `StoreUnavailable`."""

    async def exchange(
        self,
        flow: Flow,
        id_: str,
        since: datetime,
        token: Token,
        now: datetime,
        ends_at: datetime,
    ) -> bool:
        """Open a session until *ends_at* for the verification *id_*, approved after *since*.

        Every approval of *flow* is used up then.

        Returns:
            False if *flow* has no such approval, or it was used up before.
        """
        ...

    async def session(self, token: Token, since: datetime, now: datetime) -> Session | None:
        """The one of *token* that was seen after *since* and is not over; it is seen *now*."""
        ...

    async def end_sessions(self, token: Token) -> bool:
        """End all of the number that *token*'s is for.

        Returns:
            False if there is no session of *token*.
        """
        ...


class DeliveryStore(Protocol):
    """Remembers what providers report of messages. All methods raise `StoreUnavailable`."""

    async def add(self, deliveries: Sequence[Delivery]) -> Sequence[tuple[str, Delivery]]:
        """Keep each report once for each verification that has its reference.

        Returns:
            What is new: ids of verifications, with the report. An unknown reference has none.
        """
        ...

    async def reports(self, verification: Verification) -> Sequence[Delivery]:
        """All that is reported of what *verification* has as its reference now."""
        ...

"""The ports of the domain: interfaces of the providers and of the store of verifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import AuditStore
    from otp_app.verification.models import (
        Channel,
        CheckOutcome,
        Flow,
        Reference,
        Running,
        SecondStart,
        Send,
        Status,
        Verification,
    )


class Provider(Protocol):
    """A service that sends one-time codes and checks them.

    Implementations raise only `ProviderError` subclasses and `NumberBusy`, and never send twice for
    one call. `start` and `resend` end within 5 s, `check` and `cancel` within 4 s. A `resend` makes
    at most three requests, every other call one. `for_everybody` is False for an error that may be
    due to the number, country, channel or language of the request.
    """

    name: str

    code_length: int
    """Number of digits in a code."""

    max_attempts: int
    """Number of guesses at one verification, by the provider's documentation."""

    second_start: SecondStart
    """The effect of a start for a number that the provider is already verifying."""

    async def open(self) -> None:
        """Acquire connections and threads on the running event loop, and check the account.

        Raises:
            ProviderMisconfigured: the account or service cannot do what this app needs.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and threads."""
        ...

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Send a code and return the provider's id of the new verification.

        The message is in *language*, a BCP 47 tag, if the provider supports it, else in the
        provider's default language.

        Raises:
            NumberBusy: the provider already verifies this number. Nothing was sent.
            LanguageRefused: the provider has no message in *language*. Nothing was sent, and the
                next start in *language* uses the provider's default language.
            ProviderRejected: the provider does not send to this number or by this channel.
            ProviderUnavailable: certainly nothing was sent.
            ProviderTimedOut: a code may have been sent.
        """
        ...

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a code again by *channel* and return the reference, which may be a new one.

        Raises:
            ResendTimedOut: a code may have been sent under a new, unknown reference, which replaces
                the old one.
            NumberBusy, ProviderError: for the reasons of `start`.
        """
        ...

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Check *code*. Only the provider's explicit approval of *to* gives `APPROVED`."""
        ...

    async def cancel(self, reference: Reference) -> None:
        """Invalidate the codes of *reference* and stop its pending messages, if supported."""
        ...


class VerificationStore(Protocol):
    """The verifications. Every transition is one conditional statement.

    There is no `save`. A transition whose precondition no longer holds changes nothing and returns
    False or None. `reserve`, `record_send` and `take_attempt` count a message or a guess and write
    it to the journal in one transaction. Methods that end a verification write its event in the
    same transaction, if events are enabled. All methods raise `StoreUnavailable` if the database
    does not respond.
    """

    @property
    def audit_store(self) -> AuditStore:
        """The audit, in the same database."""
        ...

    async def reserve(self, verification: Verification, source: str = "") -> bool:
        """Record a new verification before its first message, and close the flow's open one.

        The journal keeps *source*, the address or API key of the client, as a keyed hash.

        Returns:
            False if the flow has an open verification of the same number. Nothing is changed then.
        """
        ...

    async def latest(self, flow: Flow) -> Verification | None:
        """Return the flow's open verification, else the one that was recorded last."""
        ...

    async def locked(self, flow: Flow, phone: PhoneNumber, now: datetime) -> Verification | None:
        """Return the flow's verification of *phone* that is locked by wrong codes, if any."""
        ...

    async def is_verifying(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> bool:
        """Return whether *provider* runs a verification of *phone* for a flow other than *flow*.

        Only open verifications with a reference count. The provider may never have accepted the
        others.
        """
        ...

    async def record_send(self, verification: Verification, send: Send, source: str = "") -> bool:
        """Count a further message of *verification* before it is sent.

        The journal keeps *source*, the address or API key of the client, as a keyed hash.

        Returns:
            False if the verification is not open, or another caller has counted a message first.
        """
        ...

    async def settle_send(self, id_: str, send: Send, reference: Reference) -> bool:
        """Record that *send* was sent under *reference*: an open verification is now `PENDING`.

        Returns:
            False if the verification was closed meanwhile. The reference is kept all the same, so
            that it can be canceled.
        """
        ...

    async def adopt(self, verification: Verification, send: Send, reference: Reference) -> bool:
        """Take over *reference*, which the provider was running already, and become `PENDING`.

        Returns:
            False if this flow may not have requested *reference*: another flow has it, or this is
            the first message of *verification* and no earlier verification of the flow had it.
            False also if a verification with *reference* has ended here.
        """
        ...

    async def fail_send(self, id_: str, send: Send, status: Status) -> bool:
        """Record that *send* was not confirmed: an open verification takes *status*."""
        ...

    async def lose_reference(self, id_: str, send: Send) -> bool:
        """Record that *send* may have a new, unknown reference: the status becomes `UNKNOWN`."""
        ...

    async def release_send(self, before: Verification, send: Send) -> bool:
        """Restore the state *before* the message *send*, which certainly was not sent.

        The next message may be sent at once.
        """
        ...

    async def take_attempt(self, id_: str, flow: Flow, now: datetime) -> Verification | None:
        """Spend one guess and return the verification with the guesses that are left.

        Flows with the same reference share its guesses. `JOINED_ATTEMPTS` are available to flows
        that join later; the others are reserved for the first flow. A flow that has joined keeps
        the guesses that it was given.

        Returns:
            None if *flow* has no open verification *id_* with a sent message and a guess left.
        """
        ...

    async def running(
        self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
    ) -> Sequence[Running]:
        """Return the verifications that *provider* runs for *phone*, one for each reference.

        `Running.room` is the number of guesses that a new verification of *flow* would get.
        """
        ...

    async def close_used_up(self, id_: str, now: datetime) -> bool:
        """End an open verification as `EXPIRED` if its reference has no guess left for any flow.

        Returns:
            False if the verification has used up its own guesses, or another flow has some left.
        """
        ...

    async def use_up(self, id_: str, reference: Reference) -> bool:
        """End an open verification as `EXPIRED`, because the provider accepts no more guesses.

        Afterwards *reference* has no guess left for any flow.
        """
        ...

    async def is_confirmed(self, phone: PhoneNumber) -> bool:
        """Return whether *phone* was verified at least once, by any client."""
        ...

    async def approve(self, id_: str, now: datetime) -> bool:
        """Approve an open verification and record its number as verified.

        Returns:
            False if the verification is not open, for example because it was approved before.
        """
        ...

    async def close(self, id_: str, status: Status, reference: Reference | None) -> bool:
        """End an open verification with *status*.

        Returns:
            False if the verification is not open, or has a reference other than *reference*.
        """
        ...

    async def expire(self, since: datetime, until: datetime) -> None:
        """End open verifications that expired between *since* and *until*."""
        ...

    async def ended(self, now: datetime) -> Sequence[Verification]:
        """Return ended verifications that the provider may still run, the oldest first.

        Verifications that have used up their cancels, or whose next cancel is not yet due, are left
        out.
        """
        ...

    async def take_cancel(self, over: Verification, again_at: datetime) -> bool:
        """Count a cancel of *over* before it is made, and plan the next one at *again_at*.

        Returns:
            False if another caller has counted this cancel, or *over* has a new reference.
        """
        ...

    async def mark_canceled(self, id_: str, reference: Reference | None) -> None:
        """Record that the provider has nothing more to send or check under *reference*."""
        ...

    async def forget(self, before: datetime) -> None:
        """Delete verifications that expired before *before*, a bounded number in each call."""
        ...

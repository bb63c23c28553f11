"""The ports of the domain: interfaces of the providers and the limiter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence
    from datetime import datetime, timedelta

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Conversion
    from otp_app.verification.limits import Limit, LimitUse
    from otp_app.verification.models import Channel, CheckOutcome, Reference, SecondStart
    from otp_app.verification.store import Transaction

_T = TypeVar("_T")


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


class LimitUsage(NamedTuple):
    """The usage of a limit, before *use* is counted.

    Attributes:
        used: number of uses in the current window.
        until: time from which there is room again; None if there is room now.
        is_counted: whether the limit counts distinct values, and that of *use* counts already.
        stored: the uses in the store, which only the limiter knows.
    """

    use: LimitUse
    used: int
    until: datetime | None
    is_counted: bool
    stored: Any

    @property
    def limit(self) -> Limit:
        """The limit."""
        return self.use.limit

    @property
    def full_until(self) -> datetime | None:
        """The time from which there is room for *use*; None if there is room now."""
        return None if self.is_counted else self.until


class Limits(Protocol):
    """The limits in one transaction. A refusal is raised as an error for `noting_refusals`."""

    def read(self, uses: Sequence[LimitUse], now: datetime) -> Sequence[LimitUsage]:
        """Return the usage of the limits of *uses*, by one statement. Nothing is counted."""
        ...

    def require(self, usages: Sequence[LimitUsage]) -> None:
        """Check that the limits of all *usages* have room, or raise."""
        ...

    def count(self, usages: Sequence[LimitUsage], now: datetime) -> Sequence[LimitUsage]:
        """Count the uses of all *usages* or raise, and return the usages before."""
        ...

    def spend(self, uses: Sequence[LimitUse], now: datetime) -> Sequence[LimitUsage]:
        """Count all of *uses* or raise, and return the usages before."""
        ...

    def refund(self, at: datetime, uses: Sequence[LimitUse]) -> None:
        """Give back those of *uses* that were counted at the time *at*."""
        ...

    def forgive(self, uses: Sequence[LimitUse]) -> None:
        """Reset the limits of *uses*, after a success. `save` has to follow."""
        ...

    def save(self) -> None:
        """Write what `forgive` and the methods of `Conversions` have changed."""
        ...


class Conversions(Protocol):
    """The conversion rates in one transaction. `Limits.save` writes what the methods count."""

    def source_key(self, phone: PhoneNumber, source: str) -> bytes:
        """Return the key of *source*, an address or API key, for `count_sent`."""
        ...

    def count_sent(
        self, phone: PhoneNumber, source: bytes, id_: str, at: datetime, kept: timedelta
    ) -> None:
        """Count the verification *id_*, whose first message was sent at *at*.

        It counts towards its country for the time *kept*, and towards its block for `TRUSTED_FOR`.
        """
        ...

    def count_approved(
        self, phone: PhoneNumber, source: bytes, id_: str, at: datetime, kept: timedelta
    ) -> None:
        """Count the approval of the verification that `count_sent` has counted at *at*."""
        ...

    def by_country(self, since: datetime, until: datetime) -> Mapping[str, Conversion]:
        """Return the conversion of verifications sent from *since* to *until*, by region."""
        ...

    def of_block(self, phone: PhoneNumber, since: datetime, until: datetime) -> Conversion:
        """Return the conversion of verifications sent to the block of *phone* in that period."""
        ...


class Limiter(Protocol):
    """A counter of the uses of limits, which counts each use before it is made.

    All methods that wait raise `StoreUnavailable` if the database does not respond.
    """

    def within(self, transaction: Transaction) -> Limits:
        """Return the limits in *transaction*."""
        ...

    def conversions(self, limits: Any) -> Conversions:  # noqa: ANN401 - what `within` returns
        """Return the conversion rates in the transaction of *limits*."""
        ...

    async def noting_refusals(self, pending: Awaitable[_T], now: datetime) -> _T:
        """Await a transaction that uses `within`, and remember, log and count its refusal.

        Raises:
            RateLimited: with the time from which all limits have room.
        """
        ...

    def remembered(self, uses: Sequence[LimitUse], now: datetime) -> Exception | None:
        """Return the refusal in memory of one of *uses*, for `noting_refusals`, if any."""
        ...

    def forget_refusals(self) -> None:
        """Clear the refusals in memory, after a transaction that gave uses back."""
        ...

    def watch(self, usages: Sequence[LimitUsage]) -> None:
        """Warn the operator when a global limit is nearly used up.

        *usages* are the usages before the uses were counted.
        """
        ...

    async def spend(self, uses: Sequence[LimitUse], now: datetime) -> datetime:
        """Count all of *uses* or none, in a separate transaction.

        Raises:
            RateLimited: with the time from which all limits have room.
        """
        ...

    async def pause(self, pause: LimitUse, now: datetime) -> bool:
        """Use up a limit for the length of its window.

        Returns:
            False if the limit was used up before.
        """
        ...

    async def prune(self, now: datetime) -> None:
        """Delete uses that are older than the window of their limit."""
        ...

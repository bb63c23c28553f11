"""The check of a code: one counted guess, one call to the provider, and the resulting status."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otp_app.errors import (
    AttemptsExhausted,
    CheckTimedOut,
    CodeMismatch,
    CodeUsedUp,
    OtpError,
    ProviderError,
    ProviderTimedOut,
)
from otp_app.verification.audit import guess
from otp_app.verification.inputs import parse_code
from otp_app.verification.limits import Action
from otp_app.verification.models import CheckOutcome, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Budget
    from otp_app.verification.limits import Client
    from otp_app.verification.lookup import Lookup
    from otp_app.verification.models import Verification
    from otp_app.verification.ports import VerificationStore


@dataclass(frozen=True)
class Checker:
    """Checks codes. Each guess is spent in the store before the provider is called once."""

    store: VerificationStore
    lookup: Lookup
    budget: Budget
    audit: Audit
    now: Callable[[], datetime]

    async def check(self, client: Client, id_: str, text: str) -> Verification:
        """Spend one guess on *text* and return the approved verification.

        Raises:
            InvalidCode: *text* contains no code; no guess is spent.
            CodeMismatch: the code is wrong, and guesses are left.
            OtpError: the guess could not be made, or it ended the verification.
        """
        current = await self.lookup.require(client.flow, id_)
        self.lookup.require_checkable(current)
        provider = self.lookup.provider_of(current)
        code = parse_code(text, provider.code_length)
        provider.require(Action.CHECK)
        allowance = await self.budget.spend_check(client, current.phone)
        attempt = await self.store.take_attempt(id_, client.flow, self.now())
        if attempt is None or attempt.reference is None:
            raise await self._not_taken(current)
        try:
            checking = provider.check(allowance, attempt.reference, attempt.phone, code)
            outcome = await self.audit.answered(guess(attempt), checking)
        except ProviderError as exc:
            raise await self._unanswered(attempt, exc) from exc
        if outcome is CheckOutcome.EXHAUSTED and provider.shares_codes and attempt.attempts_left:
            await self.store.use_up(attempt.id, attempt.reference)
            raise CodeUsedUp  # by other flows: this one has guesses left
        approved = await self._answered(attempt, outcome)
        await self.budget.forgive_failures(client, approved.phone)
        return approved

    async def _not_taken(self, current: Verification) -> OtpError:
        """Return the error for a guess that the store did not grant."""
        if await self.store.close_used_up(current.id, self.now()):
            return CodeUsedUp()
        return await self.lookup.why_closed(current.flow)

    async def _unanswered(self, attempt: Verification, error: ProviderError) -> OtpError:
        """Return the error for a guess without a result. The last guess ends the verification."""
        if attempt.attempts_left == 0:
            await self.store.close(attempt.id, Status.EXHAUSTED, attempt.reference)
            return AttemptsExhausted(until=attempt.expires_at)
        return CheckTimedOut() if isinstance(error, ProviderTimedOut) else error

    async def _answered(self, attempt: Verification, outcome: CheckOutcome) -> Verification:
        """Apply the provider's *outcome* and return the approved verification.

        Raises:
            OtpError: the code was not approved, or the approval came too late.
        """
        match outcome:
            case CheckOutcome.APPROVED:
                if not await self.store.approve(attempt.id, self.now()):
                    raise await self.lookup.why_closed(attempt.flow)
                return replace(attempt, status=Status.APPROVED)
            case CheckOutcome.MISMATCH if attempt.attempts_left > 0:
                raise CodeMismatch(attempts_left=attempt.attempts_left, until=attempt.expires_at)
            case CheckOutcome.MISMATCH | CheckOutcome.EXHAUSTED:
                await self.store.close(attempt.id, Status.EXHAUSTED, attempt.reference)
                raise AttemptsExhausted(until=attempt.expires_at)
            case CheckOutcome.EXPIRED:
                await self.store.close(attempt.id, Status.EXPIRED, attempt.reference)
                raise await self.lookup.why_closed(attempt.flow)

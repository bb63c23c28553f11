"""The check of a code: one counted guess, one call to the provider, and the resulting status."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otp_app.errors import (
    AttemptsExhausted,
    CheckTimedOut,
    CodeMismatch,
    CodeProblem,
    CodeUsedUp,
    InvalidCode,
    OtpError,
    ProviderError,
    ProviderTimedOut,
)
from otp_app.phone import in_ascii_digits
from otp_app.verification.audit import check_call
from otp_app.verification.limits import Action
from otp_app.verification.models import CheckOutcome, SecondStart, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.verification.audit import Audit
    from otp_app.verification.budget import Budget
    from otp_app.verification.client import Client
    from otp_app.verification.finder import VerificationFinder
    from otp_app.verification.models import Verification
    from otp_app.verification.ports import VerificationStore

MAX_CODE_TEXT = 500  # characters; a pasted text message is shorter


def parse_code(text: str, length: int) -> str:
    """Return the code in *text*, which may be a whole message with digits of any script.

    If *text* contains exactly one distinct run of *length* digits, that run is the code. The run
    may occur twice, as in a message with an `@domain #code` line. Otherwise all digits of *text*
    together must be the code.

    Returns:
        *length* ASCII digits.

    Raises:
        InvalidCode: with the problem, the required `length` and the `count` that was found.
    """
    if len(text) > MAX_CODE_TEXT:
        raise InvalidCode(CodeProblem.TOO_LONG, length=length, count=len(text))
    plain = in_ascii_digits(text).strip()
    if not plain:
        raise InvalidCode(CodeProblem.MISSING, length=length)
    standing = set(re.findall(rf"(?<![0-9])[0-9]{{{length}}}(?![0-9])", plain))
    return standing.pop() if len(standing) == 1 else _all_digits(plain, length)


def _all_digits(plain: str, length: int) -> str:
    digits = re.sub(r"[^0-9]", "", plain)
    if len(digits) == length:
        return digits
    if not digits or any(char.isalpha() for char in plain):
        raise InvalidCode(CodeProblem.NOT_DIGITS, length=length)
    problem = CodeProblem.TOO_SHORT if len(digits) < length else CodeProblem.TOO_LONG
    raise InvalidCode(problem, length=length, count=len(digits))


@dataclass(frozen=True)
class Checker:
    """Checks codes. Each guess is spent in the store before the provider is called once."""

    store: VerificationStore
    finder: VerificationFinder
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
        current = await self.finder.require(client.flow, id_)
        self.finder.require_checkable(current)
        provider = self.finder.provider_of(current)
        code = parse_code(text, provider.code_length)
        provider.require(Action.CHECK)
        allowance = await self.budget.spend_check(client, current.phone)
        attempt = await self.store.take_attempt(id_, client.flow, self.now())
        if attempt is None or attempt.reference is None:
            raise await self._not_taken(current)
        try:
            checking = provider.check(allowance, attempt.reference, attempt.phone, code)
            outcome = await self.audit.record_call(check_call(attempt), checking)
        except ProviderError as exc:
            raise await self._error_after_failure(attempt, exc) from exc
        is_shared = provider.second_start is SecondStart.SAME_CODE
        if outcome is CheckOutcome.EXHAUSTED and is_shared and attempt.attempts_left:
            await self.store.use_up(attempt.id, attempt.reference)
            raise CodeUsedUp  # by other flows: this one has guesses left
        approved = await self._settle(attempt, outcome)
        await self.budget.forgive_failures(client, approved.phone)
        return approved

    async def _not_taken(self, current: Verification) -> OtpError:
        """Return the error for a guess that the store did not grant."""
        if await self.store.close_used_up(current.id, self.now()):
            return CodeUsedUp()
        return await self.finder.why_closed(current.flow)

    async def _error_after_failure(self, attempt: Verification, error: ProviderError) -> OtpError:
        """Return the error for a guess without a result. The last guess ends the verification."""
        if attempt.attempts_left == 0:
            await self.store.close(attempt.id, Status.EXHAUSTED, attempt.reference)
            return AttemptsExhausted(until=attempt.expires_at)
        return CheckTimedOut() if isinstance(error, ProviderTimedOut) else error

    async def _settle(self, attempt: Verification, outcome: CheckOutcome) -> Verification:
        """Apply the provider's *outcome* and return the approved verification.

        Raises:
            OtpError: the code was not approved, or the approval came too late.
        """
        match outcome:
            case CheckOutcome.APPROVED:
                if not await self.store.approve(attempt.id, self.now()):
                    raise await self.finder.why_closed(attempt.flow)
                return replace(attempt, status=Status.APPROVED)
            case CheckOutcome.MISMATCH if attempt.attempts_left > 0:
                raise CodeMismatch(attempts_left=attempt.attempts_left, until=attempt.expires_at)
            case CheckOutcome.MISMATCH | CheckOutcome.EXHAUSTED:
                await self.store.close(attempt.id, Status.EXHAUSTED, attempt.reference)
                raise AttemptsExhausted(until=attempt.expires_at)
            case CheckOutcome.EXPIRED:
                await self.store.close(attempt.id, Status.EXPIRED, attempt.reference)
                raise await self.finder.why_closed(attempt.flow)

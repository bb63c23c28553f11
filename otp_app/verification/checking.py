"""The check of a code: one counted guess, one call to the provider, and the resulting status."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from otp_app.errors import (
    AttemptsExhausted,
    CheckTimedOut,
    CodeMismatch,
    CodeProblem,
    CodeUsedUp,
    InvalidCode,
    OtpError,
    ProviderTimedOut,
)
from otp_app.phone import in_ascii_digits
from otp_app.verification.audit import check_call
from otp_app.verification.limits import Action
from otp_app.verification.models import CheckOutcome, SecondStart, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.audit import Answer, Audit
    from otp_app.verification.budget import Budget
    from otp_app.verification.circuit_breaker import CircuitBreakerProvider
    from otp_app.verification.client import Client
    from otp_app.verification.models import Reference, Verification
    from otp_app.verification.planning import VerificationFinder
    from otp_app.verification.store import Transaction, VerificationStore

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


class Guess(NamedTuple):
    """A counted guess: the verification with the guesses that are left, and the code to check."""

    attempt: Verification
    reference: Reference
    provider: CircuitBreakerProvider
    code: str


@dataclass(frozen=True)
class Checker:
    """Checks codes. Each guess is spent in the store before the provider is called once.

    A guess is two transactions: one that counts and records it, and one that records the provider's
    answer and what comes of it.
    """

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
        now = self.now()

        def take(
            transaction: Transaction, spend: Callable[[PhoneNumber], None]
        ) -> Guess | OtpError:
            current = self.finder.require(transaction, client.flow, id_)
            self.finder.require_checkable(current)
            provider = self.finder.provider_of(current)
            code = parse_code(text, provider.code_length)
            provider.require(Action.CHECK)
            spend(current.phone)
            attempt = self.store.within(transaction).take_attempt(
                id_, client.flow, now, current.phone
            )
            if attempt is None or attempt.reference is None:
                return self._not_taken(transaction, current)
            return Guess(attempt, attempt.reference, provider, code)

        allowance, guess = await self.budget.spend_check(take, client)
        if isinstance(guess, OtpError):
            raise guess
        attempt, reference, provider, code = guess
        checking = provider.check(allowance, reference, attempt.phone, code)
        answer = await self.audit.ask(check_call(attempt), checking)
        return await self._settle(client, guess, answer)

    def _not_taken(self, transaction: Transaction, current: Verification) -> OtpError:
        """Return the error for a guess that the store did not grant."""
        if self.store.within(transaction).close_used_up(current.id, self.now()):
            return CodeUsedUp()
        return self.finder.why_closed(transaction, current.flow)

    async def _settle(
        self, client: Client, guess: Guess, answer: Answer[CheckOutcome]
    ) -> Verification:
        """Record and apply the provider's *answer*, and return the approved verification.

        Raises:
            OtpError: the code was not approved, or the approval came too late.
        """
        now = self.now()

        def record(transaction: Transaction) -> Verification | OtpError:
            verifications = self.store.within(transaction)
            verifications.record_result(answer.call.id, answer.result, now)
            if answer.value is CheckOutcome.APPROVED:
                return self._approve(transaction, client, guess.attempt)
            return self._reject(transaction, guess, answer)

        result = await self.store.write(record)
        if isinstance(result, OtpError):
            raise result from answer.error
        self.budget.limiter.forget_refusals()
        return result

    def _approve(
        self, transaction: Transaction, client: Client, attempt: Verification
    ) -> Verification | OtpError:
        approval = self.store.within(transaction).approve(attempt.id, self.now(), attempt.phone)
        if approval is None:
            return self.finder.why_closed(transaction, attempt.flow)
        self.budget.count_approved(transaction, approval, client, attempt.id)
        return replace(attempt, status=Status.APPROVED)

    def _reject(
        self, transaction: Transaction, guess: Guess, answer: Answer[CheckOutcome]
    ) -> OtpError:
        """Apply an answer that approves nothing, and return the error for the person."""
        verifications = self.store.within(transaction)
        attempt, left = guess.attempt, guess.attempt.attempts_left
        is_shared = guess.provider.second_start is SecondStart.SAME_CODE
        match answer.value:
            case CheckOutcome.EXHAUSTED if left and is_shared:
                verifications.use_up(attempt.id, guess.reference)
                return CodeUsedUp()  # by other flows: this one has guesses left
            case CheckOutcome.MISMATCH if left:
                return CodeMismatch(attempts_left=left, until=attempt.expires_at)
            case CheckOutcome.EXPIRED:
                verifications.close(attempt.id, Status.EXPIRED, guess.reference)
                return self.finder.why_closed(transaction, attempt.flow)
            case None if left:
                is_late = isinstance(answer.error, ProviderTimedOut)
                return CheckTimedOut() if is_late or not answer.error else answer.error
            case _:
                verifications.close(attempt.id, Status.EXHAUSTED, guess.reference)
                return AttemptsExhausted(until=attempt.expires_at)

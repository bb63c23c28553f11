"""The view model of the code page: one status, one step and one rule for all pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from otp_app.errors import (
    AlreadyVerified,
    AttemptsExhausted,
    CodeUsedUp,
    OtpError,
    StoreUnavailable,
    VerificationExpired,
)
from otp_app.phone import PhoneNumber
from otp_app.presentation.code_page import Step
from otp_app.verification.models import (
    OPEN,
    Channel,
    Flow,
    Reference,
    Status,
    Verification,
)

NOW = datetime(2026, 3, 1, 14, 45, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)  # the end of the verification
SENT = Verification(
    id="id",
    flow=Flow("flow"),
    phone=PhoneNumber("+447400123456"),
    provider="fake",
    channel=Channel.SMS,
    status=Status.PENDING,
    attempts_left=5,
    sends=1,
    sent_at=NOW,
    resend_at=NOW + timedelta(seconds=30),
    expires_at=LATER,
    reference=Reference("reference"),
)


@pytest.mark.parametrize("status", Status)
def test_an_open_verification_is_expired_from_its_end_on(status: Status) -> None:
    verification = replace(SENT, status=status)

    assert verification.status_at(LATER - timedelta(seconds=1)) is status
    assert verification.status_at(LATER) is (Status.EXPIRED if status in OPEN else status)


@pytest.mark.parametrize(
    ("status", "before", "after"),
    [
        (Status.SENDING, Step.PHONE, Step.EXPIRED),
        (Status.UNKNOWN, Step.CODE, Step.EXPIRED),
        (Status.PENDING, Step.CODE, Step.EXPIRED),
        (Status.APPROVED, Step.VERIFIED, Step.VERIFIED),
        (Status.EXHAUSTED, Step.LOCKED, Step.EXPIRED),
        (Status.EXPIRED, Step.EXPIRED, Step.EXPIRED),
        (Status.CANCELED, Step.PHONE, Step.PHONE),
        (Status.REFUSED, Step.PHONE, Step.PHONE),
    ],
)
def test_each_status_has_a_step_before_and_after_the_end(
    status: Status, before: Step, after: Step
) -> None:
    verification = replace(SENT, status=status)

    assert Step.of(verification, NOW) is before
    assert Step.of(verification, LATER) is after


def test_without_a_reference_there_is_no_code_to_enter() -> None:
    unknown = replace(SENT, status=Status.UNKNOWN, reference=None)

    assert Step.of(unknown, NOW) is Step.PHONE
    assert Step.of(None, NOW) is Step.PHONE


@pytest.mark.parametrize(
    ("error", "step"),
    [
        (AlreadyVerified(), Step.VERIFIED),
        (AttemptsExhausted(until=LATER), Step.LOCKED),
        (VerificationExpired(), Step.EXPIRED),
        (CodeUsedUp(), None),
        (StoreUnavailable(), None),
    ],
)
def test_an_error_is_explained_by_the_page_of_one_step_at_most(
    error: OtpError, step: Step | None
) -> None:
    assert [one for one in Step if one.explains(error)] == ([step] if step else [])

"""The audit: one record for every question to a provider, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from otp_app.errors import (
    LanguageRefused,
    NumberBusy,
    OtpError,
    ProviderMisconfigured,
    ProviderNotReached,
    ProviderRejected,
    ProviderThrottled,
    ProviderTimedOut,
    ProviderUnavailable,
    RateLimited,
    Refusal,
    ResendTimedOut,
    StoreUnavailable,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlAuditStore
from otp_app.storage.tables import Stage, audit
from otp_app.verification.audit import CallResult, Outcome
from otp_app.verification.background import AbandonedCalls
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY
from otp_app.verification.models import Channel, CheckOutcome, Flow
from tests.database import connected
from tests.fakes import RIGHT, WRONG, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from sqlalchemy import RowMapping

    from otp_app.storage.store import SqlStore
    from otp_app.verification.models import Reference
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

PHONE = PhoneNumber("+447400123456")
ME = Client(Flow("flow-of-this-browser"), "203.0.113.7")


def coded(error: OtpError, vendor_code: str) -> OtpError:
    """*error* as it comes from a provider's answer."""
    error.vendor_code = vendor_code
    return error


FAULTS: list[tuple[OtpError, Outcome, str]] = [
    (NumberBusy(), Outcome.REFUSED, "number_busy"),
    (ProviderRejected(Refusal.COUNTRY), Outcome.REFUSED, "refused_country"),
    (LanguageRefused(), Outcome.REFUSED, "language_refused"),
    (ProviderMisconfigured(for_everybody=False), Outcome.REFUSED, "provider_misconfigured"),
    (ProviderNotReached(), Outcome.FAILED, "provider_not_reached"),
    (ProviderNotReached(for_everybody=False), Outcome.FAILED, "provider_not_reached"),
    (ProviderUnavailable(), Outcome.FAILED, "provider_unavailable"),
    (ProviderThrottled(), Outcome.FAILED, "provider_throttled"),
    (ProviderMisconfigured(), Outcome.FAILED, "provider_misconfigured"),
    (ProviderTimedOut(), Outcome.UNKNOWN, "provider_timed_out"),
    (ProviderTimedOut(for_everybody=False), Outcome.UNKNOWN, "provider_timed_out"),
    (coded(NumberBusy(), "429 60203"), Outcome.REFUSED, "number_busy 429 60203"),
    (coded(ProviderRejected(), "400 21612"), Outcome.REFUSED, "refused_number 400 21612"),
]


class Stalled(FakeProvider):
    """Sends, and never comes back to say so."""

    def __init__(self) -> None:
        super().__init__()
        self.has_sent = asyncio.Event()

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        reference = await super().start(to, channel, language)
        self.has_sent.set()
        await asyncio.Event().wait()
        return reference


async def rows(store: SqlStore) -> list[RowMapping]:
    async with connected(store.engine) as connection:
        return list((await connection.execute(select(audit).order_by(audit.c.id))).mappings())


async def records(store: SqlStore) -> list[tuple[str, str | None, str | None]]:
    """Return event, outcome and detail of the rows `ANSWERED`, one for each row `ASKED`."""
    found = await rows(store)
    asked = [row["attempt"] for row in found if row["stage"] is Stage.ASKED]
    answered = [row for row in found if row["stage"] is Stage.ANSWERED]
    assert sorted(asked) == sorted(row["attempt"] for row in answered)
    assert len(set(asked)) == len(asked)
    return [(row["event"], row["outcome"], row["detail"]) for row in answered]


async def ignoring_errors(action: Awaitable[object]) -> None:
    try:
        await action
    except OtpError:
        return


async def start(service: VerificationService) -> str:
    return (await service.start(ME, PHONE, Channel.SMS)).id


async def test_a_message_and_its_code_have_a_record_each(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    id_ = await start(verifications)
    await ignoring_errors(verifications.check(ME, id_, WRONG))
    await verifications.check(ME, id_, RIGHT)

    assert await records(sql_store) == [
        ("send", "ok", ""),
        ("check", "rejected", "mismatch"),
        ("check", "ok", ""),
    ]


async def test_a_record_says_who_asked_whom_about_what_and_when(
    verifications: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    id_ = await start(verifications)

    asked, answered = await rows(sql_store)
    told = {"verification": id_, "provider": "fake", "channel": Channel.SMS, "region": "GB"}
    assert told.items() <= dict(asked).items()
    assert told.items() <= dict(answered).items()
    assert asked["outcome"] is asked["duration_ms"] is None
    assert answered["duration_ms"] >= 0
    assert asked["at"] == answered["at"] == clock.now()
    assert asked["number"] == answered["number"] == sql_store.audit_store.pseudonym(PHONE)


@pytest.mark.sqlite
@pytest.mark.parametrize(("fault", "outcome", "detail"), FAULTS)
async def test_a_start_has_one_record_in_every_fault(
    verifications: VerificationService,
    sql_store: SqlStore,
    provider: FakeProvider,
    fault: OtpError,
    outcome: Outcome,
    detail: str,
) -> None:
    provider.failures = [fault]

    await ignoring_errors(start(verifications))

    assert await records(sql_store) == [("send", outcome, detail)]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("fault", "outcome", "detail"),
    [*FAULTS, (ResendTimedOut(), Outcome.UNKNOWN, "provider_timed_out")],
)
async def test_a_resend_has_one_record_in_every_fault_and_so_has_the_next(
    verifications: VerificationService,
    sql_store: SqlStore,
    provider: FakeProvider,
    clock: Clock,
    fault: OtpError,
    outcome: Outcome,
    detail: str,
) -> None:
    id_ = await start(verifications)
    provider.failures = [fault]

    for wait in (30, 60):
        clock.tick(wait)
        await ignoring_errors(verifications.resend(ME, id_, Channel.VOICE))

    answers = await records(sql_store)
    assert answers == [("send", "ok", ""), ("send", outcome, detail), ("send", "ok", "")]
    assert [row["channel"] for row in await rows(sql_store)] == ["sms"] * 2 + ["voice"] * 4


@pytest.mark.sqlite
@pytest.mark.parametrize(("fault", "outcome", "detail"), FAULTS[2:])
async def test_a_check_has_one_record_in_every_fault(
    verifications: VerificationService,
    sql_store: SqlStore,
    provider: FakeProvider,
    fault: OtpError,
    outcome: Outcome,
    detail: str,
) -> None:
    id_ = await start(verifications)
    provider.failures = [fault]

    await ignoring_errors(verifications.check(ME, id_, RIGHT))

    assert (await records(sql_store))[1:] == [("check", outcome, detail)]


@pytest.mark.sqlite
@pytest.mark.parametrize("outcome", sorted(set(CheckOutcome) - {CheckOutcome.APPROVED}))
async def test_a_code_that_is_not_right_or_not_good_any_more_was_rejected(
    verifications: VerificationService,
    sql_store: SqlStore,
    provider: FakeProvider,
    outcome: CheckOutcome,
) -> None:
    id_ = await start(verifications)
    provider.answers = [outcome]

    await ignoring_errors(verifications.check(ME, id_, RIGHT))

    assert (await records(sql_store))[1:] == [("check", "rejected", outcome)]


async def test_a_request_that_was_adopted_was_refused_as_a_message(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [ProviderTimedOut(), NumberBusy("reference-of-the-lost-answer")]
    await ignoring_errors(start(verifications))
    clock.tick(30)
    await start(verifications)

    outcomes = [outcome for _, outcome, _ in await records(sql_store)]
    assert outcomes == ["unknown", "refused"]


async def test_fifty_guesses_at_once_have_five_questions_and_five_answers(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    id_ = await start(verifications)

    guesses = [verifications.check(ME, id_, WRONG) for _ in range(50)]
    await asyncio.gather(*guesses, return_exceptions=True)

    checks = [row["stage"] for row in await rows(sql_store) if row["event"] == "check"]
    assert Counter(checks) == {Stage.ASKED: 5, Stage.ANSWERED: 5}
    await records(sql_store)


async def test_a_question_whose_asker_is_gone_is_answered_unknown_after_30_seconds(
    verifications: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    stalled = Stalled()
    service = replace(verifications, providers={"fake": stalled})
    unanswered = AbandonedCalls(sql_store.audit_store, clock.now)
    asking = asyncio.create_task(start(service))
    await stalled.has_sent.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    clock.tick(29)
    await unanswered.sweep()
    assert [row["stage"] for row in await rows(sql_store)] == [Stage.ASKED]
    clock.tick(1)
    await unanswered.sweep()
    await unanswered.sweep()

    assert await records(sql_store) == [("send", "unknown", "abandoned")]


async def test_a_fault_that_nobody_has_thought_of_is_answered_unknown(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [KeyError("a bug")]
    with pytest.raises(KeyError):
        await start(verifications)
    clock.tick(30)

    await AbandonedCalls(sql_store.audit_store, clock.now).sweep()

    assert await records(sql_store) == [("send", "unknown", "abandoned")]


async def test_what_a_crash_left_is_found_at_the_next_start_however_late(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [KeyError("a crash")]
    with pytest.raises(KeyError):
        await start(verifications)
    clock.tick(timedelta(days=400).total_seconds())

    await AbandonedCalls(sql_store.audit_store, clock.now).sweep()

    assert len(await records(sql_store)) == 1


async def test_one_sweeper_finds_what_was_asked_after_its_first_look(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    unanswered = AbandonedCalls(sql_store.audit_store, clock.now)
    await unanswered.sweep()
    clock.tick(5)
    provider.failures = [KeyError("a crash")]
    with pytest.raises(KeyError):
        await start(verifications)

    for _ in range(8):
        clock.tick(5)
        await unanswered.sweep()

    assert len(await records(sql_store)) == 1


async def test_two_servers_give_one_question_up_once(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    provider.failures = [KeyError("a crash")]
    with pytest.raises(KeyError):
        await start(verifications)
    clock.tick(30)

    await asyncio.gather(
        *(AbandonedCalls(sql_store.audit_store, clock.now).sweep() for _ in range(10))
    )

    assert len(await records(sql_store)) == 1


async def test_of_two_answers_the_first_stays(
    verifications: VerificationService, sql_store: SqlStore, clock: Clock
) -> None:
    id_ = await start(verifications)

    await sql_store.audit_store.record_result(
        id_, CallResult(Outcome.FAILED, "late", 1), clock.now()
    )

    assert await records(sql_store) == [("send", "ok", "")]


async def test_where_the_audit_cannot_be_written_nothing_is_sent(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider
) -> None:
    await change(sql_store, "DROP TABLE audit")

    with pytest.raises(StoreUnavailable):
        await start(verifications)

    assert provider.sent == []
    assert await verifications.current(ME.flow) is None


async def test_where_the_audit_cannot_be_written_no_code_is_checked_and_no_guess_is_spent(
    verifications: VerificationService, sql_store: SqlStore, provider: FakeProvider, clock: Clock
) -> None:
    id_ = await start(verifications)
    clock.tick(30)
    await change(sql_store, "DROP TABLE audit")

    for action in (
        verifications.check(ME, id_, RIGHT),
        verifications.resend(ME, id_, Channel.SMS),
    ):
        with pytest.raises(StoreUnavailable):
            await action

    current = await verifications.current(ME.flow)
    assert current is not None
    assert (current.attempts_left, current.sends) == (5, 1)
    assert (len(provider.sent), provider.checked) == (1, [])


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET outcome = 'ok'", "DELETE FROM audit WHERE id = 1"]
)
async def test_the_database_itself_refuses_to_change_a_record(
    verifications: VerificationService, sql_store: SqlStore, statement: str
) -> None:
    await start(verifications)
    before = await rows(sql_store)

    with pytest.raises(DBAPIError, match="append-only"):
        await change(sql_store, statement)

    assert await rows(sql_store) == before


async def test_what_our_own_limits_refuse_is_not_in_it(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    limited = replace(verifications, limits=POLICY)
    await start(limited)
    for index in range(20):
        with pytest.raises(RateLimited):
            await limited.start(replace(ME, flow=Flow(f"{index}")), PHONE, Channel.SMS)

    assert len(await records(sql_store)) == 1


async def test_a_code_that_cannot_be_one_is_not_in_it(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    id_ = await start(verifications)

    await ignoring_errors(verifications.check(ME, id_, "12"))

    assert len(await records(sql_store)) == 1


async def test_no_number_code_flow_or_providers_id_stands_in_it(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    id_ = await start(verifications)
    await verifications.check(ME, id_, RIGHT)

    stored = str(await rows(sql_store))

    secrets = (PHONE.digits, PHONE.digits[2:], PHONE.digits[:-4], RIGHT, ME.flow, "reference-1")
    assert [secret for secret in secrets if secret in stored] == []


async def test_a_number_has_the_same_name_everywhere_and_another_under_another_secret(
    sql_store: SqlStore,
) -> None:
    audit_store = sql_store.audit_store
    other = SqlAuditStore(sql_store.engine, PhoneEncryption(b"another secret"))

    assert audit_store.pseudonym(PHONE) == audit_store.pseudonym(PhoneNumber(PHONE.e164))
    assert audit_store.pseudonym(PHONE) != other.pseudonym(PHONE)
    assert audit_store.pseudonym(PHONE) != audit_store.pseudonym(PhoneNumber("+447400123457"))


async def test_each_question_is_one_line_of_the_log(
    verifications: VerificationService,
    sql_store: SqlStore,
    provider: FakeProvider,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    id_ = await start(verifications)
    await ignoring_errors(verifications.check(ME, id_, WRONG))
    provider.failures = [ProviderTimedOut(), ProviderRejected()]
    for wait in (30, 60):
        clock.tick(wait)
        await ignoring_errors(verifications.resend(ME, id_, Channel.SMS))

    lines = [line for line in capsys.readouterr().out.splitlines() if "verification." in line]
    expected = (
        ("verification.sent", "outcome=ok"),
        ("verification.checked", "outcome=rejected"),
        ("verification.send_unconfirmed", "outcome=unknown"),
        ("verification.send_failed", "outcome=refused"),
    )
    assert len(lines) == len(expected)
    for line, (event, outcome) in zip(lines, expected, strict=True):
        assert event in line
        assert outcome in line
        assert f"number={sql_store.audit_store.pseudonym(PHONE)[:12]} " in line
        assert "duration_ms=" in line
        assert PHONE.digits not in line


async def change(store: SqlStore, statement: str) -> None:
    async with connected(store.engine) as connection:
        await connection.execute(text(statement))

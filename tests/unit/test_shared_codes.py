"""Twilio gives all browsers that verify a number one code. Each browser keeps its own guesses."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    AttemptsExhausted,
    CodeMismatch,
    CodeUsedUp,
    NumberBusy,
    OtpError,
    StoreUnavailable,
)
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.phone_encryption import PhoneEncryption
from otp_app.storage.store import SqlStore
from otp_app.storage.verifications import SqlVerifications
from otp_app.verification.background import Sweeper
from otp_app.verification.client import Client
from otp_app.verification.models import Channel, CheckOutcome, Flow, Status
from tests.fakes import RIGHT, WRONG, SharingProvider
from tests.unit.conftest import NUMBER_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from otp_app.verification.models import Running, Verification
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

pytestmark = pytest.mark.databases

PHONE = PhoneNumber("+447400123456")
VICTIM, OTHER, THIRD = (Client(Flow(name), "203.0.113.7") for name in ("a", "b", "c"))


@pytest.fixture
def provider() -> SharingProvider:
    return SharingProvider()


async def start(service: VerificationService, who: Client) -> Verification:
    return await service.start(who, PHONE, Channel.SMS)


async def guess(service: VerificationService, who: Client, code: str) -> Verification:
    """Enter *code* for the verification that the browser has open."""
    current = await service.current(who.flow)
    return await service.check(who, current.id if current else "", code)


async def miss(service: VerificationService, who: Client) -> OtpError:
    """The error after a wrong code."""
    with pytest.raises(OtpError) as caught:
        await guess(service, who, WRONG)
    return caught.value


async def misses(service: VerificationService, who: Client, times: int) -> list[object]:
    """The guesses that are left after each wrong code; the name of any other error."""
    errors = [await miss(service, who) for _ in range(times)]
    return [
        error.params["attempts_left"] if isinstance(error, CodeMismatch) else error.code
        for error in errors
    ]


async def test_wrong_codes_of_another_browser_end_no_verification_but_its_own(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, VICTIM)
    await start(verifications, OTHER)

    assert await misses(verifications, OTHER, 5) == [1, *["attempts_exhausted"] * 4]

    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert len(provider.checked) == 3


async def test_the_first_browser_keeps_three_guesses_and_they_are_what_it_counts_from(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, VICTIM)
    await start(verifications, OTHER)
    await misses(verifications, OTHER, 2)

    assert await misses(verifications, VICTIM, 2) == [2, 1]
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert provider.held_back == set()


async def test_a_browser_that_comes_later_keeps_two_guesses(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, OTHER)
    await start(verifications, VICTIM)

    assert await misses(verifications, OTHER, 4) == [2, 1, *["attempts_exhausted"] * 2]
    assert await misses(verifications, VICTIM, 1) == [1]

    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert provider.held_back == set()


@pytest.mark.parametrize("used", range(5))
async def test_guesses_that_were_made_before_another_browser_came_stay_made(
    verifications: VerificationService, provider: SharingProvider, used: int
) -> None:
    await start(verifications, VICTIM)
    assert await misses(verifications, VICTIM, used) == [4, 3, 2, 1][:used]

    await start(verifications, OTHER)
    theirs = [one for one in await misses(verifications, OTHER, 3) if isinstance(one, int)]

    assert len(theirs) == (0 if used == 4 else 1)  # the last one ends it
    assert provider.guesses.total() == used + (1 if used == 4 else 2)
    if used < 3:
        assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED


async def test_alone_a_browser_has_five_guesses(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, VICTIM)

    assert await misses(verifications, VICTIM, 5) == [4, 3, 2, 1, "attempts_exhausted"]
    assert len(provider.checked) == 5


async def test_a_third_browser_takes_no_guess_of_the_two_and_gets_no_message(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, VICTIM)
    await start(verifications, OTHER)

    with pytest.raises(NumberBusy):
        await start(verifications, THIRD)

    assert len(provider.sent) == 2
    assert await misses(verifications, OTHER, 1) == [1]
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert (await start(verifications, THIRD)).attempts_left == 5


async def test_a_code_that_another_browser_has_used_up_is_replaced_before_the_next_message(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, OTHER)
    await misses(verifications, OTHER, 5)

    await start(verifications, VICTIM)

    assert len(provider.canceled) == 1
    assert await misses(verifications, VICTIM, 4) == [4, 3, 2, 1]
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert isinstance(await miss(verifications, OTHER), AttemptsExhausted)


async def test_a_browser_that_gives_up_leaves_its_guesses_to_the_next(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, OTHER)
    await misses(verifications, OTHER, 1)
    await verifications.cancel(OTHER.flow)

    assert (await start(verifications, VICTIM)).attempts_left == 4
    assert await misses(verifications, VICTIM, 3) == [3, 2, 1]
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert provider.held_back == set()


async def test_who_was_first_stays_first_after_starting_again(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, VICTIM)
    await start(verifications, OTHER)
    await verifications.cancel(VICTIM.flow)

    assert (await start(verifications, VICTIM)).attempts_left == 3
    assert await misses(verifications, OTHER, 2) == [1, "attempts_exhausted"]
    assert await misses(verifications, VICTIM, 2) == [2, 1]
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED
    assert provider.held_back == set()


async def test_a_new_message_gives_no_browser_more_guesses(
    verifications: VerificationService, clock: Clock
) -> None:
    mine = await start(verifications, VICTIM)
    theirs = await start(verifications, OTHER)
    await misses(verifications, OTHER, 1)
    clock.tick(30)

    again = await verifications.resend(OTHER, theirs.id, Channel.SMS)
    assert again.attempts_left == 1
    assert (await verifications.resend(VICTIM, mine.id, Channel.SMS)).attempts_left == 3


async def test_a_code_that_was_used_up_elsewhere_locks_nobody_and_a_new_one_comes_at_once(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    first = await start(verifications, VICTIM)
    provider.answers = [CheckOutcome.EXHAUSTED]

    with pytest.raises(CodeUsedUp):
        await guess(verifications, VICTIM, RIGHT)
    second = await verifications.resend(VICTIM, first.id, Channel.SMS)

    assert provider.canceled == [first.reference]
    assert len(provider.sent) == 2
    assert (second.id != first.id, second.attempts_left) == (True, 5)
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED


async def test_no_other_browser_is_asked_for_a_guess_at_a_code_that_is_used_up(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, OTHER)
    await start(verifications, VICTIM)
    provider.answers = [CheckOutcome.EXHAUSTED]
    await miss(verifications, OTHER)
    before = len(provider.checked)

    with pytest.raises(CodeUsedUp):
        await guess(verifications, VICTIM, RIGHT)

    assert len(provider.checked) == before
    await start(verifications, VICTIM)
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED


async def test_a_number_that_the_provider_holds_back_is_busy_and_locks_nobody(
    verifications: VerificationService, provider: SharingProvider
) -> None:
    await start(verifications, VICTIM)
    provider.guesses[provider.pending[PHONE.e164]] = 5  # by another program with the same service
    assert isinstance(await miss(verifications, VICTIM), CodeUsedUp)

    with pytest.raises(NumberBusy):
        await start(verifications, VICTIM)

    provider.held_back.clear()
    await start(verifications, VICTIM)
    assert (await guess(verifications, VICTIM, RIGHT)).status is Status.APPROVED


async def test_what_was_approved_or_canceled_stands_in_nobodys_way(
    verifications: VerificationService, provider: SharingProvider, clock: Clock
) -> None:
    await start(verifications, VICTIM)
    await start(verifications, OTHER)
    await misses(verifications, VICTIM, 1)
    await misses(verifications, OTHER, 1)
    await guess(verifications, OTHER, RIGHT)

    assert (await start(verifications, THIRD)).attempts_left == 5
    await misses(verifications, THIRD, 5)
    clock.tick(31)
    sweeper = Sweeper(
        verifications.store, verifications.limiter, {provider.name: provider}, clock.now
    )
    await sweeper.sweep()
    assert (await start(verifications, OTHER)).attempts_left == 5


async def test_guesses_of_two_browsers_at_once_are_five_in_all_and_each_has_its_own(
    verifications: VerificationService, sql_store: SqlStore
) -> None:
    first, later = [(await start(verifications, who)).id for who in (VICTIM, OTHER)]
    second = open_engine(str(sql_store.engine.url))
    stores = [sql_store, SqlStore(second, PhoneEncryption(NUMBER_KEY))]  # two processes
    taken: list[str] = []

    async def take(turn: int) -> None:
        id_, flow = ((first, VICTIM.flow), (later, OTHER.flow))[turn % 2]
        with suppress(StoreUnavailable):  # a busy machine; then nothing is taken
            if await stores[turn // 2 % 2].take_attempt(id_, flow, verifications.now()):
                taken.append(id_)

    await asyncio.gather(*map(take, range(20)))
    await second.dispose()
    for turn in (0, 1) * 3:  # what nobody could take a moment ago
        await take(turn)

    assert (taken.count(first), taken.count(later)) == (3, 2)


async def test_of_two_browsers_that_come_at_once_one_gets_the_guesses(
    verifications: VerificationService,
) -> None:
    await start(verifications, VICTIM)

    class Unseeing(SqlVerifications):
        """Finds nothing running, as a process that asked a moment too early."""

        def running(
            self, phone: PhoneNumber, provider: str, flow: Flow, now: datetime
        ) -> Sequence[Running]:
            del phone, provider, flow, now
            return []

    class Blind(SqlStore):
        def within(self, transaction: Connection) -> SqlVerifications:
            return Unseeing(transaction, self.encryption, self.outbox)

    store = verifications.store
    assert isinstance(store, SqlStore)
    blind = replace(verifications, store=Blind(store.engine, store.encryption))
    assert (await start(blind, OTHER)).attempts_left == 2
    assert (await start(blind, THIRD)).attempts_left == 0

    assert (await guess(verifications, OTHER, RIGHT)).status is Status.APPROVED

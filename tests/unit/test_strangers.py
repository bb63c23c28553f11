"""A confirmed number keeps a share of its messages for whom it belongs to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app import i18n
from otp_app.errors import RateLimited
from otp_app.phone import PhoneNumber
from otp_app.verification.limits import POLICY, Client
from otp_app.verification.models import Channel, Flow
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

PHONE = PhoneNumber("+447400123456")
NAMES = {"LIMIT_SEND_NUMBER", "LIMIT_SEND_NUMBER_STRANGERS"}
OWNER = Client(Flow("owner"), "203.0.113.7", proved=PHONE.e164)


@pytest.fixture
def service(verifications: VerificationService) -> VerificationService:
    return replace(verifications, limits=[limit for limit in POLICY if limit.name in NAMES])


@pytest.fixture
async def confirmed(service: VerificationService, clock: Clock) -> VerificationService:
    """The service, some hours after PHONE was confirmed."""
    started = await service.start(OWNER, PHONE, Channel.SMS)
    await service.check(OWNER, started.id, RIGHT)
    clock.tick(3600 * 5)
    return service


def stranger(index: int) -> Client:
    return Client(Flow(f"stranger-{index}"), f"198.51.100.{index}")


async def sent(service: VerificationService, *clients: Client) -> int:
    count = 0
    for client in clients:
        try:
            await service.start(client, PHONE, Channel.SMS)
        except RateLimited:
            continue
        count += 1
    return count


async def test_strangers_get_three_of_the_five_and_the_owner_the_rest(
    confirmed: VerificationService,
) -> None:
    owners = [replace(OWNER, flow=Flow(f"owner-{index}")) for index in range(3)]

    assert await sent(confirmed, *map(stranger, range(10))) == 3
    assert await sent(confirmed, *owners) == 2


async def test_a_number_that_nobody_has_confirmed_has_no_strangers(
    service: VerificationService,
) -> None:
    assert await sent(service, *map(stranger, range(10))) == 5


async def test_to_have_proved_another_number_makes_nobody_less_strange(
    confirmed: VerificationService,
) -> None:
    others = [replace(stranger(index), proved="+447400123457") for index in range(10)]

    assert await sent(confirmed, *others) == 3


async def test_the_words_do_not_tell_that_a_number_is_confirmed(
    confirmed: VerificationService, clock: Clock
) -> None:
    assert await sent(confirmed, *map(stranger, range(3))) == 3
    with pytest.raises(RateLimited) as of_strangers:
        await confirmed.start(stranger(4), PHONE, Channel.SMS)
    unknown = replace(confirmed, limits=[limit for limit in confirmed.limits if limit.amount == 5])
    assert await sent(unknown, stranger(5), stranger(6)) == 2
    with pytest.raises(RateLimited) as of_all:
        await unknown.start(stranger(7), PHONE, Channel.SMS)

    words = [i18n.message(caught.value, now=clock.now()) for caught in (of_strangers, of_all)]

    assert words[0] == words[1]


async def test_after_the_hour_strangers_have_three_again(
    confirmed: VerificationService, clock: Clock
) -> None:
    assert await sent(confirmed, *map(stranger, range(4))) == 3
    clock.tick(3600)
    assert await sent(confirmed, *map(stranger, range(10, 14))) == 3

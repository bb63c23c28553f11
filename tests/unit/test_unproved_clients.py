"""A confirmed number keeps a share of its messages for whom it belongs to."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from otp_app import presentation
from otp_app.errors import RateLimited
from otp_app.identity.cookies import DeviceCookies
from otp_app.phone import PhoneNumber
from otp_app.storage.engine import open_engine
from otp_app.storage.limits import SqlLimiter
from otp_app.storage.store import SqlStore
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, Scope
from otp_app.verification.models import Channel, Flow
from tests.database import connected
from tests.fakes import RIGHT
from tests.unit.conftest import LIMIT_KEY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

PHONE = PhoneNumber("+447400123456")
NAMES = {"LIMIT_SEND_NUMBER", "LIMIT_SEND_NUMBER_UNPROVED"}
OF_THE_NUMBER = {Scope.NUMBER, Scope.UNPROVED_CLIENTS}
OWNER = Client(Flow("owner"), "203.0.113.7", proved=PHONE.e164)
DEVICES = DeviceCookies(b"s" * 32, b"n" * 32, secure=False)
DEVICE = DEVICES.read(DEVICES.set_cookie("", PHONE).partition(";")[0])
OWNER_BY_DEVICE = replace(OWNER, proved="", device=DEVICE)


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


def unproved_client(index: int) -> Client:
    return Client(Flow(f"unproved-{index}"), f"198.51.100.{index}")


async def sent(service: VerificationService, *clients: Client) -> int:
    count = 0
    for client in clients:
        try:
            await service.start(client, PHONE, Channel.SMS)
        except RateLimited:
            continue
        count += 1
    return count


async def test_unproved_clients_get_three_of_the_five_and_the_owner_the_rest(
    confirmed: VerificationService,
) -> None:
    owners = [replace(OWNER, flow=Flow(f"owner-{index}")) for index in range(3)]

    assert await sent(confirmed, *map(unproved_client, range(10))) == 3
    assert await sent(confirmed, *owners) == 2


async def test_a_number_that_nobody_has_confirmed_has_no_unproved_clients(
    service: VerificationService,
) -> None:
    assert await sent(service, *map(unproved_client, range(10))) == 5


async def test_to_have_proved_another_number_makes_nobody_less_strange(
    confirmed: VerificationService,
) -> None:
    others = [replace(unproved_client(index), proved="+447400123457") for index in range(10)]

    assert await sent(confirmed, *others) == 3


async def test_the_words_do_not_tell_that_a_number_is_confirmed(
    confirmed: VerificationService, clock: Clock
) -> None:
    assert await sent(confirmed, *map(unproved_client, range(3))) == 3
    with pytest.raises(RateLimited) as of_unproved:
        await confirmed.start(unproved_client(4), PHONE, Channel.SMS)
    unknown = replace(confirmed, limits=[limit for limit in confirmed.limits if limit.amount == 5])
    assert await sent(unknown, unproved_client(5), unproved_client(6)) == 2
    with pytest.raises(RateLimited) as of_all:
        await unknown.start(unproved_client(7), PHONE, Channel.SMS)

    words = [
        presentation.message(caught.value, now=clock.now()) for caught in (of_unproved, of_all)
    ]

    assert words[0] == words[1]


async def test_after_the_hour_unproved_clients_have_three_again(
    confirmed: VerificationService, clock: Clock
) -> None:
    assert await sent(confirmed, *map(unproved_client, range(4))) == 3
    clock.tick(3600)
    assert await sent(confirmed, *map(unproved_client, range(10, 14))) == 3


class Attack:
    """An attack by new browsers, which ask as often as the limits allow."""

    def __init__(self, service: VerificationService, clock: Clock) -> None:
        self.sent = 0
        self._service = service
        self._clock = clock
        self._browsers = map(unproved_client, itertools.count())

    async def go_on(self, until: datetime) -> None:
        """Ask until the clock shows *until* or later. Add the messages to `sent`."""
        while self._clock.now() < until:
            try:
                await self._service.start(next(self._browsers), PHONE, Channel.SMS)
            except RateLimited as refused:
                moment = refused.params["until"]
                assert isinstance(moment, datetime)
                self._clock.tick(min((moment - self._clock.now()).total_seconds(), 3600))
            else:
                self.sent += 1


@asynccontextmanager
async def copy_of(
    service: VerificationService, now: datetime, file: Path
) -> AsyncIterator[VerificationService]:
    """Yield the service on a copy of its database in *file*. Its clock stands still at *now*."""
    assert isinstance(service.store, SqlStore)
    async with connected(service.store.engine) as connection:
        await connection.exec_driver_sql("VACUUM INTO ?", (str(file),))
    engine = open_engine(f"sqlite:///{file}")
    store, limiter = SqlStore(engine, service.store.encryption), SqlLimiter(engine, LIMIT_KEY)
    try:
        yield replace(service, store=store, limiter=limiter, now=lambda: now)
    finally:
        await engine.dispose()


async def test_at_every_hour_of_a_day_of_attack_the_owner_gets_a_message(
    confirmed: VerificationService, clock: Clock, tmp_path: Path
) -> None:
    owners = {"session": OWNER, "device cookie only": OWNER_BY_DEVICE}
    limits = [limit for limit in POLICY if limit.scope in OF_THE_NUMBER]
    service, began = replace(confirmed, limits=limits), clock.now()
    attack, found = Attack(service, clock), {}

    for hour in range(1, 25):
        await attack.go_on(until=began + timedelta(hours=hour))
        assert attack.sent >= min(3 * hour, 6), hour
        then = clock.now() + timedelta(seconds=31)  # one message at a time to a number
        for name, owner in owners.items():
            async with copy_of(service, then, tmp_path / f"{hour} {name}.db") as copy:
                back = replace(owner, flow=Flow("the owner is back"))
                found[hour, name] = await sent(copy, back)

    assert found == {(hour, name): 1 for hour in range(1, 25) for name in owners}


async def test_an_attack_leaves_the_owner_four_of_the_ten_messages_of_a_day(
    confirmed: VerificationService, clock: Clock
) -> None:
    limits = [limit for limit in POLICY if limit.scope in OF_THE_NUMBER]
    service = replace(confirmed, limits=limits)
    attack = Attack(service, clock)
    await attack.go_on(until=clock.now() + timedelta(hours=20))

    back = [replace(OWNER_BY_DEVICE, flow=Flow(f"back-{index}")) for index in range(5)]
    answers = []
    for client in back:
        clock.tick(31)
        answers.append(await sent(service, client))

    assert (attack.sent, answers) == (6, [1, 1, 1, 1, 0])


async def test_a_device_cookie_for_another_number_makes_nobody_the_owner(
    confirmed: VerificationService,
) -> None:
    other = DEVICES.read(DEVICES.set_cookie("", PhoneNumber("+447400123457")).partition(";")[0])
    others = [replace(unproved_client(index), device=other) for index in range(10)]

    assert await sent(confirmed, *others) == 3


async def test_an_api_key_owns_no_number(confirmed: VerificationService) -> None:
    """A person in front of the program may ask for any number."""
    programs = [replace(unproved_client(index), key="shop") for index in range(10)]

    assert await sent(confirmed, *programs) == 3

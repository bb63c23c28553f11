"""The breaker and the trusted blocks: what messages come to decides how many there may be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from otp_app.config import AppEnv, Settings
from otp_app.errors import ProviderRejected, ProviderTimedOut, RateLimited
from otp_app.phone import PhoneNumber
from otp_app.verification.audit import Conversion
from otp_app.verification.background import CountryPause
from otp_app.verification.client import Client
from otp_app.verification.limits import POLICY, Limit, Scope, adjusted
from otp_app.verification.models import Channel, Flow, Status
from tests.fakes import RIGHT, FakeProvider

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from otp_app.errors import OtpError
    from otp_app.verification.service import VerificationService
    from tests.emulator import Clock

BRITISH, DUTCH = "+4474{:04}0000", "+31612{:06}"
ONE_BLOCK = "+44740012{:04}"
UNPROVED = Client(Flow("unproved"), "203.0.113.7")
OWNER = Client(Flow("owner"), "203.0.113.8")
CONFIRMED, NEW = PhoneNumber("+447500123456"), PhoneNumber("+447500123457")
RIPE = 5 * 60  # seconds
HOUR = 3600


def only(*names: str) -> tuple[Limit, ...]:
    return tuple(limit for limit in POLICY if limit.name in names)


PAUSE = only("LIMIT_SEND_COUNTRY_PAUSE")


@pytest.fixture
def service(verifications: VerificationService) -> VerificationService:
    return replace(verifications, limits=PAUSE)


@pytest.fixture
def breaker(service: VerificationService) -> CountryPause:
    return breaker_of(service)


def breaker_of(service: VerificationService) -> CountryPause:
    return CountryPause(service.store, service.limiter, service.limits, service.now)


def client(index: int) -> Client:
    return Client(Flow(f"flow-{index}"), f"198.51.100.{index}")


async def by_country(
    service: VerificationService, since: datetime, until: datetime
) -> Mapping[str, Conversion]:
    limiter = service.limiter
    return await service.store.read(
        lambda tx: limiter.conversions(limiter.within(tx)).by_country(since, until)
    )


async def verify(
    service: VerificationService, count: int, approved: int, form: str = BRITISH
) -> None:
    """Have *count* numbers get a message, of whom *approved* type its code."""
    for index in range(count):
        started = await service.start(client(index), PhoneNumber(form.format(index)), Channel.SMS)
        if index < approved:
            await service.check(client(index), started.id, RIGHT)


async def is_sent(service: VerificationService, form: str = BRITISH, index: int = 999) -> bool:
    try:
        await service.start(UNPROVED, PhoneNumber(form.format(index)), Channel.SMS)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize(
    ("sent", "approved", "goes_on"),
    [(20, 0, False), (20, 3, False), (20, 4, True), (19, 0, True), (40, 7, False)],
)
async def test_a_country_of_too_few_successes_is_paused(
    service: VerificationService,
    breaker: CountryPause,
    clock: Clock,
    sent: int,
    approved: int,
    *,
    goes_on: bool,
) -> None:
    await verify(service, sent, approved)
    clock.tick(RIPE)

    await breaker.review()

    assert await is_sent(service) is goes_on


@pytest.mark.parametrize(
    ("addresses", "sent", "goes_on"), [(4, 20, True), (4, 28, True), (9, 27, True), (10, 20, False)]
)
async def test_of_one_address_two_verifications_count_towards_a_pause(
    service: VerificationService,
    breaker: CountryPause,
    clock: Clock,
    addresses: int,
    sent: int,
    *,
    goes_on: bool,
) -> None:
    for index in range(sent):
        who = replace(client(index), address=f"198.51.100.{index % addresses}")
        await service.start(who, PhoneNumber(BRITISH.format(index)), Channel.SMS)
    clock.tick(RIPE)

    await breaker.review()

    assert await is_sent(service) is goes_on


async def test_an_api_key_counts_as_one_address(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    for index in range(20):
        program = replace(client(index), key="shop")
        await service.start(program, PhoneNumber(BRITISH.format(index)), Channel.SMS)
    clock.tick(RIPE)

    await breaker.review()

    assert await is_sent(service)


async def test_of_an_address_that_is_counted_in_part_chance_decides_what_counts(
    service: VerificationService, clock: Clock
) -> None:
    """A pumper who could choose would confirm those that count, and pump with the others."""
    for index in range(96):
        who = replace(client(index), address=f"198.51.100.{index // 6}")
        started = await service.start(who, PhoneNumber(BRITISH.format(index)), Channel.SMS)
        if index % 6 < 3:
            await service.check(who, started.id, RIGHT)
    now = clock.now()

    found = await by_country(service, now - timedelta(hours=1), now)

    assert found["GB"].sent == 32
    assert 3 < found["GB"].approved < 29  # of 32, each with one chance in two


async def test_a_message_that_is_sent_again_from_elsewhere_is_the_same_verification(
    service: VerificationService, clock: Clock
) -> None:
    started = await service.start(client(1), PhoneNumber(BRITISH.format(1)), Channel.SMS)
    clock.tick(31)
    moved = replace(client(1), address="203.0.113.99")
    await service.resend(moved, started.id, Channel.SMS)
    now = clock.now()

    found = await by_country(service, now - timedelta(hours=1), now)

    assert found == {"GB": Conversion(1, 0)}


@pytest.fixture
async def paused(verifications: VerificationService, clock: Clock) -> VerificationService:
    """The service in a pause of Great Britain, where one number was confirmed before."""
    names = ("LIMIT_SEND_COUNTRY_PAUSE", "LIMIT_SEND_COUNTRY_CONFIRMED")
    service = replace(verifications, limits=only(*names))
    mine = await service.start(OWNER, CONFIRMED, Channel.SMS)
    await service.check(OWNER, mine.id, RIGHT)
    clock.tick(24 * HOUR)
    await verify(service, 20, approved=0)
    clock.tick(RIPE)
    await breaker_of(service).review()
    assert not await is_sent(service)
    return service


@pytest.mark.parametrize(
    ("who", "phone"),
    [
        (Client(Flow("owner without a cookie"), "203.0.113.8"), CONFIRMED),
        (Client(Flow("program"), "203.0.113.9", key="shop"), NEW),
    ],
    ids=["a confirmed number", "an API key"],
)
async def test_in_a_pause_a_confirmed_number_and_an_api_key_still_get_a_code(
    paused: VerificationService,
    clock: Clock,
    who: Client,
    phone: PhoneNumber,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()

    sent = await paused.start(who, phone, Channel.SMS)
    clock.tick(30)
    await paused.resend(who, sent.id, Channel.SMS)

    assert (await paused.check(who, sent.id, RIGHT)).status is Status.APPROVED
    assert "limit.exceeded" not in capsys.readouterr().out


async def test_in_a_pause_confirmed_numbers_and_api_keys_get_twelve_messages_an_hour(
    paused: VerificationService, clock: Clock
) -> None:
    def asks(index: int) -> Client:
        return replace(client(100 + index), key="shop" if index % 2 else "")

    assert [await _sends(paused, asks(i), CONFIRMED) for i in range(14)] == [True] * 12 + [
        False
    ] * 2

    clock.tick(HOUR)
    assert all([await _sends(paused, asks(i), CONFIRMED) for i in range(20, 40)])  # it is over


async def test_without_a_pause_confirmed_numbers_have_the_whole_limit(
    paused: VerificationService, clock: Clock
) -> None:
    clock.tick(HOUR)

    assert all([await _sends(paused, client(100 + i), CONFIRMED) for i in range(20)])


@pytest.mark.parametrize(
    ("whole", "most", "window"),
    [
        ("LIMIT_SEND_COUNTRY", 60, timedelta(hours=1)),
        ("LIMIT_SEND_TOTAL", 200, timedelta(hours=1)),
        ("LIMIT_SEND_TOTAL_DAY", 1000, timedelta(days=1)),
    ],
)
async def test_new_numbers_leave_a_fifth_to_confirmed_numbers_and_api_keys(
    verifications: VerificationService, whole: str, most: int, window: timedelta
) -> None:
    rows = [limit for limit in POLICY if whole in (limit.name, limit.part_of)]
    rows = [limit for limit in rows if limit.scope is not Scope.COUNTRY_CONFIRMED]
    assert [(row.amount, row.window) for row in rows] == [(most, window), (most * 4 // 5, window)]
    service = replace(verifications, limits=())
    mine = await service.start(OWNER, CONFIRMED, Channel.SMS)
    await service.check(OWNER, mine.id, RIGHT)
    service = replace(service, limits=adjusted(rows, {whole: (10, window)}))

    new = [await _sends(service, client(i), PhoneNumber(BRITISH.format(i))) for i in range(10)]
    confirmed = await _sends(service, client(100), CONFIRMED)
    program = await _sends(service, replace(client(101), key="shop"), NEW)

    assert new == [True] * 8 + [False] * 2
    assert (confirmed, program) == (True, True)
    assert not await _sends(service, client(102), CONFIRMED)  # ten in all, as ever


async def test_other_countries_go_on(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    await verify(service, 20, approved=0)
    clock.tick(RIPE)
    await breaker.review()

    assert await is_sent(service, DUTCH)


async def test_the_refusal_says_when_it_ends_and_the_operator_hears_of_it_once(
    service: VerificationService,
    breaker: CountryPause,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await verify(service, 25, approved=2)
    clock.tick(RIPE)
    for _ in range(3):
        await breaker.review()

    with pytest.raises(RateLimited) as caught:
        await service.start(UNPROVED, PhoneNumber(BRITISH.format(999)), Channel.SMS)

    assert caught.value.params["until"] == clock.now() + timedelta(hours=1)
    assert caught.value.scope == "other"
    (alarm,) = [line for line in capsys.readouterr().out.splitlines() if "country.paused" in line]
    assert "[error" in alarm
    assert all(part in alarm for part in ("country=GB", "sent=25", "approved=2"))


async def test_codes_that_are_out_can_still_be_typed_but_no_more_are_sent(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    await verify(service, 20, approved=0)
    clock.tick(RIPE)
    mine = await service.start(UNPROVED, PhoneNumber(BRITISH.format(999)), Channel.SMS)
    await breaker.review()
    clock.tick(30)

    with pytest.raises(RateLimited):
        await service.resend(UNPROVED, mine.id, Channel.SMS)
    assert (await service.check(UNPROVED, mine.id, RIGHT)).status is Status.APPROVED


async def test_after_the_pause_it_works_again_and_starts_anew(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    await verify(service, 20, approved=0)
    clock.tick(RIPE)
    await breaker.review()

    clock.tick(HOUR - 1)
    await breaker.review()
    assert not await is_sent(service)
    clock.tick(1)
    await breaker.review()

    assert await is_sent(service)


async def test_a_message_on_its_way_is_no_failure(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    await verify(service, 20, approved=0)
    clock.tick(RIPE - 1)
    await breaker.review()
    assert await is_sent(service)

    clock.tick(1)
    await breaker.review()
    assert not await is_sent(service, index=998)


async def test_what_was_sent_more_than_an_hour_ago_does_not_count(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    await verify(service, 10, approved=0)
    clock.tick(HOUR)
    await verify(service, 10, approved=0, form=BRITISH.replace("74{", "75{"))
    clock.tick(RIPE)

    await breaker.review()

    assert await is_sent(service)


@pytest.mark.parametrize("failure", [ProviderRejected(), ProviderTimedOut()])
async def test_a_provider_that_is_down_pauses_no_country(
    service: VerificationService,
    breaker: CountryPause,
    provider: FakeProvider,
    clock: Clock,
    failure: OtpError,
) -> None:
    provider.failures = [failure] * 30
    for index in range(30):
        with pytest.raises(type(failure)):
            await service.start(client(index), PhoneNumber(BRITISH.format(index)), Channel.SMS)
        clock.tick(10)  # too slowly for the circuit breaker
    clock.tick(RIPE)

    await breaker.review()

    assert await is_sent(service)


async def test_a_number_that_is_asked_for_again_and_again_is_one(
    service: VerificationService, breaker: CountryPause, clock: Clock
) -> None:
    for index in range(7):
        started = await service.start(
            client(index), PhoneNumber(BRITISH.format(index)), Channel.SMS
        )
        for wait in (30, 60):
            clock.tick(wait)
            await service.resend(client(index), started.id, Channel.SMS)
    clock.tick(RIPE)

    await breaker.review()

    assert await is_sent(service)


async def test_a_developer_who_never_types_a_code_is_not_paused(
    verifications: VerificationService, clock: Clock
) -> None:
    loose = Settings(app_env=AppEnv.DEVELOPMENT).limits
    names = {limit.name for limit in PAUSE}
    service = replace(verifications, limits=[limit for limit in loose if limit.name in names])
    await verify(service, 60, approved=0)
    clock.tick(RIPE)

    await breaker_of(service).review()

    assert await is_sent(service)


@pytest.mark.parametrize(("approved", "most"), [(0, 10), (2, 10), (3, 12)])
async def test_a_block_whose_numbers_confirm_has_no_limit_of_its_own(
    verifications: VerificationService, clock: Clock, approved: int, most: int
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_PREFIX"))
    await verify(service, 10, approved, form=ONE_BLOCK)
    assert await sends(service, range(20, 22)) == [False, False]

    clock.tick(RIPE)

    assert 10 + sum(await sends(service, range(30, 32))) == most


async def test_a_block_is_trusted_by_five_verifications_and_for_a_day(
    verifications: VerificationService, clock: Clock
) -> None:
    service = replace(verifications, limits=only("LIMIT_SEND_PREFIX"))
    await verify(service, 4, approved=4, form=ONE_BLOCK)
    clock.tick(RIPE)
    assert sum(await sends(service, range(30, 42))) == 6  # ten in all: four are too few to trust

    clock.tick(HOUR)
    assert sum(await sends(service, range(50, 62))) == 12  # four of ten
    clock.tick(24 * HOUR)
    assert sum(await sends(service, range(70, 82))) == 10  # nothing is known any more


async def sends(service: VerificationService, indexes: Sequence[int]) -> list[bool]:
    return [
        await _sends(service, client(index), PhoneNumber(ONE_BLOCK.format(index)))
        for index in indexes
    ]


async def _sends(service: VerificationService, who: Client, phone: PhoneNumber) -> bool:
    try:
        await service.start(who, phone, Channel.SMS)
    except RateLimited:
        return False
    return True

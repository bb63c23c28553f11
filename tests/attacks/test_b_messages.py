"""B: making us send messages. Messages are counted at the provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.backend.client import STATE, frame

if TYPE_CHECKING:
    from tests.attacks.world import World

FOREIGN = [
    "+1 876 555 0123",  # Jamaica, which shares the calling code of the United States
    "+1 264 235 1234",  # Anguilla
    "+1 787 234 5678",  # Puerto Rico: a region of its own
    "+44 7911 123456",  # Guernsey, which shares the calling code of the United Kingdom
    "+44 7700 300000",  # the Isle of Man or Jersey
    "+7 912 345 67 89",
    "+３３ ６ １２ ３４ ５６ ７８",
    "0033612345678",
]
COSTLY = [
    "+1 900 234 5678",  # premium
    "+1 800 234 5678",  # toll-free
    "+44 909 879 0000",  # premium
    "+44 845 464 0000",  # shared cost
    "+44 7640 123456",  # pager
    "+44 5512 345678",  # UAN
    "+44 70 1234 5678",  # personal
    "+870 773 111 632",  # satellite
    "+881 6 12345678",
    "+882 13 1234567",
    "+883 510 012345678",
    "+979 123456789",  # international premium rate, without a country
    "+808 12345678",
    "911",
    "12345",
    "+1 212 555 0100 ext. 9",
    "+1 212 555 0100;ext=9",
]


def test_fifty_clicks_send_one_message(world: World) -> None:
    """B1: the test clicks every button that sends."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)

    statuses = {me.ask(number.e164).status for _ in range(10)}
    with me.tab("/code") as tab:
        for form in 8 * ({}, {"channel": "voice"}):
            tab.session.send_text(frame(f"{STATE}.resend", {"form": form}, "/code"))
        tab.flush()
    statuses |= {answer.status for answer in me.at_once([me.asking(number.e164)] * 30)}

    assert statuses <= {303, 503}
    assert world.sent() == 1


def test_a_form_and_a_page_at_the_same_moment_send_one_message(world: World) -> None:
    """B2."""
    me, number = world.attacker(), world.number()
    form = {"phone": number.national, "country": "US", "channel": "sms"}

    with me.tab() as first, me.tab() as second:
        for tab in (first, second):
            tab.session.send_text(frame(f"{STATE}.request_code", {"form": form}))
        me.at_once([me.asking(number.e164)] * 20)
        first.flush()
        second.flush()

    assert len(world.asked("twilio.start")) == 1
    assert world.sent() == 1


def test_twenty_browsers_at_the_same_moment_send_one_message(world: World) -> None:
    """B2: the browsers have twenty addresses and one number."""
    number = world.number()
    me = world.attacker()
    requests = [world.attacker().asking(number.e164) for _ in range(20)]

    statuses = [answer.status for answer in me.at_once(requests)]

    assert set(statuses) <= {303, 429, 503}
    assert len(world.asked("twilio.start")) == statuses.count(303) == 1


def test_an_address_gets_five_messages_in_fifteen_minutes(world: World) -> None:
    """B3: each message has a new browser and a new number."""
    answers = [world.attacker("203.0.113.3").ask(world.number().e164) for _ in range(6)]

    assert [answer.status for answer in answers] == [303] * 5 + [429]
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert world.sent() == 5


def test_a_browser_gets_five_messages_in_fifteen_minutes_wherever_it_is(world: World) -> None:
    """B3: the messages go to three numbers, each from a new address."""
    me = world.attacker()
    for number in (world.number(), world.number(), world.number()):
        for _ in range(2):
            me.address = world.client_without_cookie().address
            me.ask(number.e164)
            world.later(61)

    assert world.sent() == 5


def test_a_number_gets_five_messages_an_hour_and_ten_a_day(world: World) -> None:
    """B4: the limit holds over browsers, addresses and channels."""
    number = world.number()
    sent = []
    for _hour in range(4):
        for place in range(6):
            world.attacker().ask(number.e164, channel=("sms", "voice")[place % 2])
            world.later(599)
        sent.append(world.sent(number))

    assert sent == [5, 10, 10, 10]


def test_lists_of_numbers_are_not_worked_through(world: World) -> None:
    """B6: a browser reaches three new numbers a day, an address five."""
    me = world.attacker()
    for _ in range(10):
        me.ask(world.number().e164)
        world.later(901)
    assert world.sent() == 3

    for _ in range(10):
        world.attacker("203.0.113.6").ask(world.number().e164)
        world.later(901)
    assert world.sent() == 3 + 5


@pytest.mark.parametrize(
    "forged",
    [
        "{fresh}, {mine}",
        "junk, ::1, {fresh},{mine}",
        f"{'9' * 300}, {{mine}}",
        "127.0.0.1, , {mine} ",
    ],
)
def test_what_a_client_says_of_its_address_counts_for_nothing(world: World, forged: str) -> None:
    """B9: only the last entry of X-Forwarded-For, which the proxy adds, counts."""
    statuses = []
    for place in range(6):
        me = world.attacker()
        mine, fresh = "203.0.113.99", f"198.51.100.{place}"
        me.address = forged.format(mine=mine, fresh=fresh)
        request = me.request(
            "POST",
            "/request-otp",
            f"number=%2B{world.number().e164[1:]}",
            {"X-Real-IP": fresh, "Forwarded": f"for={fresh}", "CF-Connecting-IP": fresh},
        )
        statuses.append(me.exchange(request).status)

    assert statuses == [303] * 5 + [429]


def test_addresses_within_one_ipv6_network_are_one(world: World) -> None:
    """B9."""
    statuses = [
        world.attacker(f"2001:db8:7:7:{place:x}::{place:x}").ask(world.number().e164).status
        for place in range(6)
    ]

    assert statuses == [303] * 5 + [429]


def test_many_64s_of_one_48_get_forty_messages_in_fifteen_minutes(world: World) -> None:
    """S8."""
    statuses = [
        world.attacker(f"2001:db8:8:{place:x}::1").ask(world.number().e164).status
        for place in range(45)
    ]

    assert statuses == [303] * 40 + [429] * 5


def test_what_is_no_address_is_the_proxys_own(world: World) -> None:
    """B9: invalid addresses are not counted as many clients."""
    junk = ["not-an-ip", "1.2.3.4.5", "<script>", "unknown", "fe80::1%eth0", "0x7f.1"]

    statuses = [world.attacker(word).ask(world.number().e164).status for word in junk]

    assert statuses == [303] * 5 + [429]


@pytest.mark.parametrize("number", COSTLY)
def test_a_number_that_costs_a_fortune_gets_nothing(world: World, number: str) -> None:
    """B10."""
    for channel in ("sms", "voice"):
        assert world.attacker().ask(number, country="US", channel=channel).status == 422
    assert world.asked("twilio.start") == []


@pytest.mark.parametrize("number", FOREIGN)
@pytest.mark.parametrize("country", ["US", "GB", "JM", "001", "", "us"])
def test_a_country_that_is_not_served_gets_nothing(world: World, number: str, country: str) -> None:
    """B11: the number's own country decides, not the country in the form."""
    assert world.client_without_cookie().get("/ping").status == 200
    assert world.attacker().ask(number, country=country).status == 422
    assert world.asked("twilio.start") == []


@pytest.mark.parametrize(
    "fields",
    [
        {"channel": "whatsapp"},
        {"channel": "email"},
        {"channel": "CALL"},
        {"channel": "sms,voice"},
        {"channel": "[]"},
    ],
)
def test_only_the_ways_that_we_offer_are_used(world: World, fields: dict[str, str]) -> None:
    """B12."""
    assert world.attacker().ask(world.number().e164, **fields).status == 422
    assert world.asked("twilio.start") == []


def test_what_the_form_has_not_is_not_passed_on(world: World) -> None:
    """B12: the provider gets only known fields."""
    number = world.number()
    answer = world.attacker().ask(
        number.e164, Channel="call", workflow='[{"channel":"voice"}]', Locale="xx", CustomCode="1"
    )

    assert answer.status == 303
    [start] = world.asked("twilio.start")
    assert {**start.body, "Locale": ""} == {"To": number.e164, "Channel": "sms", "Locale": ""}
    assert start.body["Locale"] != "xx"


def test_an_unproved_client_does_not_learn_what_we_know_of_a_number(world: World) -> None:
    """B13: the response is the same for a number in any state.

    The states are unknown, unfinished, verified and failed.
    """
    unknown, asked, verified, failed = (world.number() for _ in range(4))
    world.attacker().ask(asked.e164)
    owner = world.attacker()
    owner.ask(verified.e164)
    assert owner.guess(world.code(verified)).is_yes
    guesser = world.attacker()
    guesser.ask(failed.e164)
    for _ in range(5):
        guesser.guess(world.wrong(failed))
    world.later(601)

    answers = [world.attacker().ask(n.e164) for n in (unknown, asked, verified, failed)]

    told = {
        (answer.status, answer.text, *sorted(set(answer.headers.keys()) - {"Date"}))
        for answer in answers
    }
    assert len(told) == 1
    assert {answer.status for answer in answers} == {303}
    assert {answer.headers["Location"] for answer in answers} == {"/verify-otp"}

"""A: guessing the code. Guesses are counted at the provider."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.backend.client import STATE, frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.world import World

FIVE_MINUTES, LIFETIME, HOUR = 300, 601, 3600  # seconds
CHECK = f"{STATE}.check_code"


def test_one_browser_gets_five_guesses_by_whatever_way(world: World) -> None:
    """A1."""
    me, number = world.attacker(), world.number()
    assert me.ask(number.e164).status == 303
    wrong = world.wrong(number)

    with me.tab("/code") as tab:
        for _ in range(2):
            me.guess(wrong)
            tab.send(CHECK, {"form": {"code": wrong}}, "/code")
        answers = [me.guess(wrong) for _ in range(4)]
        for _ in range(4):
            tab.send(CHECK, {"form": {"code": wrong}}, "/code")

    assert world.guesses == 5
    assert {answer.status for answer in answers} == {429}
    assert all(0 < int(answer.headers["Retry-After"]) <= 600 for answer in answers)
    world.later(FIVE_MINUTES)
    assert [me.guess(wrong).status for _ in range(12)] == [429] * 12
    assert me.guess(world.code(number)).is_yes is False
    assert world.guesses == 5


def test_guesses_at_a_number_end_whoever_makes_them_from_wherever(world: World) -> None:
    """A2, A3: a number gets forty a day, and each attacker has a new cookie and address."""
    number = world.number()
    for place in range(12):
        me = world.attacker()
        if me.ask(number.e164).status == 303:
            wrong = world.wrong(number)
            assert not any(me.guess(wrong).is_yes for _ in range(6))
        if place == 5:  # the first hour is over
            assert (world.sent(number), world.guesses) == (5, 20)
        world.later(LIFETIME)

    assert (world.sent(number), world.guesses) == (10, 40)


def test_one_address_gets_ten_guesses_in_five_minutes_over_all_numbers(world: World) -> None:
    """A4."""
    victims = [(world.attacker(), world.number()) for _ in range(14)]
    for victim, number in victims:
        assert victim.ask(number.e164).status == 303
        victim.address = "203.0.113.4"

    statuses = [victim.guess(world.wrong(number)).status for victim, number in victims]

    assert statuses == [409] * 10 + [429] * 4
    assert world.guesses == 10


@pytest.mark.parametrize("_trial", range(3))
def test_fifty_guesses_at_the_same_moment_are_five(world: World, _trial: int) -> None:
    """A6: the last byte of each of fifty requests is held back until all are there."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)

    answers = me.at_once([me.guessing(world.wrong(number))] * 50)

    # 503: on a busy machine, a request waited a second for the database and made no guess.
    assert {answer.status for answer in answers} <= {409, 429, 503}
    assert 1 <= world.guesses <= 5


def test_guesses_over_sockets_tabs_and_forms_at_once_are_five(world: World) -> None:
    """A7."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    wrong = world.wrong(number)
    guess = frame(CHECK, {"form": {"code": wrong}}, "/code")

    with ExitStack() as stack:
        tabs = [stack.enter_context(me.tab("/code")) for _ in range(10)]
        for tab in tabs:
            tab.session.send_text(guess)
            tab.session.send_text(guess)
        me.at_once([me.guessing(wrong)] * 20)
        for tab in tabs:
            tab.flush()

    assert 1 <= world.guesses <= 5


def test_a_new_message_gives_no_guess_back(world: World) -> None:
    """A8."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    for _ in range(4):
        me.guess(world.wrong(number))
    world.later(31)
    assert me.ask(number.e164).status == 303
    assert world.sent(number) == 2

    for _ in range(4):
        me.guess(world.wrong(number))

    assert world.guesses == 5


def test_a_success_gives_an_address_no_guess_back(world: World) -> None:
    """A9: after nine failures and a success with the attacker's own number, no guess is left."""
    address = "203.0.113.9"
    for failures in (5, 4):
        me, number = world.attacker(address), world.number()
        me.ask(number.e164)
        for _ in range(failures):
            me.guess(world.wrong(number))
    me, own = world.attacker(address), world.number()
    me.ask(own.e164)
    assert me.guess(world.code(own)).is_yes

    me, number = world.attacker(address), world.number()
    me.ask(number.e164)

    assert [me.guess(world.wrong(number)).status for _ in range(9)] == [429] * 9
    assert world.guesses == 10


def test_a_restart_gives_nothing_back(world: World) -> None:
    """A10: guesses and messages stay used after a restart and a change of provider."""
    pumped, guessed = world.number(), world.number()
    for _ in range(5):
        assert world.attacker().ask(pumped.e164).status == 303
        world.later(LIFETIME)
    me = world.attacker()
    me.ask(guessed.e164)
    wrong = world.wrong(guessed)
    for _ in range(3):
        me.guess(wrong)

    with other_provider(world):
        for number in (pumped, guessed):
            assert world.attacker().ask(number.e164).status == 429
        for _ in range(3):
            me.guess(wrong)

    assert world.guesses == 5
    assert (world.sent(pumped), world.sent(guessed)) == (5, 1)


def test_another_way_of_writing_or_of_sending_gives_nothing_back(world: World) -> None:
    """A10: another format or channel is tried within the 30 seconds between two messages."""
    number = world.number()
    full_width = "".join(chr(ord(digit) + 0xFEE0) for digit in number.national)
    spellings = [
        number.e164,
        number.typed,
        f"00{number.e164[1:]}",
        f"tel:{number.e164}",
        full_width,
        "\u200b".join(number.e164),
        f"  {number.national} ",
    ]
    statuses = [
        world.attacker().ask(spelling, country="US", channel=channel).status
        for spelling in spellings
        for channel in ("sms", "voice")
    ]

    assert statuses == [303] + [429] * 13
    assert world.sent(number) == 1


def test_a_near_miss_is_told_as_a_miss(world: World) -> None:
    """A13: five right digits of six count as a wrong code."""
    answers = []
    for differing in (0, 5):
        me, number = world.attacker(), world.number()
        me.ask(number.e164)
        code = list(world.code(number))
        code[differing] = str((int(code[differing]) + 1) % 10)
        answers.append(me.guess("".join(code)))

    near, far = answers
    assert near.status == far.status == 409
    assert near.text.replace(_typed(near.text), "") == far.text.replace(_typed(far.text), "")


def test_what_is_not_there_is_told_alike_whatever_is_guessed(world: World) -> None:
    """A13: a browser without a verification learns nothing about verifications of others."""
    victim, number = world.attacker(), world.number()
    victim.ask(number.e164)
    me = world.attacker()

    answers = [me.guess(code) for code in (world.code(number), world.wrong(number))]

    assert len({(a.status, a.text.replace(_typed(a.text), "")) for a in answers}) == 1
    assert world.guesses == 0


@contextmanager
def other_provider(world: World) -> Iterator[None]:
    """Restart the app with Vonage as the provider, and with Twilio again after the test."""
    world.server.restart(OTP_PROVIDER="vonage")
    try:
        yield
    finally:
        world.server.restart(OTP_PROVIDER="twilio")


def _typed(text: str) -> str:
    return text.partition(' value="')[2].partition('"')[0]

"""S5: Twilio gives all browsers that verify a number one code, and five guesses in all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.attacker import Attacker
    from tests.attacks.world import World
    from tests.browser.numbers import Number
    from tests.emulator.messages import Message

FROM_NOW = 31  # seconds; a number gets one message in thirty


@pytest.fixture
def strict(world: World) -> Iterator[World]:
    """Yield the world, and give Twilio its documented limits again after the test."""
    twilio = world.emulator.twilio
    before = twilio.max_checks, twilio.locked_code
    yield world
    twilio.max_checks, twilio.locked_code = before


def ask(world: World, number: Number, *people: Attacker) -> None:
    """Request a code to *number* for each of *people*, one after the other."""
    for person in people:
        assert person.ask(number.e164).status == 303
        world.later(FROM_NOW)


def test_five_wrong_codes_in_another_browser_leave_the_victim_the_right_code(world: World) -> None:
    victim, other, number = world.attacker(), world.attacker(), world.number()
    ask(world, number, victim, other)
    assert len({message.reference for message in messages_to(world, number)}) == 1

    answers = [other.guess(world.wrong(number)).status for _ in range(5)]

    assert answers == [409, 429, 429, 429, 429]
    assert world.guesses == 2
    assert victim.guess(world.code(number)).is_yes


def test_an_attacker_who_asks_first_leaves_the_victim_the_right_code(world: World) -> None:
    victim, other, number = world.attacker(), world.attacker(), world.number()
    ask(world, number, other, victim)

    answers = [other.guess(world.wrong(number)).status for _ in range(5)]

    assert answers == [409, 409, 429, 429, 429]
    assert world.guesses == 3
    assert victim.guess(world.code(number)).is_yes


def test_a_code_that_an_attacker_has_used_up_is_replaced_for_the_victim(
    world: World,
) -> None:
    victim, other, number = world.attacker(), world.attacker(), world.number()
    ask(world, number, other)
    old = world.code(number)
    for _ in range(5):
        other.guess(world.wrong(number))
    assert world.guesses == 5

    ask(world, number, victim)

    assert len({message.reference for message in messages_to(world, number)}) == 2
    assert not other.guess(old).is_yes
    assert victim.guess(world.code(number)).is_yes


def test_a_third_browser_gets_no_message_and_takes_no_guess(world: World) -> None:
    victim, other, number = world.attacker(), world.attacker(), world.number()
    ask(world, number, victim, other)

    for third in (world.attacker(), world.attacker()):
        answer = third.ask(number.e164)
        assert answer.status == 409
        assert "busy with an earlier code" in answer.text
        assert third.guess(world.wrong(number)).status == 404

    assert world.sent(number) == 2
    assert other.guess(world.wrong(number)).status == 409
    assert victim.guess(world.code(number)).is_yes


def test_a_code_that_is_used_up_outside_of_the_app_locks_nobody(strict: World) -> None:
    """Another program may use the same Verify service, and the app does not see its guesses."""
    victim, number = strict.attacker(), strict.number()
    strict.emulator.twilio.max_checks, strict.emulator.twilio.locked_code = 0, 0
    ask(strict, number, victim)

    told = victim.guess(strict.code(number))
    again = victim.exchange(victim.request("POST", "/resend-otp"))
    strict.emulator.twilio.max_checks = 5

    assert told.status == 410
    assert "wrong codes were entered for this number in another browser" in told.text
    assert again.status == 303
    assert victim.guess(strict.code(number)).is_yes


def test_a_number_that_twilio_holds_back_is_busy_and_not_locked(strict: World) -> None:
    victim, number = strict.attacker(), strict.number()
    strict.emulator.twilio.max_checks = 0
    ask(strict, number, victim)
    assert victim.guess(strict.code(number)).status == 410
    strict.emulator.twilio.max_checks = 5

    held_back = victim.exchange(victim.request("POST", "/resend-otp"))
    strict.later(601)  # Twilio refuses the number until the code expires

    assert held_back.status == 409
    assert "busy with an earlier code" in held_back.text
    ask(strict, number, victim)
    assert victim.guess(strict.code(number)).is_yes


def messages_to(world: World, number: Number) -> list[Message]:
    return [message for message in world.emulator.messages if message.to == number.e164]

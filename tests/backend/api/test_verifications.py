"""Verifications as resources: their operations, and the callers that may use them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import ProviderTimedOut
from otp_app.verification.models import Channel
from tests.backend.api.conftest import NUMBER, OTHER_NUMBER
from tests.backend.conftest import offer
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.backend.api.conftest import Caller
    from tests.emulator import Clock
    from tests.fakes import FakeProvider


@pytest.fixture(params=["page", "shop"])
def caller(request: pytest.FixtureRequest) -> Caller:
    """Return a browser with our cookie, and a program with a key."""
    who: Caller = request.getfixturevalue(request.param)
    return who


def test_it_is_created_read_checked_and_stays_approved(
    caller: Caller, provider: FakeProvider
) -> None:
    created = caller.create()
    id_ = created.json()["id"]

    assert created.status_code == 201
    assert created.headers["location"] == f"/api/v1/verifications/{id_}"
    assert created.json() == caller.read(id_).json()
    assert created.json()["status"] == "pending"
    assert created.json()["ending"] == "456"
    approved = caller.check(id_, RIGHT)
    assert (approved.status_code, approved.json()["status"]) == (200, "approved")
    assert caller.read(id_).json()["status"] == "approved"
    assert "reference" not in created.text + approved.text
    assert NUMBER not in created.text + approved.text
    assert len(provider.sent) == 1


def test_a_wrong_code_is_a_problem_that_tells_what_is_left(caller: Caller) -> None:
    answer = caller.check(caller.created(), WRONG)

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["content-language"] == "en"
    problem = answer.json()
    assert problem["type"] == "/api/docs#code_mismatch"
    assert (problem["code"], problem["status"]) == ("code_mismatch", 409)
    assert problem["attempts_left"] == 4
    assert problem["detail"].startswith("That code does not match")


def test_a_code_travels_by_the_channel_that_is_asked_for(
    caller: Caller, provider: FakeProvider, clock: Clock
) -> None:
    id_ = caller.create(channel="voice").json()["id"]
    clock.tick(30)
    again = caller.resend(id_, channel="sms")

    assert [channel for _, channel in provider.sent] == [Channel.VOICE, Channel.SMS]
    assert (again.status_code, again.json()["channel"]) == (200, "sms")
    assert (again.json()["id"], again.json()["sends"]) == (id_, 2)


def test_without_a_channel_a_code_travels_by_the_first_and_then_as_before(
    caller: Caller, provider: FakeProvider, clock: Clock
) -> None:
    offer(Channel.WHATSAPP, Channel.SMS)
    id_ = caller.created()
    clock.tick(30)
    caller.resend(id_, channel="sms")
    clock.tick(60)
    again = caller.resend(id_)

    assert [channel for _, channel in provider.sent] == [
        *(Channel.WHATSAPP, Channel.SMS),
        Channel.SMS,
    ]
    assert again.json()["channel"] == "sms"


def test_a_channel_that_is_not_offered_is_a_problem_that_names_those_that_are(
    caller: Caller, provider: FakeProvider
) -> None:
    refused = caller.create(channel="whatsapp")

    assert (refused.status_code, refused.json()["code"]) == (422, "channel_not_offered")
    assert refused.json()["detail"] == "Choose “Text message” or “Call me”"
    assert provider.sent == []


def test_a_resend_that_is_too_early_says_when_it_is_not(caller: Caller, clock: Clock) -> None:
    id_ = caller.created()
    clock.tick(10)

    answer = caller.resend(id_)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "20")


def test_what_is_over_is_begun_anew_by_a_resend(
    caller: Caller, clock: Clock, provider: FakeProvider
) -> None:
    id_ = caller.created()
    clock.tick(600)
    assert caller.read(id_).json()["status"] == "expired"

    anew = caller.resend(id_)

    assert anew.status_code == 200
    assert anew.json()["id"] != id_
    assert caller.check(anew.json()["id"], RIGHT).status_code == 200
    assert len(provider.sent) == 2


def test_what_is_given_up_is_gone(caller: Caller, provider: FakeProvider) -> None:
    id_ = caller.created()

    assert caller.cancel(id_).status_code == 204
    after = [caller.read(id_), caller.check(id_, RIGHT), caller.resend(id_), caller.cancel(id_)]

    assert [answer.status_code for answer in after] == [404] * 4
    assert provider.checked == []


def test_what_is_over_cannot_be_given_up(caller: Caller, clock: Clock) -> None:
    id_ = caller.created()
    caller.check(id_, RIGHT)
    assert caller.cancel(id_).json()["code"] == "already_verified"

    other = caller.created(OTHER_NUMBER)
    clock.tick(600)
    assert caller.cancel(other).json()["code"] == "verification_expired"


def test_nobody_else_can_do_anything_with_it(
    caller: Caller, other_page: Caller, bank: Caller, provider: FakeProvider
) -> None:
    id_ = caller.created()
    answers = [
        answer
        for who in (other_page, bank)
        for answer in (who.read(id_), who.check(id_, RIGHT), who.resend(id_), who.cancel(id_))
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert provider.checked == []
    assert caller.read(id_).json()["status"] == "pending"


def test_who_is_nobody_can_do_nothing_with_it(caller: Caller, nobody: Caller) -> None:
    id_ = caller.created()
    answers = [
        nobody.read(id_),
        nobody.check(id_, RIGHT),
        nobody.resend(id_),
        nobody.cancel(id_),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


def test_who_creates_without_a_cookie_gets_one_and_needs_it(nobody: Caller) -> None:
    created = nobody.create()
    id_ = created.json()["id"]
    browser = replace(nobody, headers={"cookie": created.headers["set-cookie"].partition(";")[0]})

    assert nobody.read(id_).status_code == 401
    assert browser.check(id_, RIGHT).status_code == 200


def test_a_lost_answer_leaves_the_cookie_to_ask_again_with(
    nobody: Caller, provider: FakeProvider, clock: Clock
) -> None:
    """With a cookie, the second request is known to be of the same browser as the first."""
    provider.failures = [ProviderTimedOut()]
    lost = nobody.create()
    assert lost.status_code == 504
    browser = replace(nobody, headers={"cookie": lost.headers["set-cookie"].partition(";")[0]})

    assert browser.create().json()["code"] == "resend_too_soon"
    clock.tick(30)
    assert browser.create().status_code == 201


def test_a_program_verifies_many_numbers_at_once(shop: Caller) -> None:
    ids = [shop.created(number) for number in (NUMBER, OTHER_NUMBER)]

    assert [shop.check(id_, RIGHT).status_code for id_ in ids] == [200, 200]


def test_head_answers_as_get_does_and_without_a_body(shop: Caller) -> None:
    path = f"/api/v1/verifications/{shop.created()}"

    answer = shop.request("HEAD", path)

    assert (answer.status_code, answer.content) == (200, b"")
    assert shop.request("HEAD", "/api/v1/verifications/unknown").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api", 404),
        ("GET", "/api/", 404),
        ("GET", "/api/nowhere", 404),
        ("POST", "/api/v1", 404),
        ("GET", "/api/v1/verifications", 405),
        ("PUT", "/api/v1/verifications", 405),
        ("PATCH", "/api/v1/verifications/x", 405),
        ("GET", "/api/otp/verify", 405),
        ("POST", "/health", 405),
        ("POST", "/api/docs", 405),
    ],
)
def test_what_is_not_there_is_told_as_json(
    nobody: Caller, method: str, path: str, status: int
) -> None:
    answer = nobody.request(method, path)

    assert answer.status_code == status
    assert answer.json()["code"] == {404: "path_unknown", 405: "method_not_allowed"}[status]


def test_all_methods_of_a_path_are_named(nobody: Caller) -> None:
    answer = nobody.request("PUT", "/api/v1/verifications/x")

    assert answer.headers["allow"] == "GET, HEAD, DELETE"

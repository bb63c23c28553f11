"""Errors and codes are in the language that the caller requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otp_app import routes
from otp_app.i18n import languages
from tests.backend.api.conftest import NUMBER
from tests.fakes import WRONG

if TYPE_CHECKING:
    from otp_app.i18n import Language
    from tests.backend.api.conftest import Caller
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

CREATE = routes.VERIFICATIONS


@pytest.mark.parametrize("language", languages().values(), ids=lambda language: language.tag)
def test_a_problem_is_told_in_the_language_of_the_caller(
    nobody: Caller, language: Language
) -> None:
    answer = nobody.request("GET", "/api/unknown", headers={"accept-language": language.tag})

    assert answer.headers["content-language"] == language.tag
    said = language.t("There is nothing at this address. See /api/docs")
    assert (answer.json()["code"], answer.json()["detail"]) == ("path_unknown", said)


def test_the_routes_of_the_guides_tell_theirs_in_it_too(nobody: Caller) -> None:
    answer = nobody.post(routes.TWILIO_REQUEST, {}, **{"accept-language": "nl-BE, en;q=0.5"})

    assert (answer.status_code, answer.headers["content-language"]) == (400, "nl")
    assert answer.json()["error"] == "Sommige velden zijn zo niet te gebruiken: phoneNumber"
    assert answer.json()["errors"] == [{"field": "phoneNumber", "problem": "ontbreekt"}]


def test_what_is_answered_again_is_in_the_language_of_the_first_time(
    shop: Caller, number: str
) -> None:
    id_, key = shop.created(number), {"idempotency-key": number}

    first = shop.check(id_, WRONG, **key, **{"accept-language": "de"})
    again = shop.check(id_, WRONG, **key, **{"accept-language": "fr"})

    assert first.json()["detail"].startswith("Dieser Code stimmt nicht")
    assert first.headers["content-language"] == "de"
    assert again.json() == first.json()
    assert "content-language" not in again.headers


def test_what_is_right_is_in_no_language(shop: Caller, number: str) -> None:
    answer = shop.post(CREATE, {"phone_number": number}, **{"idempotency-key": number})

    assert answer.status_code == 201
    assert "content-language" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "language"),
    [("pt", "pt-BR"), ("da, ja;q=0.1", "ja"), ("en", "en"), ("*", ""), ("da", ""), ("", "")],
)
def test_the_message_is_in_it_and_in_the_default_one_if_we_do_not_speak_it(
    shop: Caller, page: Caller, provider: FakeProvider, accept: str, language: str
) -> None:
    for caller in (shop, page):
        caller.post(CREATE, {"phone_number": NUMBER}, **{"accept-language": accept})

    assert provider.languages == [language, language]


def test_a_code_is_sent_again_in_the_language_of_who_asks_again(
    shop: Caller, clock: Clock, provider: FakeProvider, number: str
) -> None:
    path = f"{CREATE}/{shop.created(number)}/resend"
    clock.tick(30)

    answer = shop.post(path, {}, **{"accept-language": "hi"})

    assert (answer.status_code, provider.languages) == (200, ["", "hi"])

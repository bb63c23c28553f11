"""`Idempotency-Key`: a repeated request is not carried out again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest

from otp_app.errors import (
    LanguageRefused,
    ProviderNotReached,
    ProviderRejected,
    ProviderTimedOut,
    ProviderUnavailable,
)
from tests.backend.api.conftest import NUMBER, OTHER_NUMBER
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.backend.api.conftest import Caller
    from tests.emulator import Clock
    from tests.fakes import FakeProvider

CREATE = "/api/v1/verifications"
BODY = {"phone_number": NUMBER}


@pytest.fixture
def key(number: str) -> dict[str, str]:
    """Return the header with a new key."""
    return {"idempotency-key": number}


def test_the_same_answer_comes_again_and_nothing_is_sent(
    shop: Caller, provider: FakeProvider, key: dict[str, str]
) -> None:
    answers = [shop.post(CREATE, BODY, **key) for _ in "123"]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.text for answer in answers}) == 1
    assert len({answer.headers["location"] for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert replayed == [None, "true", "true"]
    assert len(provider.sent) == 1


def test_another_request_may_not_have_the_same_key(
    shop: Caller, provider: FakeProvider, key: dict[str, str]
) -> None:
    shop.post(CREATE, BODY, **key)

    others = [
        shop.post(CREATE, {"phone_number": OTHER_NUMBER}, **key),
        shop.check("x", RIGHT, **key),
    ]

    assert {answer.status_code for answer in others} == {409}
    assert {answer.json()["code"] for answer in others} == {"idempotency_key_reused"}
    assert len(provider.sent) == 1


def test_another_callers_same_key_is_another(
    shop: Caller, bank: Caller, page: Caller, provider: FakeProvider, key: dict[str, str]
) -> None:
    ids = {caller.post(CREATE, BODY, **key).json()["id"] for caller in (shop, bank, page)}

    assert len(ids) == 3
    assert len(provider.sent) == 3


def test_a_key_needs_a_caller(nobody: Caller, provider: FakeProvider, key: dict[str, str]) -> None:
    answer = nobody.post(CREATE, BODY, **key)

    assert (answer.status_code, answer.json()["code"]) == (401, "caller_unknown")
    assert provider.sent == []


def test_a_guess_is_spent_once(shop: Caller, provider: FakeProvider, key: dict[str, str]) -> None:
    id_ = shop.created()

    answers = [shop.check(id_, WRONG, **key) for _ in "123"]

    assert {answer.json()["attempts_left"] for answer in answers} == {4}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}
    assert len(provider.checked) == 1


@pytest.mark.parametrize(
    "error",
    [ProviderTimedOut(), ProviderUnavailable(), ProviderRejected()],
    ids=lambda error: error.code,
)
def test_a_start_that_may_have_been_sent_is_not_repeated(
    shop: Caller, provider: FakeProvider, key: dict[str, str], error: Exception
) -> None:
    provider.failures = [error]

    answers = [shop.post(CREATE, BODY, **key) for _ in "12"]

    assert answers[0].status_code == answers[1].status_code >= 400
    assert answers[0].json() == answers[1].json()
    assert provider.sent == []


@pytest.mark.parametrize(
    ("error", "status"), [(ProviderNotReached(), 503), (LanguageRefused(), 409)]
)
def test_what_certainly_was_not_sent_may_be_tried_again(
    shop: Caller, provider: FakeProvider, key: dict[str, str], error: Exception, status: int
) -> None:
    provider.failures = [error]

    answers = [shop.post(CREATE, BODY, **key) for _ in "12"]

    assert [answer.status_code for answer in answers] == [status, 201]
    assert len(provider.sent) == 1


def test_what_was_done_to_nothing_is_not_kept(shop: Caller, key: dict[str, str]) -> None:
    """Otherwise requests for ids that do not exist could fill the database."""
    path = f"{CREATE}/unknown/check"

    answers = [shop.post(path, {"code": RIGHT}, **key) for _ in "12"]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert "idempotency-replayed" not in answers[1].headers


def test_what_was_too_early_may_be_tried_again(
    shop: Caller, clock: Clock, provider: FakeProvider, key: dict[str, str]
) -> None:
    path = f"{CREATE}/{shop.created()}/resend"
    early = shop.post(path, {}, **key)
    clock.tick(30)

    late = shop.post(path, {}, **key)

    assert (early.status_code, late.status_code) == (429, 200)
    assert len(provider.sent) == 2


def test_a_request_that_crashed_is_not_repeated(
    shop: Caller,
    provider: FakeProvider,
    key: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first request may have been carried out in part."""
    monkeypatch.setattr(shop.client._transport, "raise_server_exceptions", False)
    provider.failures = [RuntimeError()]

    answers = [shop.post(CREATE, BODY, **key) for _ in "12"]

    assert [answer.status_code for answer in answers] == [500, 409]
    assert answers[1].json()["code"] == "idempotency_key_in_use"
    assert provider.sent == []


def test_an_answer_is_forgotten_after_a_day(
    shop: Caller, clock: Clock, provider: FakeProvider, key: dict[str, str]
) -> None:
    first = shop.post(CREATE, BODY, **key)
    clock.tick(24 * 3600)

    assert shop.post(CREATE, BODY, **key).json()["id"] != first.json()["id"]
    assert len(provider.sent) == 2


def test_of_many_at_once_one_is_done(
    shop: Caller, provider: FakeProvider, key: dict[str, str]
) -> None:
    go = Event()

    def ask() -> tuple[int, str | None]:
        go.wait()
        answer = shop.client.post(CREATE, json=BODY, headers=shop.headers | key)
        return answer.status_code, answer.json().get("code")

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(ask) for _ in range(8)]
        go.set()
        answers = {one.result() for one in asked}

    assert answers <= {(201, None), (409, "idempotency_key_in_use")}
    assert (201, None) in answers
    assert len(provider.sent) == 1


@pytest.mark.parametrize("bad", ["x" * 256, "a b", "caf\xe9"])
def test_a_key_that_is_none_is_refused(shop: Caller, provider: FakeProvider, bad: str) -> None:
    headers = {name.encode(): text.encode() for name, text in shop.headers.items()}

    answer = shop.client.post(
        CREATE, json=BODY, headers=headers | {b"idempotency-key": bad.encode("latin-1")}
    )

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert provider.sent == []

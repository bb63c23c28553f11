"""Access to the API: by key, by cookie, and from pages of ours and of other sites."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from otp_app import services
from otp_app.api import build
from otp_app.config import settings_or_exit
from otp_app.errors import ProviderUnavailable
from tests.backend.api.conftest import NUMBER, Caller, limit
from tests.backend.conftest import ORIGIN
from tests.conftest import API_KEYS, FRONT_END
from tests.fakes import RIGHT

if TYPE_CHECKING:
    from tests.fakes import FakeProvider

EVIL = "https://evil.example"
PATHS = ("/api/v1/verifications", "/api/otp/request", "/api/request-verification")
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type,idempotency-key",
}


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": f"{FRONT_END}.evil.example"},
        {"origin": "http://localhost:3001"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("path", PATHS)
def test_another_sites_page_cannot_ask_in_a_persons_name(
    page: Caller, provider: FakeProvider, path: str, headers: dict[str, str]
) -> None:
    field = "phone_number" if "v1" in path else "phoneNumber"

    answer = page.post(path, {field: NUMBER}, **headers)

    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
    assert provider.sent == []


def test_nor_give_a_verification_up(page: Caller) -> None:
    id_ = page.created()

    evil = replace(page, headers=page.headers | {"origin": EVIL})

    assert evil.cancel(id_).status_code == 403
    assert page.read(id_).status_code == 200


@pytest.mark.parametrize("origin", [ORIGIN, FRONT_END])
def test_our_pages_and_those_that_are_allowed_may_ask_and_read(nobody: Caller, origin: str) -> None:
    site = "same-origin" if origin == ORIGIN else "cross-site"
    asked = nobody.request("OPTIONS", PATHS[0], headers=PREFLIGHT | {"origin": origin})
    answer = nobody.post(
        PATHS[0], {"phone_number": NUMBER}, **{"origin": origin, "sec-fetch-site": site}
    )

    assert (asked.status_code, answer.status_code) == (200, 201)
    for headers in (asked.headers, answer.headers):
        assert headers["access-control-allow-origin"] == origin
        assert headers["access-control-allow-credentials"] == "true"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize("origin", [EVIL, "null", "http://front.example"])
@pytest.mark.parametrize("path", [*PATHS, "/health", "/api/docs", "/api/nowhere"])
def test_no_other_page_may(nobody: Caller, path: str, origin: str) -> None:
    asked = nobody.request("OPTIONS", path, headers=PREFLIGHT | {"origin": origin})
    answer = nobody.request("GET", path, headers={"origin": origin})

    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_that_may_call_the_api_may_not_open_the_socket_or_post_the_forms(
    page: Caller, provider: FakeProvider
) -> None:
    answer = page.request(
        "POST", "/request-otp", data={"number": NUMBER}, headers={"origin": FRONT_END}
    )
    asked = page.request("OPTIONS", "/request-otp", headers=PREFLIGHT | {"origin": FRONT_END})

    assert (answer.status_code, asked.status_code) == (403, 400)
    assert provider.sent == []


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer otp_shop_wrong",
        "Bearer otp_nobody_only-for-tests",
        f"Basic {API_KEYS['shop']}",
        f"Bearer {API_KEYS['shop']}x",
        API_KEYS["shop"],
        f"Bearer {API_KEYS['shop'].replace('shop', 'bank')}x",
        "Bearer otp_\xff_x",
    ],
)
def test_a_key_that_is_none_opens_nothing_even_with_a_cookie(
    page: Caller, provider: FakeProvider, authorization: str
) -> None:
    answer = page.post(
        PATHS[0],
        {"phone_number": NUMBER},
        authorization=authorization.encode("latin-1"),  # type: ignore[arg-type]
    )

    assert (answer.status_code, answer.json()["code"]) == (401, "api_key_refused")
    assert provider.sent == []


def test_a_key_that_is_none_is_in_the_log_without_the_key(nobody: Caller) -> None:
    nobody.headers["authorization"] = "Bearer otp_shop_canary"

    with capture_logs() as lines:
        nobody.create()

    assert [line["event"] for line in lines] == ["api.key_rejected", "http.responded"]
    assert "canary" not in f"{lines}"


def test_the_scheme_of_a_key_is_read_in_any_case(shop: Caller) -> None:
    """RFC 9110 section 11.1."""
    shop.headers["authorization"] = f"bearer {API_KEYS['shop']}"

    assert shop.create().status_code == 201


def test_programs_have_limits_of_their_own_and_none_by_address(
    shop: Caller, bank: Caller, nobody: Caller, provider: FakeProvider
) -> None:
    limit(LIMIT_SEND_KEY=4, LIMIT_SEND_ADDRESS=2, LIMIT_SEND_ADDRESS_NUMBERS=2)
    numbers = [f"+44740055{index:04}" for index in range(5)]

    def sent(caller: Caller) -> list[int]:
        return [caller.create(number).status_code for number in numbers]

    assert sent(shop) == [201] * 4 + [429]
    assert sent(bank) == [201] * 4 + [429]
    assert sent(nobody) == [201] * 2 + [429] * 3
    assert len(provider.sent) == 10


@pytest.fixture
def private(provider: FakeProvider) -> Caller:
    """Return a caller without credentials of an API that requires them."""
    provider.failures = [ProviderUnavailable() for _ in range(9)]  # access is enough for the tests
    settings = settings_or_exit().model_copy(update={"api_public": False})
    return Caller(TestClient(build(settings), base_url=ORIGIN))


@pytest.mark.parametrize("path", PATHS)
def test_the_api_need_not_be_public(private: Caller, provider: FakeProvider, path: str) -> None:
    """In this mode programs need a key, and browsers our cookie or an allowed page."""
    nothing = {"phone_number" if "v1" in path else "phoneNumber": "1"}
    known = (
        {"authorization": f"Bearer {API_KEYS['shop']}"},
        {"cookie": services.current().flows.mint()},
        {"origin": FRONT_END},
    )

    refused = private.post(path, nothing)
    taken = [private.post(path, nothing, **headers).json()["code"] for headers in known]

    assert (refused.status_code, refused.json()["code"]) == (401, "caller_unknown")
    assert taken == ["phone_invalid"] * 3
    assert provider.sent == []


def test_a_crash_tells_nothing(
    nobody: Caller, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nobody.client._transport, "raise_server_exceptions", False)
    provider.failures = [RuntimeError("canary")]

    answer = nobody.create()

    assert (answer.status_code, answer.json()["code"]) == (500, "unexpected")
    assert "canary" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("way", ["page first", "API first"])
def test_pages_and_api_share_one_budget(
    page: Caller, shop: Caller, nobody: Caller, provider: FakeProvider, number: str, way: str
) -> None:
    """A number gets one message in 30 seconds, over all callers and endpoints."""
    limit(LIMIT_SEND_NUMBER_BURST=1)

    def by_form() -> int:
        form = page.request("POST", "/request-otp", data={"number": number}, follow_redirects=False)
        return form.status_code

    first = by_form() if way == "page first" else shop.create(number).status_code
    then = [nobody.create(number).status_code]
    then.append(shop.create(number).status_code if way == "page first" else by_form())

    assert (first < 400, then) == (True, [429, 429])
    assert len(provider.sent) == 1


def test_guesses_on_a_page_and_by_the_api_are_of_one_verification(
    page: Caller, provider: FakeProvider
) -> None:
    id_ = page.created()
    for _ in range(3):
        page.request("POST", "/verify-otp", data={"code": "000000"})

    by_api = [page.check(id_, "000000").json()["code"] for _ in range(2)]

    assert by_api == ["code_mismatch", "attempts_exhausted"]
    right = page.request("POST", "/verify-otp", data={"code": RIGHT})
    assert right.status_code == 429
    assert len(provider.checked) == 5


def test_fifty_guesses_at_once_get_five_answers(page: Caller, provider: FakeProvider) -> None:
    """A6, A7: ten guesses are under way at any time."""
    path = f"/api/v1/verifications/{page.created()}/check"

    def guess(index: int) -> str:
        body = {"code": f"{index:06}"}
        code: str = page.client.post(path, json=body, headers=page.headers).json()["code"]
        return code

    with ThreadPoolExecutor(10) as threads:
        codes = Counter(threads.map(guess, range(50)))

    assert codes["code_mismatch"] == 4
    # A guess that arrives during the fifth check finds no guess left, before the end is stored.
    assert set(codes) <= {"code_mismatch", "attempts_exhausted", "verification_expired"}
    assert len(provider.checked) == 5


def test_a_page_shows_what_the_api_began(page: Caller) -> None:
    page.created()

    answer = page.request("POST", "/verify-otp", data={"code": RIGHT})

    assert answer.status_code == 200

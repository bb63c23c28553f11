"""The session that a browser gets for an approval by the API, like the pages' session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import routes, services
from otp_app.phone import PhoneNumber
from tests.backend.api.conftest import limit
from tests.fakes import RIGHT, WRONG

if TYPE_CHECKING:
    from tests.backend.api.conftest import Caller
    from tests.backend.conftest import Browser
    from tests.fakes import FakeProvider


def test_a_browser_that_verifies_by_the_api_has_its_session_on_the_pages(
    page: Caller, browser: Browser, number: str
) -> None:
    answer = page.check(page.created(number), RIGHT)

    after = browser.after(answer)
    assert answer.status_code == 200
    assert after.get("/verified").status_code == 404  # allowed, but no page is built here
    assert browser.get("/verified").status_code == 303


def test_the_guides_route_gives_it_too(page: Caller, number: str) -> None:
    page.post(routes.TWILIO_REQUEST, {"phoneNumber": number})

    wrong = page.post(routes.TWILIO_CHECK, {"code": WRONG})
    right = page.post(routes.TWILIO_CHECK, {"code": RIGHT})

    assert "set-cookie" not in wrong.headers
    cookies = right.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["session", "device"]


def test_a_token_proves_nothing_about_the_browser_that_sends_it(
    nobody: Caller, page: Caller, shop: Caller, number: str
) -> None:
    token = nobody.post(routes.TWILIO_REQUEST, {"phoneNumber": number}).json()["requestId"]

    by_page = page.post(routes.TWILIO_CHECK, {"requestId": token, "code": RIGHT})
    by_key = shop.check(shop.created("+447400123499"), RIGHT)

    for answer in (by_page, by_key):
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers


def test_the_limits_are_told_whose_number_the_browser_has_proved(
    page: Caller, browser: Browser, provider: FakeProvider, number: str
) -> None:
    owner = browser.after(page.check(page.created(number), RIGHT))
    page.headers["cookie"] = owner.cookie
    here = services.current()
    assert browser.client.portal is not None

    client = browser.client.portal.call(here.callers.client, owner.cookie, "192.0.2.1", "en")

    assert client.proved == number
    assert client.device
    assert client.device.has_proved(PhoneNumber(number))
    assert page.create(number).status_code == 201
    assert len(provider.sent) == 2


def test_only_the_answer_to_the_check_that_approved_brings_the_session(
    page: Caller, number: str
) -> None:
    id_, key = page.created(number), {"Idempotency-Key": "only-for-tests"}

    first, replayed = (page.check(id_, RIGHT, **key) for _ in range(2))
    again = page.check(id_, RIGHT)

    assert "session=" in first.headers["set-cookie"]
    assert (replayed.status_code, again.status_code) == (200, 409)
    for answer in (replayed, again):
        assert "set-cookie" not in answer.headers


def test_what_a_handle_got_approved_is_exchanged_by_no_browser(
    nobody: Caller, browser: Browser, number: str
) -> None:
    asked = nobody.post(routes.TWILIO_REQUEST, {"phoneNumber": number})
    with_the_cookie = browser.after(asked)
    token = asked.json()["requestId"]
    assert nobody.post(routes.TWILIO_CHECK, {"requestId": token, "code": RIGHT}).is_success

    for path, form in (("/finish", {}), ("/finish", {"proof": token}), ("/verify-otp", {})):
        assert "set-cookie" not in with_the_cookie.post(path, form).headers


def test_a_page_that_calls_the_api_is_known_by_its_device_and_a_program_is_not(
    page: Caller, shop: Caller, browser: Browser, number: str
) -> None:
    owner = browser.after(page.check(page.created(number), RIGHT))
    (device,) = [one for one in owner.cookie.split("; ") if one.startswith("device=")]
    limit(LIMIT_SEND_NUMBER_UNPROVED_DAY=1)

    def asks(caller: Caller) -> int:
        """Return the status of a start with a new flow cookie and the old device cookie."""
        caller.headers["cookie"] = f"{services.current().flows.mint()}; {device}"
        return caller.create(number).status_code

    assert [asks(page) for _ in range(3)] == [201] * 3
    assert [asks(shop) for _ in range(2)] == [201, 429]

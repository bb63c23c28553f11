"""The Vonage guide's front end on a site of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.front_end import HOSTS, PAGE
from tests.browser.providers import console_only

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.journey import Journey


class FrontEnd:
    """The page of the front end of another origin, in a tab."""

    def __init__(self, journey: Journey, origin: str, **query: str) -> None:
        self.page: Page = journey.context.new_page()
        options = "".join(f"&{name}={value}" for name, value in query.items())
        self.page.goto(f"{origin}/{PAGE}?backend={journey.server.site.url}{options}")
        self.status = self.page.get_by_role("status")

    def request(self, number: str) -> None:
        self.page.get_by_label("Phone number").fill(number)
        self.page.get_by_role("button", name="Send code").click()

    def check(self, code: str) -> None:
        self.page.get_by_label("Code").fill(code)
        self.page.get_by_role("button", name="Verify").click()


@pytest.mark.parametrize("host", range(len(HOSTS)), ids=HOSTS)
def test_the_front_end_verifies_a_number_from_another_origin(
    journey: Journey, front_end: list[str], host: int
) -> None:
    """With the requestId alone: its `fetch` takes no cookies along."""
    journey.expect("400")
    page = FrontEnd(journey, front_end[host])

    page.request("12345")
    expect(page.status).to_have_text("Error: Choose a country code, or start the number with +")
    page.request(journey.number.e164)
    expect(page.status).to_have_text("Code sent")
    page.check(journey.wrong_code())
    expect(page.status).to_contain_text("Error: That code does not match")
    page.check(journey.sent_code())
    expect(page.status).to_have_text("Verified")

    assert len(journey.deliveries()) == 1
    assert journey.context.cookies() == []


@console_only
def test_a_front_end_on_the_same_site_may_have_the_cookie_and_send_the_code_alone(
    journey: Journey, front_end: list[str]
) -> None:
    page = FrontEnd(journey, front_end[0], credentials="include")

    page.request(journey.number.e164)
    expect(page.status).to_have_text("Code sent")
    page.check(journey.sent_code())
    expect(page.status).to_have_text("Verified")

    cookies = journey.context.cookies()
    assert {cookie["name"] for cookie in cookies} == {"flow", "session", "device"}
    assert all(cookie["httpOnly"] for cookie in cookies)


@console_only
def test_a_page_that_is_not_allowed_sends_nothing(journey: Journey) -> None:
    journey.expect("CORS", "ERR_FAILED", "net::ERR")
    evil = "http://evil.localhost:1"
    html = Path(__file__).with_name(PAGE).read_text()
    journey.context.route(f"{evil}/**", lambda route: route.fulfill(body=html))
    page = FrontEnd(journey, evil)

    page.request(journey.number.e164)

    expect(page.status).to_have_text("Error: Failed to fetch")
    assert journey.deliveries() == []

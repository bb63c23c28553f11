"""The cost of a first visit to every page: the bytes, and no request to another host."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from otp_app.i18n import languages
from tests.browser.providers import console_only
from tests.browser.tab import LIVE, Step
from tests.browser.weight import Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.journey import Journey

pytestmark = console_only

KILOBYTE = 1000  # bytes
ALL, SCRIPT = 150 * KILOBYTE, 145 * KILOBYTE  # React, the router and socket.io are 130 of it
HEAVIEST = "hi"  # of the languages: three bytes a letter


@pytest.mark.parametrize("path", ["/", "/nowhere", "/problem", "/code", "/verified"])
def test_a_page_is_light_and_asks_nobody_else(
    start_journey: Callable[..., Journey], path: str
) -> None:
    """The last two as somebody finds them who may be there."""
    journey = start_journey()
    journey.expect("404")
    if path in ("/code", "/verified"):
        tab = journey.at_the_code_page()
        if path == "/verified":
            tab.enter_code(journey.sent_code())
            tab.wait_for(Step.VERIFIED)

    page = journey.context.new_page()
    visit = Visit(page, journey.server.site.url + path)

    assert urlsplit(page.url).path.rstrip("/") == path.rstrip("/")
    assert visit.total <= ALL
    assert visit.script <= SCRIPT
    assert visit.hosts == {urlsplit(journey.server.site.url).netloc}


def test_the_heaviest_page_is_light_in_the_heaviest_language(
    start_journey: Callable[..., Journey],
) -> None:
    journey = start_journey(locale=HEAVIEST)

    assert Visit(journey.context.new_page(), journey.server.site.url).total <= ALL


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_whatever_is_loaded_is_compressed(journey: Journey, coding: str) -> None:
    tab = journey.open()
    tab.wait_for(Step.PHONE)
    loaded = tab.page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    urls = {journey.server.site.url, *loaded}

    told = {
        url: journey.context.request.get(url, headers={"accept-encoding": coding}).headers
        for url in urls
    }

    assert len(told) > 5
    assert {headers.get("content-encoding") for headers in told.values()} == {coding}
    built = [headers for url, headers in told.items() if "/assets/" in url]
    assert {headers["cache-control"] for headers in built} == {
        "public, max-age=31536000, immutable"
    }


def test_who_comes_by_the_code_page_finds_the_countries(journey: Journey) -> None:
    """The code page has no list of countries, so the phone page loads the list on the way."""
    german = languages()["de"]
    tab = journey.at_the_code_page()
    tab.page.get_by_role("button", name="Deutsch").click()
    tab.page.locator(LIVE).wait_for()

    tab.page.get_by_role("link", name=german.t("Change the number")).click()

    names = [name for _, name in german.countries()]
    expect(tab.page.locator("#country option")).to_have_text(names)
    expect(tab.page.locator("#country")).to_have_value("US")


def test_without_the_countries_a_number_with_a_plus_still_goes(journey: Journey) -> None:
    journey.expect("/countries", "net::ERR_FAILED")
    tab = journey.at_the_code_page()
    tab.page.reload()
    tab.wait_for(Step.CODE)
    tab.page.route("**/countries", lambda route: route.abort())

    tab.change_number.click()
    tab.wait_for(Step.PHONE)
    tab.phone.fill(journey.other_number.e164)
    tab.send.click()

    tab.wait_for(Step.CODE)
    assert len(journey.deliveries(journey.other_number)) == 1

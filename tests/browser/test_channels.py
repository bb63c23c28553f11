"""Text, call or WhatsApp: what is offered, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.providers import console_only, services_only
from tests.browser.tab import PhoneTab, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.journey import Journey
    from tests.browser.server import Server


@pytest.fixture
def phone(browser: Browser, server: Server) -> Iterator[PhoneTab]:
    """In a browser of its own, which may see codes."""
    with browser.new_context() as context:
        phone = PhoneTab(context.new_page())
        phone.page.goto(f"{server.site.url}/phone")
        expect(phone.nothing).to_be_checked()
        yield phone


@pytest.mark.row("C12")
@console_only
def test_a_code_comes_by_whatsapp_and_the_page_says_so(journey: Journey, phone: PhoneTab) -> None:
    tab = journey.through_the_phone_page(by="whatsapp")

    expect(tab.sent).to_contain_text("We sent a code by WhatsApp to the number ending")
    expect(phone.newest(journey.number.ending)).to_contain_text("by WhatsApp")
    tab.enter_code(phone.read(journey.number.ending))

    tab.wait_for(Step.VERIFIED)
    assert [delivery.channel for delivery in journey.deliveries()] == ["whatsapp"]


@pytest.mark.row("B20")
@console_only
def test_what_a_country_does_not_have_is_refused_and_the_choice_stays(
    journey: Journey,
) -> None:
    tab = journey.open()
    tab.country.select_option("CN")
    tab.by_whatsapp.check()
    tab.phone.fill("131 2345 6789")
    tab.send.click()

    tab.wait_for_problem("Choose “Text message” or “Call me”")

    expect(tab.phone).to_have_value("131 2345 6789")
    expect(tab.by_whatsapp).to_be_checked()


@pytest.mark.row("C17")
@console_only
def test_after_a_text_the_code_page_offers_a_call_and_whatsapp(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    journey.later(31)
    tab.other_ways.click()

    expect(tab.call_me).to_be_visible()
    tab.send_by_whatsapp.click(force=True)  # the page's own clock has not gone on

    expect(tab.status).to_contain_text("We sent a new code by WhatsApp")
    assert [delivery.channel for delivery in journey.deliveries()] == ["sms", "whatsapp"]


@pytest.mark.row("C13")
@console_only
def test_the_text_message_on_the_phone_ends_with_the_line_of_the_pages_domain(
    journey: Journey, phone: PhoneTab
) -> None:
    journey.at_the_code_page()

    message = phone.newest(journey.number.ending).locator(".words")

    code = journey.sent_code()
    expect(message).to_have_text(
        f"{code} is your MyApp code. Do not share it.\n\n@localhost #{code}", use_inner_text=True
    )


@services_only
def test_whatsapp_is_nowhere_unless_somebody_offers_it(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.other_ways.click()

    expect(tab.call_me).to_be_visible()
    expect(tab.send_by_whatsapp).to_have_count(0)
    tab.change_number.click()
    tab.wait_for(Step.PHONE)
    expect(tab.by_whatsapp).to_have_count(0)

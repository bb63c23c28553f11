"""Delivery reports of a message appear on the code page without a reload."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.providers import console_only, every_provider, services_only, twilio_only
from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey

NO_MESSAGE = "The text message could not be delivered. Choose “Call me instead”"
WAIT = 31.0  # seconds; a first message may be followed by another after 30


@every_provider
@services_only
def test_a_message_that_could_not_be_delivered_is_followed_by_a_call(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.code.fill("12")

    before = tab.send_again.bounding_box()
    journey.report("failed")
    expect(tab.delivery).to_have_text(NO_MESSAGE)
    assert tab.send_again.bounding_box() == before  # nobody presses what moved under their finger
    expect(tab.call_me).to_be_visible()  # without being asked for
    expect(tab.awaited).to_have_count(0)
    expect(tab.code).to_have_value("12")  # nothing that was typed is lost

    journey.later(WAIT)
    tab.ask_for_call()
    expect(tab.status).to_contain_text("We are calling")
    expect(tab.delivery).to_be_empty()

    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    assert [delivery.channel for delivery in journey.deliveries()] == ["sms", "voice"]


@twilio_only
def test_a_message_that_was_delivered_is_said_to_be_and_since_when(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.awaited).to_have_count(1)

    journey.report("sent")
    journey.report("delivered")

    expect(tab.delivery).to_have_text(re.compile(r"^Delivered at \d?\d:\d\d\s[AP]M$"))
    expect(tab.awaited).to_have_count(0)
    tab.page.reload()
    expect(tab.delivery).to_contain_text("Delivered at")
    assert len(journey.deliveries()) == 1


@twilio_only
def test_a_tab_that_nobody_sees_does_not_ask(journey: Journey) -> None:
    tab = journey.open()
    tab.page.evaluate(
        "Object.defineProperty(document, 'visibilityState', {get: () => window.seen || 'hidden'})"
    )
    tab.page.clock.install()
    tab.request_code(journey.number)
    tab.wait_for(Step.CODE)
    expect(tab.awaited).to_have_count(1)
    tab.page.clock.pause_at(tab.page.evaluate("Date.now() / 1000 + 0.1"))

    tab.page.clock.run_for(6_500)  # ms; after 20 s the page would take its socket for lost
    tab.page.evaluate("window.seen = 'visible'")
    tab.page.clock.run_for(6_000)

    journey.wait_until(lambda: asked(journey) >= 2)
    journey.report("delivered")
    tab.page.clock.run_for(3_000)
    expect(tab.delivery).to_contain_text("Delivered at")
    assert asked(journey) <= 3  # two, if the report was there before the second had its answer


def asked(journey: Journey) -> int:
    """Return the number of requests for the delivery status that the page has sent."""
    return sum("show_delivery" in text for where, text in journey.recorder.texts if "sent" in where)


@console_only
def test_where_nobody_reports_nobody_asks(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    expect(tab.delivery).to_be_empty()
    expect(tab.awaited).to_have_count(0)

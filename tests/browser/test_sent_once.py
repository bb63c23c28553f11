"""One wish, one message: impatient fingers, two tabs, slow lines."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.providers import services_only
from tests.browser.tab import Step, Tab
from tests.emulator import Hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.browser.journey import Journey


def click_twice(tab: Tab) -> None:
    tab.send.dblclick()


def press_enter_twice(tab: Tab) -> None:
    tab.phone.focus()
    for _ in range(2):
        tab.page.keyboard.press("Enter")


@pytest.mark.parametrize("impatiently", [click_twice, press_enter_twice])
def test_sending_twice_in_a_hurry_sends_one_message(
    journey: Journey, impatiently: Callable[[Tab], None]
) -> None:
    tab = journey.open()
    tab.wait_for(Step.PHONE)
    tab.phone.fill(journey.number.typed)

    impatiently(tab)

    tab.wait_for(Step.CODE)
    tab.page.reload()  # a tab's events are handled in turn: after this one all are
    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


def test_two_tabs_that_send_the_same_number_send_one_message(journey: Journey) -> None:
    tabs = two_tabs(journey)

    for tab in tabs:
        tab.request_code(journey.number)

    for tab in tabs:
        tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


@services_only
def test_while_one_tab_is_sending_another_waits_for_it(journey: Journey) -> None:
    both = Event()
    journey.emulator.fail(f"{journey.server.name}.start", Hold(both))
    first, second = two_tabs(journey)

    first.request_code(journey.number)
    second.request_code(journey.number)
    journey.wait_until(lambda: journey.recorder.events_sent("request_code") == 2)
    both.set()

    for tab in (second, first):
        tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


def test_a_number_that_is_sent_before_the_page_is_live_is_sent_once(journey: Journey) -> None:
    tab = Tab(journey.context.new_page())
    slow_down(tab.page)
    tab.page.goto(journey.server.site.url, wait_until="commit")

    tab.phone.fill(journey.number.typed)
    tab.phone.press("Enter")
    assert not tab.is_live
    expect(tab.phone).to_have_value(journey.number.typed)

    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


def two_tabs(journey: Journey) -> tuple[Tab, Tab]:
    """Both at the phone page, and live: one that came later would go where the other is."""
    tabs = journey.open(), journey.open()
    for tab in tabs:
        tab.wait_for(Step.PHONE)
    return tabs


def slow_down(page: Page) -> None:
    """A line like a bad mobile one."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    conditions = {"latency": 400, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
    network.send("Network.emulateNetworkConditions", {"offline": False, **conditions})

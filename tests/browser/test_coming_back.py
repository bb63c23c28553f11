"""The way is not lost: reload, other tabs, a restart of the server, the browser's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey
    from tests.browser.tab import Tab


def test_a_reload_changes_nothing(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    tab.page.reload()

    assert_nothing_changed(tab, journey)


@pytest.mark.parametrize("path", ["/", "/code"])
def test_a_second_tab_shows_the_same_step(journey: Journey, path: str) -> None:
    journey.at_the_code_page()

    second = journey.open(path)

    assert_nothing_changed(second, journey)


def test_a_restart_of_the_server_changes_nothing(journey: Journey) -> None:
    journey.expect("WebSocket connection", "ERR_CONNECTION_REFUSED")
    tab = journey.at_the_code_page()
    frames = journey.recorder.frames
    before = len(frames)

    journey.server.restart()
    journey.wait_until(
        lambda: any('"is_hydrated_rx_state_":true' in text for text in frames[before:])
    )

    assert_nothing_changed(tab, journey)
    tab.page.reload()
    assert_nothing_changed(tab, journey)
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)


def test_finishing_in_one_tab_finishes_in_the_other(journey: Journey) -> None:
    tab, other_tab = journey.at_the_code_page(), journey.open("/code")
    other_tab.wait_for(Step.CODE)
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)

    other_tab.enter_code(journey.sent_code())

    other_tab.wait_for(Step.VERIFIED)


def test_back_from_the_code_page_and_forward_again_sends_nothing(journey: Journey) -> None:
    tab = journey.through_the_phone_page()

    tab.page.go_back()
    tab.wait_for(Step.PHONE)
    expect(tab.phone).to_have_value(journey.number.typed)
    tab.page.go_forward()

    assert_nothing_changed(tab, journey)


def test_back_from_success_shows_no_form(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)

    tab.page.go_back()

    tab.wait_for(Step.VERIFIED)
    expect(tab.code).to_have_count(0)


def assert_nothing_changed(tab: Tab, journey: Journey) -> None:
    """The code page, for the same number and time, and no other message."""
    tab.wait_for(Step.CODE)
    expect(tab.sent).to_contain_text(f"number ending {journey.number.ending}")
    expect(tab.expiry).to_have_text(journey.expiry)
    most, shown, least = journey.seconds_to_wait, tab.seconds_to_wait, journey.seconds_to_wait
    assert least - 2 <= shown <= most + 2
    assert len(journey.deliveries()) == 1

"""The session that an approval becomes: kept, shown in every tab, left by signing out."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.providers import console_only, twilio_only
from tests.browser.tab import Step
from tests.emulator import Hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.journey import Journey
    from tests.browser.tab import Tab


def verified(journey: Journey) -> Tab:
    tab = journey.through_the_phone_page()
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    return tab


def test_success_names_the_number_and_stays_over_a_reload(journey: Journey) -> None:
    tab = verified(journey)

    tab.page.reload()

    tab.wait_for(Step.VERIFIED)
    expect(tab.sent).to_contain_text(f"number ending {journey.number.ending}")


def test_the_session_is_out_of_reach_of_scripts(journey: Journey) -> None:
    tab = verified(journey)

    kept = {cookie["name"]: cookie for cookie in journey.context.cookies()}

    assert kept["session"]["httpOnly"]
    assert kept["session"]["sameSite"] == "Lax"
    assert "session" not in tab.page.evaluate("document.cookie")


def test_signing_out_in_one_tab_signs_out_the_other(journey: Journey) -> None:
    tab, other_tab = verified(journey), journey.open("/verified")
    other_tab.wait_for(Step.VERIFIED)

    tab.sign_out.click()

    tab.wait_for(Step.PHONE)
    other_tab.page.reload()
    other_tab.wait_for(Step.PHONE)
    tab.page.go_back()
    tab.wait_for(Step.PHONE)


def test_another_number_can_be_confirmed_after_it(journey: Journey) -> None:
    tab = verified(journey)

    tab.confirm_another.click()
    tab.wait_for(Step.PHONE)
    expect(tab.phone).to_have_value("")
    tab.request_code(journey.other_number)
    tab.wait_for(Step.CODE)
    tab.enter_code(journey.sent_code(journey.other_number))

    tab.wait_for(Step.VERIFIED)
    expect(tab.sent).to_contain_text(f"number ending {journey.other_number.ending}")


def hold_the_session_back(tab: Tab) -> None:
    """The code is right, the tab stays where it is: the post for its session goes nowhere."""
    tab.page.route("**/finish", lambda route: route.fulfill(status=204))


@console_only
def test_a_reload_before_the_session_came_ends_well(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    hold_the_session_back(tab)
    with tab.page.expect_response("**/finish"):
        tab.enter_code(journey.sent_code())

    tab.page.unroute("**/finish")
    tab.page.reload()

    tab.wait_for(Step.VERIFIED)


@console_only
def test_a_tab_that_did_not_check_the_code_is_told_so_and_starts_again(journey: Journey) -> None:
    journey.expect("409")
    tab = journey.at_the_code_page()
    hold_the_session_back(tab)
    with tab.page.expect_response("**/finish"):
        tab.enter_code(journey.sent_code())

    other_tab = journey.open("/code")
    other_tab.wait_for(Step.NOT_FINISHED)
    tab.page.unroute("**/finish")
    tab.page.reload()
    tab.wait_for(Step.VERIFIED)  # what the other tab did has cost this one nothing

    other_tab.start_again.click()
    other_tab.page.wait_for_url("**/verified")  # the browser has the session by now


@console_only
def test_a_restart_of_the_server_before_the_session_came_is_told_and_leads_on(
    journey: Journey,
) -> None:
    journey.expect("409", "WebSocket connection", "ERR_CONNECTION_REFUSED")
    tab = journey.at_the_code_page()
    hold_the_session_back(tab)
    with tab.page.expect_response("**/finish"):
        tab.enter_code(journey.sent_code())

    tab.page.unroute("**/finish")
    journey.server.restart()
    tab.page.reload()
    tab.wait_for(Step.NOT_FINISHED)
    tab.start_again.click()

    tab.wait_for(Step.PHONE)
    tab.request_code(journey.other_number)
    tab.wait_for(Step.CODE)
    tab.enter_code(journey.sent_code(journey.other_number))
    tab.wait_for(Step.VERIFIED)


@twilio_only
def test_a_second_click_on_the_plain_form_is_told_what_happened(
    start_journey: Callable[..., Journey],
) -> None:
    """The browser drops the answer to the first post, which has the session."""
    journey = start_journey(java_script_enabled=False)
    journey.expect("csp http", "409")  # the scripts that are not run
    tab = journey.open()
    tab.request_code(journey.number)
    tab.code.fill(journey.sent_code())
    second_click = Event()
    journey.emulator.fail("twilio.check", Hold(second_click))

    place = tab.go_on.bounding_box()
    assert place is not None

    # By the mouse: a click of Playwright's waits for the page to come. The answer to the first post
    # is held until the browser has dropped that post, so its cookie is never set.
    for event in ("request", "requestfailed"):
        with tab.page.expect_event(event):
            tab.page.mouse.click(place["x"] + 9, place["y"] + 9)
    second_click.set()

    expect(tab.heading).to_have_text("We could not finish confirming your number")
    tab.start_again.click()
    expect(tab.phone).to_be_visible()


def test_who_has_not_verified_is_sent_to_the_beginning(journey: Journey) -> None:
    journey.open("/verified").wait_for(Step.PHONE)

"""The session that an approval becomes: kept, shown in every tab, left by signing out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey
    from tests.browser.tab import Tab


def verified(journey: Journey) -> Tab:
    tab = journey.at_the_code_page()
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


def test_who_has_not_verified_is_sent_to_the_beginning(journey: Journey) -> None:
    journey.open("/verified").wait_for(Step.PHONE)

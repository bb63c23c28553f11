"""The code: right, wrong, malformed, too late, used, too often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otp_app.i18n import english
from otp_app.i18n.en import TEXTS
from tests.browser.providers import every_provider
from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey

FORGIVEN = {"console": 5, "twilio": 5, "vonage": 3}  # wrong codes


@every_provider
@pytest.mark.parametrize("channel", ["sms", "voice"])
def test_the_code_that_came_confirms_the_number(journey: Journey, channel: str) -> None:
    tab = journey.through_the_phone_page(by=channel)

    tab.enter_code(journey.sent_code())

    tab.wait_for(Step.VERIFIED)
    assert [delivery.channel for delivery in journey.deliveries()] == [channel]


@every_provider
def test_after_a_wrong_code_the_right_one_still_works(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    tab.enter_code(journey.wrong_code())
    tab.wait_for_problem("That code does not match")
    tab.enter_code(journey.sent_code())

    tab.wait_for(Step.VERIFIED)


def test_what_cannot_be_a_code_costs_no_attempt(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    for typed, key, count in [
        ("", "code_missing", 0),
        ("12345", "code_too_short", 5),
        ("letters", "code_not_digits", 0),
        ("1234567", "code_too_long", 7),
    ] * 2:
        tab.enter_code(typed)
        tab.wait_for_problem(english().t(TEXTS[key], length=6, count=count))

    tab.enter_code(f"{journey.sent_code()[:3]} {journey.sent_code()[3:]}")
    tab.wait_for(Step.VERIFIED)


def test_an_expired_code_leads_to_a_new_one(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    late_code = journey.sent_code()

    journey.later(minutes(10))
    tab.enter_code(late_code)
    tab.wait_for(Step.EXPIRED)
    tab.get_new_code.click()
    tab.wait_for(Step.CODE)

    assert len(journey.deliveries()) == 2
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)


def test_a_used_code_cannot_be_entered_again(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)

    tab.page.go_back()
    tab.wait_for(Step.VERIFIED)
    again = journey.open("/code")

    again.wait_for(Step.VERIFIED)
    expect(again.code).to_have_count(0)


@every_provider
def test_too_many_wrong_codes_lock_the_number_until_a_time_that_is_named(journey: Journey) -> None:
    tab, other_tab = journey.at_the_code_page(), journey.open("/code")
    other_tab.wait_for(Step.CODE)

    for left in reversed(range(1, FORGIVEN[journey.server.name])):
        tab.enter_code(journey.wrong_code())
        tab.wait_for_problem(words_after_a_wrong_code(left))
    tab.enter_code(journey.wrong_code())
    tab.wait_for(Step.LOCKED)
    expect(tab.heading).to_contain_text(journey.expiry)

    other_tab.enter_code(journey.sent_code())
    other_tab.wait_for(Step.LOCKED)
    tab.page.reload()
    tab.wait_for(Step.LOCKED)
    tab.use_different_number.click()
    tab.wait_for(Step.PHONE)
    tab.request_code(journey.number)
    tab.wait_for(Step.LOCKED)
    assert len(journey.deliveries()) == 1


def words_after_a_wrong_code(left: int) -> str:
    if left > 3:
        return "Check the newest message"
    return "You can try once more" if left == 1 else f"You can try {left} more times"


def minutes(count: int) -> float:
    return 60.0 * count

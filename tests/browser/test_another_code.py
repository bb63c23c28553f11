"""Another code: too early, by text, by call, to another number."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.providers import every_provider, services_only
from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey
    from tests.browser.tab import Tab

WAIT = 31.0  # seconds; a first message may be followed by another after 30


def test_asking_again_too_early_sends_nothing_and_says_when(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    most = journey.seconds_to_wait
    tab.ask_again()
    expect(tab.status).to_contain_text("You can get another code in")

    said = int(re.findall(r"\d+", tab.status.inner_text())[0])
    assert journey.seconds_to_wait - 2 <= said <= most + 2
    assert len(journey.deliveries()) == 1


@every_provider
def test_after_the_wait_one_new_message_comes_and_its_code_works(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    journey.later(WAIT)
    tab.ask_again()
    expect(tab.status).to_contain_text("We sent a new code by text message")

    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    assert [delivery.channel for delivery in journey.deliveries()] == ["sms", "sms"]


@every_provider
def test_a_call_can_follow_a_message_that_did_not_come(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    journey.later(WAIT)
    tab.ask_for_call()
    expect(tab.status).to_contain_text("We are calling")

    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    assert [delivery.channel for delivery in journey.deliveries()] == ["sms", "voice"]


def test_changing_the_number_starts_from_what_was_typed(journey: Journey) -> None:
    """B18."""
    tab = journey.through_the_phone_page()

    tab.change_number.click()

    tab.wait_for(Step.PHONE)
    expect(tab.phone).to_have_value(journey.number.typed)
    assert len(journey.deliveries()) == 1


def test_the_code_of_one_number_does_not_verify_another(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    old_code = journey.sent_code()
    change_number(tab, journey)

    tab.enter_code(old_code)
    tab.wait_for_problem("That code does not match")

    tab.enter_code(journey.sent_code(journey.other_number))
    tab.wait_for(Step.VERIFIED)
    expect(tab.sent).to_contain_text(f"number ending {journey.other_number.ending}")


@every_provider
@services_only
def test_what_the_service_does_for_a_number_that_was_left_is_canceled(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    [left] = [m.reference for m in journey.emulator.messages if m.to == journey.number.e164]
    change_number(tab, journey)

    journey.later(WAIT)

    journey.wait_until(lambda: left in asked_to_cancel(journey))
    tab.enter_code(journey.sent_code(journey.other_number))
    tab.wait_for(Step.VERIFIED)


def change_number(tab: Tab, journey: Journey) -> None:
    """Go back from the code page and ask for a code to the other number."""
    tab.change_number.click()
    tab.wait_for(Step.PHONE)
    tab.request_code(journey.other_number)
    tab.wait_for(Step.CODE)
    expect(tab.sent).to_contain_text(f"number ending {journey.other_number.ending}")


def asked_to_cancel(journey: Journey) -> set[str]:
    """The ids in the paths of all cancellations."""
    return {
        value
        for request in journey.emulator.requests
        if request.operation == f"{journey.server.name}.cancel"
        for value in request.params.values()
    }

"""Mistakes in a phone number, and the messages of the phone page for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otp_app.i18n import english
from otp_app.i18n.en import TEXTS
from tests.browser.providers import console_only
from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey

pytestmark = console_only


@pytest.mark.parametrize(
    ("country", "typed", "key"),
    [
        ("US", "", "phone_missing"),
        ("US", "call me maybe", "phone_not_digits"),
        ("US", "9" * 65, "phone_not_digits"),
        ("US", "415 555", "phone_too_short"),
        ("US", "415 555 01234567", "phone_too_long"),
        ("US", "112 555 0123", "phone_not_in_country"),
        ("US", "+999 123456", "phone_country_code_unknown"),
        ("US", "415 555 0123 ext. 5", "phone_extension"),
        ("GB", "020 7946 0958", "phone_landline"),
        ("US", "900 234 5678", "phone_not_personal"),
    ],
)
def test_what_is_wrong_with_a_number_is_said(
    journey: Journey, country: str, typed: str, key: str
) -> None:
    names = {"US": "United States", "GB": "United Kingdom"}
    tab = journey.open()

    tab.country.select_option(country)
    tab.phone.fill(typed)
    tab.send.click()

    values = {"country": names[country], "prefix": "+999", "choices": "“Call me”"}
    tab.wait_for_problem(english().t(TEXTS[key], **values))
    expect(tab.problem_place).to_be_focused()
    expect(tab.phone).to_have_attribute("aria-invalid", "true")
    expect(tab.phone).to_have_value(typed)
    expect(tab.country).to_have_value(country)


def test_a_number_is_sent_after_its_mistake_is_mended(journey: Journey) -> None:
    tab = journey.open()
    tab.phone.fill(journey.number.typed[:-1])
    tab.send.click()
    tab.wait_for_problem(english().t(TEXTS["phone_too_short"], country="United States"))

    tab.request_code(journey.number)

    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


def test_a_landline_can_be_called(journey: Journey) -> None:
    tab = journey.open()

    tab.country.select_option("GB")
    tab.phone.fill("020 7946 0958")
    tab.by_call.check()
    tab.send.click()

    tab.wait_for(Step.CODE)
    expect(tab.sent).to_contain_text("We are calling the number ending 958")

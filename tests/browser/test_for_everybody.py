"""Small screens, dark rooms, no mouse, wrong addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.providers import console_only
from tests.browser.tab import NEXT_FRAME, Step, Tab

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.journey import Journey

pytestmark = console_only

WRONG_CODES = 5


def test_an_address_that_leads_nowhere_says_so(journey: Journey) -> None:
    journey.expect("404")
    tab = Tab(journey.context.new_page())

    response = tab.page.goto(f"{journey.server.site.url}/nowhere")

    assert response is not None
    assert response.status == 404
    tab.wait_for(Step.NOT_FOUND)
    assert "Page not found" in tab.page.title()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_of_320_pixels_never_scrolls_sideways(
    start_journey: Callable[..., Journey], scheme: Literal["light", "dark"]
) -> None:
    journey = start_journey(viewport={"width": 320, "height": 640}, color_scheme=scheme)
    journey.expect("404")
    tab = journey.open()
    tab.send.click()
    tab.wait_for_problem("Enter your mobile number")
    assert_it_fits(tab)

    tab.request_code(journey.number)
    tab.wait_for(Step.CODE)
    assert_it_fits(tab)
    tab.enter_code("letters")
    tab.wait_for_problem("The code has only numbers")
    assert_it_fits(tab)

    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    assert_it_fits(tab)
    assert (tab.brightness < 128) == (scheme == "dark")

    tab.page.goto(f"{journey.server.site.url}/nowhere")
    tab.wait_for(Step.NOT_FOUND)
    assert_it_fits(tab)


@pytest.mark.parametrize("over", [Step.EXPIRED, Step.LOCKED])
def test_at_320_pixels_the_end_of_a_code_fits(
    start_journey: Callable[..., Journey], over: Step
) -> None:
    journey = start_journey(viewport={"width": 320, "height": 640})
    tab = journey.at_the_code_page()
    if over is Step.EXPIRED:
        journey.later(600)
        tab.enter_code(journey.sent_code())
    else:
        for _ in range(WRONG_CODES):
            tab.enter_code(journey.wrong_code())

    tab.wait_for(over)
    assert_it_fits(tab)


def test_the_keyboard_is_enough(journey: Journey) -> None:
    tab = journey.open()
    tab.wait_for(Step.PHONE)

    tab.tab_to(tab.phone)
    tab.page.keyboard.type(journey.number.typed)
    tab.tab_to(tab.send)
    tab.page.keyboard.press("Enter")
    tab.wait_for(Step.CODE)
    tab.tab_to(tab.code)
    tab.page.keyboard.type(journey.sent_code())
    tab.page.keyboard.press("Enter")

    tab.wait_for(Step.VERIFIED)


def test_without_scripts_the_plain_forms_do(start_journey: Callable[..., Journey]) -> None:
    journey = start_journey(java_script_enabled=False)
    journey.expect("csp http")  # the scripts that are not run
    tab = journey.open()

    tab.request_code(journey.number)
    tab.heading.filter(has_text="Check your phone").wait_for()
    tab.code.fill(journey.sent_code())
    tab.go_on.click()

    tab.heading.filter(has_text="Your number is confirmed").wait_for()
    assert len(journey.deliveries()) == 1


def test_a_new_page_takes_the_focus_to_its_heading(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.heading).to_be_focused()


def test_a_heading_that_arrives_late_takes_the_focus(journey: Journey) -> None:
    """A slow line can deliver the page in two parts, the heading in the second one."""
    page = journey.at_the_code_page().page
    page.evaluate("""() => {
        const arrival = document.createElement("otp-arrival");
        arrival.toggleAttribute("load");
        document.body.append(arrival);
    }""")
    for _ in range(2):
        page.evaluate(NEXT_FRAME)
    page.evaluate("""() => {
        const heading = document.createElement("h2");
        heading.textContent = "Late";
        heading.tabIndex = -1;
        document.body.append(heading);
    }""")

    expect(page.get_by_role("heading", name="Late")).to_be_focused()


def assert_it_fits(tab: Tab) -> None:
    """No content is wider than the window."""
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

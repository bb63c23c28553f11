"""The content security policy of the pages, in a browser that enforces the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.providers import console_only
from tests.browser.tab import Step

if TYPE_CHECKING:
    from tests.browser.journey import Journey

pytestmark = console_only

EVIL = "https://evil.example/"
BLOCKED = "Content Security Policy"

# A journey ends well only if nothing was complained of in the console.
_COMPLAIN = """addEventListener("securitypolicyviolation", (event) =>
    console.error("CSP", event.violatedDirective, event.blockedURI, event.sample))"""

_PLANT = """() => {
    const script = document.createElement("script");
    script.textContent = "window.planted = true";
    document.body.append(script);
    return new Promise((done) => setTimeout(() => {  // by itself, not by the hand of the test
        try { window.planted = eval("true"); } catch {}
        done(window.planted);
    }));
}"""


@pytest.fixture
def strict(journey: Journey) -> Journey:
    """A journey that records everything that the content security policy blocks."""
    journey.context.add_init_script(_COMPLAIN)
    return journey


def test_the_whole_way_breaks_no_policy(strict: Journey) -> None:
    """E4: from the first page to the last, with a reload and the page that is not there."""
    strict.expect("404")
    tab = strict.open()
    tab.send.click()
    tab.wait_for_problem("Enter your mobile number")
    tab.request_code(strict.number)
    tab.wait_for(Step.CODE)
    tab.enter_code(strict.wrong_code())
    tab.wait_for_problem("That code does not match")
    tab.page.reload()
    tab.wait_for(Step.CODE)
    tab.enter_code(strict.sent_code())
    tab.wait_for(Step.VERIFIED)
    tab.page.goto(f"{strict.server.site.url}/nowhere")
    tab.wait_for(Step.NOT_FOUND)


def test_the_plain_pages_break_none_either(strict: Journey) -> None:
    """E4: the plain pages also load their style sheet."""
    strict.expect("422")
    tab = strict.open()
    tab.wait_for(Step.PHONE)

    tab.page.evaluate("document.forms[0].submit()")
    tab.wait_for_problem("Enter your mobile number")

    expect(tab.heading).to_have_css("font-weight", "700")
    expect(tab.page.get_by_role("main")).to_have_css("border-top-left-radius", "12px")


def test_the_apis_documentation_is_held_to_it(strict: Journey) -> None:
    """E4: the documentation is also no wider than a phone."""
    page = strict.open("/api/docs").page
    page.set_viewport_size({"width": 320, "height": 640})

    expect(page.get_by_role("heading", level=1)).to_contain_text("verification API")
    expect(page.get_by_role("heading", level=1)).to_have_css("font-weight", "700")
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_a_script_that_is_not_ours_does_not_run(strict: Journey) -> None:
    """E4: the policy blocks a script that was put into the page, and a text made into code."""
    strict.expect(BLOCKED, "CSP script-src")
    tab = strict.open()
    tab.wait_for(Step.PHONE)

    assert tab.page.evaluate(_PLANT) is None
    assert any(BLOCKED in text for text in strict.recorder.complaints)


def test_no_other_page_can_show_ours_in_a_frame(strict: Journey) -> None:
    """E3: in a frame, a click would do what the owner of the outer page wants."""
    strict.expect(BLOCKED, "ERR_BLOCKED_BY_RESPONSE")
    strict.context.grant_permissions(["local-network-access"])  # that is not what stops it
    page = strict.context.new_page()

    page.route(EVIL, lambda route: route.fulfill(body=f"<iframe src={strict.server.site.url}>"))
    page.goto(EVIL)
    strict.wait_until(lambda: strict.recorder.complaints)

    assert any("frame-ancestors 'none'" in text for text in strict.recorder.complaints)
    assert page.frames[1].get_by_role("heading").count() == 0


def test_a_lost_connection_is_said_in_words(strict: Journey) -> None:
    """The message names no host, and is gone once the connection is back."""
    strict.expect("WebSocket connection", "ERR_CONNECTION_REFUSED")
    tab = strict.open()
    tab.wait_for(Step.PHONE)

    strict.server.stop()
    expect(tab.connection).to_have_text("The connection was lost. Trying again")
    strict.server.restart()

    expect(tab.connection).to_have_text("You are connected again")
    expect(tab.connection).to_have_text("")
    tab.request_code(strict.number)
    tab.wait_for(Step.CODE)

"""The rules for every page in every state: rows A and D of the checklist.

A4, A22, A23: `test_languages.py`; A24: `tests/unit/test_i18n.py`; A25, A26: every journey's end;
A28, D3: `test_for_everybody.py`; C32: `test_coming_back.py`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
from playwright.sync_api import expect

from tests.browser.providers import console_only
from tests.browser.shown import SMALL, Shown
from tests.browser.states import ALERT, REFERENCE, SOCKET, STATES
from tests.browser.tab import Step, Tab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.journey import Journey

pytestmark = console_only

BRAND = "MyApp"
LARGEST_SHIFT = 0.02
SLOW = 10_000  # ms; then the page gives up on its socket
AN_HOUR = 3_600_000  # ms

SPACED = """* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
    word-spacing: 0.16em !important } p { margin-bottom: 2em !important }"""
"""WCAG 1.4.12."""

SHIFT = """new Promise(resolve => {
    new PerformanceObserver(list => resolve(list.getEntries()
        .filter(entry => !entry.hadRecentInput)
        .reduce((sum, { value }) => sum + value, 0)))
        .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(0), 200);
})"""

STOPS = 40  # more than any page has
COLOURS = "({ color, backgroundColor }) => [color, backgroundColor]"


@pytest.mark.row("A5", "B16")
def test_the_title_is_the_heading_after_the_word_error_if_there_is_one(
    shown: Shown,
) -> None:
    heading = shown.page.get_by_role("heading", level=1).inner_text()
    error = "Error: " * shown.page.locator(ALERT).count()

    assert shown.page.title() == f"{error}{heading} – {BRAND}"


@pytest.mark.row("A6")
def test_there_is_one_heading_one_main_and_a_way_past_the_header(shown: Shown) -> None:
    expect(shown.page.locator("h1")).to_have_count(1)
    expect(shown.page.locator("main")).to_have_count(1)
    first = shown.page.locator("a, button, input, select, [tabindex='0']").first
    expect(first).to_have_attribute("href", re.compile("#main$"))


@pytest.mark.row("A7")
def test_at_320_pixels_nothing_is_cut_off_or_covered(shown: Shown) -> None:
    assert shown.ask("crowded()") == []


@pytest.mark.row("A8")
def test_text_of_twice_the_size_fits(shown: Shown) -> None:
    shown.resize(640, 640)
    shown.restyle(":root { font-size: 200% !important }")

    assert shown.ask("crowded()") == []


@pytest.mark.row("A9")
def test_text_can_be_spaced_out(shown: Shown) -> None:
    shown.restyle(SPACED)

    assert shown.ask("crowded()") == []


@pytest.mark.row("A10")
def test_every_target_is_large_enough(shown: Shown) -> None:
    assert shown.ask("small()") == []


@pytest.mark.row("A11")
@pytest.mark.parametrize("forced_colors", ["none", "active"])
def test_every_stop_of_the_tabulator_shows_that_it_has_the_focus(
    shown: Shown, forced_colors: Literal["none", "active"]
) -> None:
    shown.emulate(forced_colors=forced_colors)

    assert [stop["name"] for stop in stops(shown) if not stop["isSeen"]] == []


@pytest.mark.row("A14")
def test_no_browser_zooms_in_on_a_field(shown: Shown) -> None:
    assert shown.ask("zoomed()") == []


@pytest.mark.row("A15")
def test_a_person_may_zoom(shown: Shown) -> None:
    content = shown.page.locator("meta[name=viewport]").get_attribute("content")

    assert content == "width=device-width, initial-scale=1"


@pytest.mark.row("A16")
def test_every_field_has_a_label_that_can_be_seen_and_no_placeholder(shown: Shown) -> None:
    assert shown.ask("unlabelled()") == []


@pytest.mark.row("A17")
def test_nothing_moves_for_who_wants_that(shown: Shown) -> None:
    shown.emulate(reduced_motion="reduce")

    assert shown.ask("moving()") == []


@pytest.mark.row("A18")
def test_a_dark_room_gets_a_dark_page(shown: Shown) -> None:
    shown.emulate(color_scheme="dark")

    color, ground = shown.page.evaluate(f"({COLOURS})(getComputedStyle(document.documentElement))")
    assert shown.ask(f"contrast('{ground}', 'rgb(0, 0, 0)')") < 2
    assert shown.ask(f"contrast('{color}', '{ground}')") > 10
    scheme = shown.page.locator("meta[name=color-scheme]")
    expect(scheme).to_have_attribute("content", "light dark")


@pytest.mark.row("A19")
def test_forced_colours_leave_borders_and_errors(shown: Shown) -> None:
    shown.emulate(forced_colors="active")

    assert shown.ask("borderless()") == []


@pytest.mark.row("A20")
def test_more_contrast_is_given_to_who_asks(shown: Shown) -> None:
    colours = f"all => all.map(one => ({COLOURS})(getComputedStyle(one))[0])"
    text = shown.page.evaluate(f"({COLOURS})(getComputedStyle(document.documentElement))")[0]
    shown.emulate(contrast="more")

    assert set(shown.page.locator(".hint").evaluate_all(colours)) <= {text}


@pytest.mark.row("A21")
def test_from_right_to_left_nothing_is_cut_off_and_numbers_stay(shown: Shown) -> None:
    shown.mirror()

    assert shown.ask("crowded()") == []
    assert shown.ask("rightToLeft()") == []
    brand = shown.page.locator(".brand").bounding_box()
    assert brand is not None
    assert brand["x"] + brand["width"] > SMALL["width"] - 50


@pytest.mark.row("D9")
def test_no_host_port_or_trace_is_shown(shown: Shown) -> None:
    text = shown.page.locator("body").inner_text()

    assert not [word for word in ("localhost", "://", "Traceback", "_event") if word in text]


def test_on_paper_a_page_is_black_on_white_without_its_buttons(shown: Shown) -> None:
    shown.emulate(media="print", color_scheme="dark")

    look = shown.page.evaluate(f"({COLOURS})(getComputedStyle(document.documentElement))")
    assert look == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert shown.page.locator("button:visible, .skip:visible").count() == 0
    assert shown.ask("crowded()") == []


def stops(shown: Shown) -> Iterator[dict[str, Any]]:
    """Yield the element that has the focus after each press of the Tab key, from the first on."""
    shown.page.evaluate("document.activeElement.blur(), getSelection().collapse(document.body, 0)")
    for _ in range(STOPS):
        shown.page.keyboard.press("Tab")
        if shown.page.evaluate("document.activeElement === document.body"):
            return
        yield shown.ask("focused()")


@pytest.mark.row("A6")
def test_the_way_past_the_header_leads_into_the_page(journey: Journey) -> None:
    page = STATES["code"].bring(journey)

    page.locator(".skip").press("Enter")
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.row("B16")
@pytest.mark.parametrize(("name", "field"), [("phone error", "#phone"), ("code error", "#code")])
def test_the_link_of_an_error_leads_to_its_field(journey: Journey, name: str, field: str) -> None:
    page = STATES[name].bring(journey)

    page.locator(f"{ALERT} a").click()

    expect(page.locator(field)).to_be_focused()


@pytest.mark.row("A12")
@pytest.mark.parametrize("name", ["offline", "connection lost"])
def test_the_banner_covers_nothing_that_has_the_focus(
    start_journey: Callable[..., Journey], name: str
) -> None:
    page = STATES[name].bring(start_journey(viewport={"width": 360, "height": 400}))
    shown = Shown(name, page)

    assert [covered for _ in stops(shown) for covered in shown.ask("covered()")] == []


@pytest.mark.row("A29")
@pytest.mark.parametrize("name", ["phone", "not found", "problem", "connection lost"])
def test_nothing_jumps_that_nobody_has_touched(
    start_journey: Callable[..., Journey], name: str
) -> None:
    page = STATES[name].bring(start_journey(viewport=SMALL))

    assert page.evaluate(SHIFT) < LARGEST_SHIFT


@pytest.mark.row("A29")
@pytest.mark.parametrize("name", ["code", "verified"])
def test_nothing_jumps_when_a_page_is_loaded_again(
    start_journey: Callable[..., Journey], name: str
) -> None:
    page = STATES[name].bring(start_journey(viewport=SMALL))
    page.reload()
    page.get_by_text("number ending").wait_for()

    assert page.evaluate(SHIFT) < LARGEST_SHIFT


@pytest.mark.row("A27")
def test_without_a_script_a_page_says_what_there_is(
    start_journey: Callable[..., Journey],
) -> None:
    state = STATES["no script"]
    page = state.bring(start_journey(**state.options))

    note = page.locator("noscript .note")  # which Playwright's texts leave out
    expect(note).to_be_visible()
    assert note.evaluate("note => note.innerText").startswith("JavaScript is off. You can still")


@pytest.mark.row("C34")
def test_being_offline_is_said_and_what_was_entered_stays(journey: Journey) -> None:
    journey.expect("ERR_INTERNET_DISCONNECTED", "WebSocket connection")
    tab = journey.at_the_code_page()
    tab.code.fill("12")

    journey.context.set_offline(offline=True)
    said = "You are offline. What you entered is still here"
    expect(tab.connection).to_have_text(said)
    expect(tab.code).to_have_value("12")
    journey.context.set_offline(offline=False)

    expect(tab.connection).to_have_text("You are connected again")
    expect(tab.connection).to_have_text("")
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)


@pytest.mark.row("C34")
def test_a_line_that_does_not_come_is_told_and_the_plain_form_does(journey: Journey) -> None:
    tab = Tab(journey.context.new_page())
    tab.page.clock.install()
    tab.page.route_web_socket(SOCKET, lambda _: None)
    tab.page.goto(journey.server.site.url)
    tab.page.clock.fast_forward(SLOW)
    expect(tab.connection).to_have_text("The connection is slow. You can go on all the same")
    tab.phone.fill(journey.number.typed)
    tab.send.click()

    tab.page.clock.fast_forward(SLOW)

    tab.heading.filter(has_text="Check your phone").wait_for()
    assert len(journey.deliveries()) == 1


@pytest.mark.row("D1", "D2")
def test_success_has_the_focus_and_stays(journey: Journey) -> None:
    """No timer leaves the page."""
    tab = journey.at_the_code_page()
    tab.page.clock.install()
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)

    tab.page.clock.fast_forward(AN_HOUR)

    tab.wait_for(Step.VERIFIED)
    expect(tab.confirm_another).to_be_visible()


@pytest.mark.row("D4")
def test_a_failure_says_what_to_quote_and_repeats_nothing_else(journey: Journey) -> None:
    page = STATES["problem"].bring(journey)
    said = page.locator("otp-reference")
    expect(said).to_have_text(f"If you ask for help, quote this reference: {REFERENCE}")

    page.goto(f"{journey.server.site.url}/problem?reference=call-0900-123456")

    page.get_by_text("What you entered may be lost").wait_for()
    expect(said).to_have_text("")

"""The phone page, row by row of the checklist that it is held against."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from otp_app.client import Client
from tests.browser.providers import SENDS_IN_FLIGHT, console_only, services_only, twilio_only
from tests.browser.tab import Step, Tab
from tests.browser.test_sent_once import slow_down
from tests.emulator import Hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import WebSocketRoute

    from tests.browser.journey import Journey

SENDING = "Sending your code"
SLOW = "This is taking longer than usual. Keep this page open"
TOO_SHORT = "This number is too short for United Kingdom. Check that no numbers are missing"
BRITISH = "We will text +44 7400 123456"


@pytest.mark.row("B1")
@console_only
def test_the_page_says_why_it_asks_what_comes_and_who_pays(journey: Journey) -> None:
    main = live(journey).page.get_by_role("main")

    expect(main).to_contain_text("will send you a code to prove that the phone is yours")
    choice = main.get_by_role("group", name="How should the code come?")
    expect(choice).to_have_accessible_description(
        "Your phone company may charge for messages and calls."
    )


@pytest.mark.row("B1")
@console_only
@pytest.mark.parametrize("with_scripts", [True, False])
def test_how_safe_it_is_can_be_read_in_words_of_the_page(
    start_journey: Callable[..., Journey], with_scripts: bool
) -> None:
    journey = start_journey(java_script_enabled=with_scripts)
    if not with_scripts:
        journey.expect("csp http")  # the scripts that are not run
    tab = journey.open()
    risk = tab.page.get_by_text("Messages and calls can be intercepted")
    expect(risk).to_be_hidden()

    tab.page.get_by_text("How safe is a code by phone?").click()

    expect(risk).to_be_visible()


@pytest.mark.row("B2")
@console_only
def test_the_field_is_for_a_phone_number_and_cuts_nothing_off(journey: Journey) -> None:
    tab = live(journey)

    expect(tab.phone).to_have_attribute("type", "tel")
    expect(tab.phone).to_have_attribute("autocomplete", "tel")
    for name in ("maxlength", "pattern", "placeholder"):
        assert tab.phone.get_attribute(name) is None


@pytest.mark.row("A16")
@console_only
def test_every_field_has_a_label_and_none_a_placeholder(journey: Journey) -> None:
    tab = live(journey)
    fields = tab.page.locator("main :is(input, select)").all()

    assert len(fields) == 5
    for field in fields:
        expect(tab.page.locator(f"label[for={field.get_attribute('id')}]")).to_be_visible()
        assert field.get_attribute("placeholder") is None


@pytest.mark.row("A25")
@console_only
def test_every_form_is_a_post(journey: Journey) -> None:
    forms = live(journey).page.locator("form").all()

    assert len(forms) == 2
    for form in forms:
        expect(form).to_have_attribute("method", "post")


@pytest.mark.row("B3")
@console_only
def test_a_country_is_found_by_typing_its_name(journey: Journey) -> None:
    tab = live(journey)
    assert tab.country.evaluate("select => select.localName") == "select"

    tab.country.focus()
    tab.page.keyboard.type("switz")

    expect(tab.country).to_have_value("CH")
    expect(tab.country.locator("option:checked")).to_have_text("Switzerland (+41)")


@pytest.mark.row("B5")
@console_only
def test_any_way_of_writing_is_the_same_number(journey: Journey) -> None:
    tab = live(journey)
    tab.country.select_option("GB")

    for typed in (
        "07400 123456",
        "(07400) 123-456",
        "+44 (0)7400 123456",
        "tel:+44-7400-123456",
        "\u0660\u0667\u0664\u0660\u0660\u0661\u0662\u0663\u0664\u0665\u0666",
        "\u202a+44\u200b7400\u2060123\u2011456\u202c",
    ):
        tab.phone.fill(typed)
        expect(tab.preview).to_have_text(BRITISH)
        tab.phone.fill("")
        expect(tab.preview).to_have_text("")


@pytest.mark.row("B6")
@console_only
@pytest.mark.parametrize("typed", ["+44 7400 123456", "0044 7400 123456"])
def test_the_country_of_the_number_is_selected(journey: Journey, typed: str) -> None:
    tab = live(journey)
    expect(tab.country).to_have_value("US")

    tab.phone.fill(typed)

    expect(tab.preview).to_have_text(BRITISH)
    expect(tab.country).to_have_value("GB")


@pytest.mark.row("B6")
@console_only
def test_a_country_that_the_person_chooses_after_it_stays(journey: Journey) -> None:
    tab = live(journey)
    tab.phone.fill("+44 7400 123456")
    expect(tab.country).to_have_value("GB")

    tab.country.select_option("FR")

    expect(tab.preview).to_have_text(BRITISH)
    expect(tab.country).to_have_value("FR")


@pytest.mark.row("B6")
@console_only
def test_after_a_mistake_the_country_is_the_numbers(journey: Journey) -> None:
    tab = live(journey)
    tab.phone.fill("+44 7400")
    tab.country.select_option("FR")

    tab.send.click()

    tab.wait_for_problem(TOO_SHORT)
    expect(tab.country).to_have_value("GB")


@pytest.mark.row("B6")
@console_only
def test_who_comes_back_finds_the_country_of_the_number(journey: Journey) -> None:
    tab = live(journey)
    tab.country.select_option("FR")
    tab.phone.fill(journey.number.e164)
    tab.send.click()
    tab.wait_for(Step.CODE)

    tab.change_number.click()
    tab.wait_for(Step.PHONE)

    expect(tab.preview).to_have_text(re.compile("We will text"))
    expect(tab.country).to_have_value("US")
    expect(tab.phone).to_have_value(journey.number.e164)


@pytest.mark.row("B7")
@console_only
@pytest.mark.parametrize("form", ["typed", "e164"])
def test_what_a_browser_fills_in_is_the_right_number(journey: Journey, form: str) -> None:
    tab = live(journey)
    if form == "e164":
        tab.country.select_option("FR")

    tab.phone.evaluate(
        """(field, value) => {
            field.value = value;
            for (const name of ["input", "change"])
                field.dispatchEvent(new Event(name, {bubbles: true}));
        }""",
        getattr(journey.number, form),
    )
    tab.send.click()

    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


@pytest.mark.row("B8")
@console_only
def test_nothing_is_rewritten_while_somebody_types(journey: Journey) -> None:
    tab = live(journey)
    tab.country.select_option("GB")

    tab.phone.press_sequentially(" (07400)-123 456 ")

    expect(tab.preview).to_have_text(BRITISH)
    expect(tab.phone).to_have_value(" (07400)-123 456 ")


@pytest.mark.row("B9")
@console_only
def test_the_number_is_shown_once_the_fingers_rest(journey: Journey) -> None:
    tab = Tab(journey.context.new_page())
    stop_the_clock(tab, journey.server.site.url)

    tab.phone.fill("+44 7400 123456")
    tab.page.clock.run_for(299)
    expect(tab.preview).to_have_text("")
    assert journey.recorder.events_sent("preview_number") == 0
    tab.page.clock.run_for(1)

    expect(tab.preview).to_have_text(BRITISH)
    assert journey.recorder.events_sent("preview_number") == 1


@pytest.mark.row("B9")
@console_only
def test_the_preview_is_no_live_region_and_says_how_the_code_comes(journey: Journey) -> None:
    tab = live(journey)
    tab.phone.fill("+44 7400 123456")
    expect(tab.preview).to_have_text(BRITISH)

    tab.by_call.check()

    expect(tab.preview).to_have_text("We will call +44 7400 123456")
    assert (
        tab.preview.evaluate("it => it.closest('[aria-live], [role=status], [role=alert]')") is None
    )


@pytest.mark.row("B9")
@console_only
@pytest.mark.parametrize("typed", ["+44 7400 12345", "020 7946 0958", "call me maybe"])
def test_what_cannot_be_used_is_not_shown(journey: Journey, typed: str) -> None:
    tab = live(journey)
    tab.country.select_option("GB")
    tab.phone.fill("07400 123456")
    expect(tab.preview).to_have_text(BRITISH)

    tab.phone.fill(typed)

    journey.wait_until(lambda: journey.recorder.events_sent("preview_number") == 2)
    expect(tab.preview).to_have_text("")


@pytest.mark.row("B9")
@console_only
def test_a_number_typed_before_the_page_is_live_is_shown(journey: Journey) -> None:
    tab = Tab(journey.context.new_page())
    slow_down(tab.page)
    tab.page.goto(journey.server.site.url, wait_until="commit")

    tab.phone.fill("+44 7400 123456")
    assert not tab.is_live

    expect(tab.preview).to_have_text(BRITISH)
    expect(tab.phone).to_have_value("+44 7400 123456")


@pytest.mark.row("B9")
@console_only
def test_an_answer_that_comes_late_is_not_shown_for_another_number(journey: Journey) -> None:
    held: list[Callable[[], None]] = []

    def hold_the_first(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()

        def pass_on(text: str | bytes) -> None:
            if "ref_preview" in str(text) and not held:
                held.append(lambda: socket.send(text))
            else:
                socket.send(text)

        server.on_message(pass_on)

    tab = Tab(journey.context.new_page())
    tab.page.route_web_socket(re.compile("/_event/"), hold_the_first)
    tab.page.goto(journey.server.site.url)
    tab.wait_for(Step.PHONE)
    tab.phone.fill("+44 7400 123456")
    journey.wait_until(lambda: held)

    tab.phone.fill("(415) 555-0123")
    expect(tab.preview).to_have_text("We will text +1 415-555-0123")
    held[0]()

    tab.by_call.check()  # what is answered after that
    expect(tab.preview).to_have_text("We will call +1 415-555-0123")
    expect(tab.country).to_have_value("US")


@pytest.mark.row("B9")
@console_only
@pytest.mark.parametrize("width", [320, 1280])
def test_nothing_moves_when_the_number_or_the_status_comes(
    start_journey: Callable[..., Journey], width: int
) -> None:
    tab = live(start_journey(viewport={"width": width, "height": 900}))
    places = (
        "() => [...document.querySelectorAll('main *')].map(it => it.getBoundingClientRect().y)"
    )
    before = tab.page.evaluate(places)

    tab.phone.fill("+44 7400 123456")
    expect(tab.preview).to_have_text(BRITISH)
    for words in (SENDING, SLOW):
        tab.pending.evaluate("(pending, words) => pending.show(words)", words)
        expect(tab.pending).to_have_text(words)
        assert tab.page.evaluate(places) == before


@pytest.mark.row("B10")
@console_only
def test_nothing_is_wrong_before_the_form_is_sent(journey: Journey) -> None:
    tab = live(journey)

    tab.phone.press_sequentially("no number")
    tab.page.keyboard.press("Tab")

    journey.wait_until(lambda: journey.recorder.events_sent("preview_number"))
    expect(tab.problem).to_have_count(0)
    expect(tab.phone).to_have_attribute("aria-invalid", "false")


@pytest.mark.row("B11")
@console_only
def test_enter_in_the_field_sends(journey: Journey) -> None:
    tab = live(journey)
    tab.phone.fill(journey.number.typed)

    tab.phone.press("Enter")

    tab.wait_for(Step.CODE)


@pytest.mark.row("B16")
@console_only
def test_the_summary_has_the_focus_and_leads_to_the_field(journey: Journey) -> None:
    tab = live(journey)
    expect(tab.phone).to_have_attribute("aria-describedby", "phone-hint")

    tab.send.click()
    tab.wait_for_problem("Enter your mobile number")
    expect(tab.problem_place).to_be_focused()
    expect(tab.page.locator("#phone-error")).to_have_text("Error: Enter your mobile number")
    expect(tab.phone).to_have_attribute("aria-describedby", "phone-hint phone-error")

    tab.problem.get_by_role("link").click()
    expect(tab.phone).to_be_focused()


@pytest.mark.row("B16")
@console_only
def test_without_scripts_a_mistake_is_told_as_well(
    start_journey: Callable[..., Journey],
) -> None:
    journey = start_journey(java_script_enabled=False)
    journey.expect("csp http", "422")  # the scripts that are not run, and the mistake
    tab = journey.open()
    tab.phone.fill("+44 7400")
    tab.by_call.check()

    tab.send.click()

    tab.wait_for_problem(TOO_SHORT)
    expect(tab.problem_place).to_be_focused()
    expect(tab.phone).to_have_value("+44 7400")
    expect(tab.country).to_have_value("GB")
    expect(tab.by_call).to_be_checked()
    expect(tab.phone).to_have_accessible_description(re.compile(f"^Write it.*Error: {TOO_SHORT}$"))
    assert tab.page.title().startswith("Error: Enter your phone number")
    tab.phone.fill(journey.number.e164)
    tab.send.click()
    expect(tab.heading).to_have_text("Check your phone")
    assert len(journey.deliveries()) == 1


@pytest.mark.row("B21")
@console_only
def test_a_number_of_fiction_gives_an_ordinary_error(journey: Journey) -> None:
    tab = live(journey)
    tab.country.select_option("GB")
    tab.phone.fill("07700 900982")

    tab.send.click()

    tab.wait_for_problem("This is not a United Kingdom number")


@pytest.mark.row("B12")
@services_only
def test_enter_held_down_while_pending_sends_one_message(journey: Journey) -> None:
    let_go = Event()
    journey.emulator.fail(f"{journey.server.name}.start", Hold(let_go))
    tab = live(journey)
    tab.phone.fill(journey.number.typed)

    for _ in range(20):  # a key that is held down
        tab.phone.press("Enter")
    let_go.set()

    tab.wait_for(Step.CODE)
    tab.page.reload()  # a tab's events are handled in turn: after this one all are
    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1
    assert journey.recorder.events_sent("request_code") == 1


@pytest.mark.row("B13")
@twilio_only
def test_the_pending_button_stays_focusable_and_named(journey: Journey) -> None:
    seen = Event()
    journey.emulator.fail("twilio.start", Hold(seen))
    tab = live(journey)
    tab.phone.fill(journey.number.typed)

    tab.send.focus()
    tab.page.keyboard.press("Enter")

    expect(tab.pending).to_have_text(SENDING)
    expect(tab.send).to_be_focused()
    expect(tab.send).to_have_attribute("aria-disabled", "true")
    assert not tab.send.evaluate("button => button.disabled")
    seen.set()
    tab.wait_for(Step.CODE)


@twilio_only
def test_a_busy_server_says_so_in_place_and_number_and_focus_stay(journey: Journey) -> None:
    released, before = Event(), journey.emulator.count("twilio.start")
    journey.emulator.fail("twilio.start", Hold(released), SENDS_IN_FLIGHT)
    tab = live(journey)
    tab.phone.fill(journey.number.typed)

    with Client(journey.server.site.url) as client, ThreadPoolExecutor(SENDS_IN_FLIGHT) as others:
        for _ in range(SENDS_IN_FLIGHT):
            others.submit(client.start, journey.other_number.e164)
        full = before + SENDS_IN_FLIGHT
        journey.wait_until(lambda: journey.emulator.count("twilio.start") == full)
        tab.phone.press("Enter")
        busy = tab.page.get_by_text("This service is very busy. Try again in a moment")
        expect(busy).to_be_visible()
        expect(busy).to_have_role("status")
        expect(tab.phone).to_be_focused()
        expect(tab.phone).to_have_value(journey.number.typed)
        expect(tab.problem).to_have_count(0)
        released.set()

    tab.phone.press("Enter")
    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


@pytest.mark.row("B13")
@console_only
def test_an_answer_ends_what_is_pending(journey: Journey) -> None:
    tab = live(journey)

    tab.send.click()

    tab.wait_for_problem("Enter your mobile number")
    expect(tab.pending).to_have_text("")
    expect(tab.send).not_to_have_attribute("aria-disabled", "true")
    tab.request_code(journey.number)
    tab.wait_for(Step.CODE)


@pytest.mark.row("B14")
@console_only
def test_what_is_pending_shows_before_anything_was_sent(journey: Journey) -> None:
    tab = live(journey)
    expect(tab.pending).to_have_text("")

    shown = tab.send.evaluate(
        """button => {
            button.click();
            const status = document.querySelector("otp-pending[role=status]");
            return [status.shadowRoot.textContent, button.ariaDisabled];
        }"""
    )

    assert shown == [SENDING, "true"]


@pytest.mark.row("B14")
@console_only
def test_what_is_pending_shows_before_the_page_is_live(journey: Journey) -> None:
    tab = Tab(journey.context.new_page())
    slow_down(tab.page)
    tab.page.goto(journey.server.site.url, wait_until="commit")

    tab.phone.fill(journey.number.typed)
    tab.phone.press("Enter")

    expect(tab.pending).to_have_text(SENDING)
    assert not tab.is_live
    tab.wait_for(Step.CODE)
    assert len(journey.deliveries()) == 1


@pytest.mark.row("B14")
@console_only
def test_after_ten_seconds_the_page_says_that_it_takes_long(journey: Journey) -> None:
    tab = never_answered(journey)

    tab.request_code(journey.number)
    tab.page.clock.run_for(9_999)
    expect(tab.pending).to_have_text(SENDING)
    tab.page.clock.run_for(1)

    expect(tab.pending).to_have_text(SLOW)


@pytest.mark.row("B14")
@console_only
def test_a_minute_without_an_answer_lets_the_person_try_again(journey: Journey) -> None:
    journey.expect("WebSocket connection")  # its minute is over, too
    tab = never_answered(journey)
    tab.request_code(journey.number)
    expect(tab.send).to_have_attribute("aria-disabled", "true")

    tab.page.clock.run_for(60_000)

    assert tab.send.get_attribute("aria-disabled") is None
    expect(tab.pending).to_have_text("")


def never_answered(journey: Journey) -> Tab:
    """The phone page on a line that loses what is asked for, and its clock stopped."""

    def lose(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        socket.on_message(lambda text: None if "request_code" in str(text) else server.send(text))

    tab = Tab(journey.context.new_page())
    tab.page.route_web_socket(re.compile("/_event/"), lose)
    stop_the_clock(tab, journey.server.site.url)
    return tab


def stop_the_clock(tab: Tab, url: str) -> None:
    """Open the phone page; then, time passes for its scripts when the test says so."""
    tab.page.clock.install()
    tab.page.goto(url)
    tab.wait_for(Step.PHONE)
    tab.page.clock.pause_at(tab.page.evaluate("Date.now() / 1000") + 1)  # seconds


def live(journey: Journey) -> Tab:
    """The phone page, reacting."""
    tab = journey.open()
    tab.wait_for(Step.PHONE)
    return tab

"""The code page, row by row: one field for every paste, other ways, time that is told rightly."""

from __future__ import annotations

import re
from threading import Event
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Route, expect

from tests.browser.providers import console_only, every_provider, twilio_only
from tests.browser.tab import Step, Tab
from tests.emulator import Hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from tests.browser.journey import Journey

WAIT = 31.0  # seconds; a first message may be followed by another after 30
LIFETIME = 600.0  # seconds
SCRIPTS = "**/assets/*.js"

PASTES = {
    "plain": "{code}",
    "spaced": "{half} {rest}",
    "hyphen": "{half}-{rest}",
    "dash": "{half}–{rest}",
    "spaces_around": " {code} ",
    "line_end": "{code}\n",
    "wide_digits": "{wide}",
    "arabic_digits": "{arabic}",
    "prefix": "G-{code}",
    "sentence": "Your code is {code}.",
    "message": "{code} is your Example code\n\n@example.com #{code}",
}

# A phone that brings the code of a text message, if it is asked to.
WEB_OTP = """
window.OTPCredential = class {};
window.asked = [];
Object.defineProperty(navigator, "credentials", { value: { get: (options) => {
  window.asked.push(options);
  return new Promise((arrive, refuse) => {
    window.bring = (code) => arrive({ code });
    options.signal.addEventListener("abort", () => refuse(options.signal.reason));
  });
} } });
"""

# A function: a text that is not true at once is evaluated again by the page itself, whose policy
# forbids that.
ALL_IS_SELECTED = "() => document.activeElement.selectionEnd === 6"

# A function that collects in `window.heard` the announcements of a countdown: the present one and
# all later ones, in the order of its milestones.
LISTEN = """(countdown) => {
  const said = countdown.shadowRoot.querySelector("[role=status]");
  window.heard = [said.textContent];
  new MutationObserver(() => window.heard.push(said.textContent))
    .observe(said, { childList: true, characterData: true, subtree: true });
}"""


@pytest.mark.row("C1")
@console_only
def test_there_is_one_field_and_one_tab_stop_before_the_button(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.heading).to_be_focused()

    expect(tab.page.get_by_role("textbox")).to_have_count(1)
    tab.page.keyboard.press("Tab")
    expect(tab.code).to_be_focused()
    tab.page.keyboard.press("Tab")
    expect(tab.go_on).to_be_focused()


@pytest.mark.row("C2", "C3")
@console_only
def test_the_field_is_made_for_codes_and_says_what_will_happen(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    for name, value in {
        "type": "text",
        "inputmode": "numeric",
        "autocomplete": "one-time-code",
        "spellcheck": "false",
        "dir": "ltr",
        "aria-invalid": "false",
    }.items():
        expect(tab.code).to_have_attribute(name, value)
    expect(tab.code).not_to_have_attribute("maxlength", re.compile(""))
    expect(tab.code).to_have_accessible_name("Security code")
    expect(tab.code).to_have_accessible_description(
        "6 numbers. We check the code as soon as you enter the last number."
    )


@pytest.mark.row("C4")
@console_only
@pytest.mark.parametrize("form", PASTES)
def test_every_paste_sends_the_code(start_journey: Callable[..., Journey], form: str) -> None:
    journey = start_journey(permissions=["clipboard-read", "clipboard-write"])
    tab = journey.at_the_code_page()

    tab.code.focus()
    tab.page.evaluate("text => navigator.clipboard.writeText(text)", written(journey, form))
    tab.page.keyboard.press("ControlOrMeta+V")

    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 1


@pytest.mark.row("C5")
@console_only
def test_what_is_dictated_in_one_go_is_sent(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    tab.code.focus()
    tab.page.keyboard.insert_text(written(journey, "spaced"))

    tab.wait_for(Step.VERIFIED)


@pytest.mark.row("C6")
@console_only
def test_leading_zeros_survive(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    tab.enter_code("012345")
    tab.wait_for_problem("That code does not match")

    expect(tab.code).to_have_value("012345")
    assert "012345" in journey.recorder.typed


@pytest.mark.row("C7")
@console_only
def test_the_field_is_edited_like_any_other(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    keys = tab.page.keyboard
    tab.code.fill("12345")

    for pressed, value in [
        (["End", "Backspace", "9"], "12349"),
        (["Home", "Delete"], "2349"),
        (["ArrowRight", "8"], "28349"),
        (["ControlOrMeta+Z"], "2349"),
        (["ControlOrMeta+A", "ControlOrMeta+X"], ""),
        (["ControlOrMeta+V"], "2349"),
    ]:
        for key in pressed:
            keys.press(key)
        expect(tab.code).to_have_value(value)
    assert checks(journey) == 0


@pytest.mark.row("C7")
@console_only
def test_the_last_digit_of_a_refused_code_is_mended_with_two_keys(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.code.press_sequentially("123456")
    tab.wait_for_problem("That code does not match")

    tab.code.focus()
    tab.page.wait_for_function(ALL_IS_SELECTED)
    tab.code.press("End")
    tab.code.press("Backspace")
    tab.code.press("9")

    expect(tab.code).to_have_value("123459")
    journey.wait_until(lambda: checks(journey) == 2)


@pytest.mark.row("C8")
@console_only
def test_nothing_stands_in_the_way_of_a_paste(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    for event in ("paste", "beforeinput", "contextmenu", "drop"):
        assert tab.code.evaluate(
            "(field, name) => field.dispatchEvent("
            "new Event(name, { bubbles: true, cancelable: true }))",
            event,
        )


@pytest.mark.row("C9")
@console_only
def test_the_last_digit_sends_the_code_and_the_same_one_never_again(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    wrong = journey.wrong_code()

    tab.code.press_sequentially(wrong[:5])
    assert checks(journey) == 0
    tab.code.press_sequentially(wrong[5])
    tab.wait_for_problem("That code does not match")
    assert checks(journey) == 1

    tab.code.focus()
    tab.page.wait_for_function(ALL_IS_SELECTED)
    tab.code.press("End")
    tab.code.press("Backspace")
    tab.code.press(wrong[5])
    expect(tab.code).to_have_value(wrong)
    tab.code.fill(f"{wrong[:3]} {wrong[3:]}")
    assert checks(journey) == 1

    tab.code.fill(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 2


@pytest.mark.row("C9")
@console_only
def test_what_is_no_code_stays(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    for text in ("12345", "1234567", "123456 654321", "12345a", "²²²²²²"):
        tab.code.fill(text)
    tab.code.fill(journey.sent_code())

    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 1


@pytest.mark.row("C9")
@console_only
def test_what_is_being_composed_waits(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    keyboard = journey.context.new_cdp_session(tab.page)
    code = journey.sent_code()
    tab.code.focus()

    keyboard.send("Input.imeSetComposition", {"text": code, "selectionStart": 6, "selectionEnd": 6})
    expect(tab.code).to_have_value(code)
    assert checks(journey) == 0
    keyboard.send("Input.insertText", {"text": code})

    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 1


@pytest.mark.row("C9")
@twilio_only
def test_a_digit_mended_while_a_code_is_checked_is_sent_after_the_answer(
    journey: Journey,
) -> None:
    mended = Event()
    journey.emulator.fail("twilio.check", Hold(mended))
    tab = journey.at_the_code_page()
    code = journey.sent_code()

    tab.code.press_sequentially(code[:5] + str((int(code[5]) + 1) % 10))
    tab.code.press("Backspace")
    tab.code.press(code[5])
    mended.set()

    tab.wait_for(Step.VERIFIED)


@pytest.mark.row("C10")
@console_only
def test_continue_sends_the_same_code_again(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.code.fill(journey.wrong_code())
    tab.wait_for_problem("That code does not match")

    expect(tab.go_on).to_be_enabled()
    tab.go_on.click()

    journey.wait_until(lambda: checks(journey) == 2)
    tab.wait_for_problem("You can try 3 more times")


@pytest.mark.row("C11", "C24")
@console_only
def test_a_wrong_code_stays_readable_and_the_next_one_takes_its_place(
    journey: Journey,
) -> None:
    tab = journey.at_the_code_page()
    wrong = journey.wrong_code()
    tab.code.fill(wrong)
    tab.wait_for_problem("That code does not match")
    expect(tab.problem_place).to_be_focused()
    expect(tab.code).to_have_value(wrong)
    expect(tab.code).to_have_attribute("type", "text")

    tab.problem.get_by_role("link").press("Enter")
    expect(tab.code).to_be_focused()
    journey.wait_until(lambda: tab.page.evaluate("String(getSelection())") == wrong)
    tab.page.keyboard.type(journey.sent_code())

    tab.wait_for(Step.VERIFIED)


@pytest.mark.row("C12")
@console_only
@pytest.mark.parametrize(
    ("by", "words"), [("sms", "We sent a code by text message"), ("voice", "We are calling")]
)
def test_the_page_says_where_the_code_went_and_no_more(
    journey: Journey, by: str, words: str
) -> None:
    tab = journey.at_the_code_page(by)

    expect(tab.sent).to_contain_text(f"{words}")
    expect(tab.sent.locator("bdi")).to_have_text(journey.number.ending)
    assert journey.number.national not in re.sub(r"\D", "", tab.page.content())


@pytest.mark.row("C15")
@console_only
def test_a_code_that_the_phone_brings_is_filled_in_and_sent(journey: Journey) -> None:
    journey.context.add_init_script(WEB_OTP)
    tab = journey.at_the_code_page()

    assert tab.page.evaluate("asked.map((options) => options.otp.transport)") == [["sms"]]
    code = journey.sent_code()
    tab.page.evaluate("code => bring(code)", code)

    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 1


@pytest.mark.row("C15")
@console_only
def test_the_phone_is_asked_no_longer_than_it_matters(journey: Journey) -> None:
    journey.context.add_init_script(WEB_OTP)
    tab = journey.at_the_code_page()

    tab.enter_code(journey.wrong_code())
    tab.wait_for_problem("That code does not match")
    tab.change_number.click()
    tab.wait_for(Step.PHONE)
    tab.page.go_back()
    tab.wait_for(Step.CODE)
    tab.change_number.click()
    tab.wait_for(Step.PHONE)

    assert tab.page.evaluate("asked.map((options) => options.signal.aborted)") == [True, True]


@pytest.mark.row("C16")
@console_only
def test_the_number_can_be_changed_and_is_filled_in(journey: Journey) -> None:
    tab = journey.through_the_phone_page()

    tab.change_number.click()
    tab.wait_for(Step.PHONE)

    expect(tab.phone).to_have_value(journey.number.typed)


@pytest.mark.row("C17")
@console_only
def test_who_got_no_code_finds_what_to_check_and_another_way(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.call_me).to_be_hidden()

    tab.other_ways.focus()
    tab.page.keyboard.press("Enter")

    ways = tab.page.locator("details")
    expect(tab.call_me).to_be_visible()
    expect(ways.get_by_role("listitem")).to_have_text(
        [
            f"Check that {journey.number.ending} is how your number ends",
            "Wait a minute or two: messages can be slow",
            "Check that your phone has a signal",
            "Look among spam and blocked messages",
        ]
    )
    expect(tab.change_number).to_be_visible()


@pytest.mark.row("C17")
@twilio_only
def test_after_a_failed_message_the_other_way_is_put_first(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.call_me).to_be_hidden()

    journey.report("failed")

    expect(tab.delivery).to_contain_text("could not be delivered")
    expect(tab.call_me).to_be_visible()
    expect(tab.call_me).to_have_class("primary")


@pytest.mark.row("C18")
@console_only
def test_the_button_waits_says_when_and_can_be_pressed(journey: Journey) -> None:
    tab = journey.at_the_code_page()

    expect(tab.send_again).to_be_visible()
    expect(tab.send_again).to_have_attribute("aria-disabled", "true")
    expect(tab.wait).to_contain_text(re.compile(r"You can get another code in \d+ seconds"))
    tab.send_again.focus()
    tab.page.keyboard.press("Enter")

    expect(tab.status).to_contain_text("You can get another code in")
    expect(tab.send_again).to_be_focused()
    expect(tab.send_again).to_have_attribute("aria-disabled", "true")
    assert len(journey.deliveries()) == 1


@pytest.mark.row("C18")
@console_only
def test_after_the_wait_the_button_is_as_any_other(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    journey.later(WAIT)

    tab.page.reload()
    tab.wait_for(Step.CODE)

    expect(tab.send_again).to_be_enabled()
    assert tab.seconds_to_wait == 0


@pytest.mark.row("C19")
@console_only
def test_the_countdown_is_heard_at_its_milestones_only(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.wait).to_contain_text("You can get another code in")
    tab.wait.evaluate(LISTEN)

    for _ in range(31):
        pass_a_second(tab.wait)

    expect(tab.send_again).to_be_enabled()
    heard = tab.page.evaluate("heard")
    assert [re.sub(r"\d+", "…", text) for text in heard] == [
        "You can get another code in … seconds",
        "You can get another code in … seconds",
        "You can get another code now",
    ]
    assert 9 <= int("".join(filter(str.isdecimal, heard[1]))) <= 10
    assert tab.wait.evaluate(
        "element => !element.closest('[role], [aria-live]')"
        " && !element.shadowRoot.firstChild.closest('[role], [aria-live]')"
    )


@pytest.mark.row("C20")
@console_only
@pytest.mark.parametrize(
    "change",
    [
        "const now = Date.now; Date.now = () => now() + 3600e3",  # set forward
        "const now = Date.now; Date.now = () => now() - 3600e3",
        "const now = performance.now(); performance.now = () => now",  # asleep
    ],
)
def test_the_countdown_is_right_whatever_becomes_of_the_clock(
    journey: Journey, change: str
) -> None:
    tab = journey.at_the_code_page()
    expect(tab.wait).to_contain_text("You can get another code in")

    tab.page.evaluate(f"() => {{ {change} }}")

    journey.wait_until(lambda: asked_for_time(journey))
    journey.wait_until(lambda: abs(tab.seconds_to_wait - journey.seconds_to_wait) <= 1)
    tab.page.reload()
    tab.wait_for(Step.CODE)
    journey.wait_until(lambda: abs(tab.seconds_to_wait - journey.seconds_to_wait) <= 1)


@pytest.mark.row("C21")
@console_only
def test_after_another_message_focus_and_what_was_typed_stay(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    tab.code.fill("12")
    journey.later(WAIT)

    tab.send_again.focus()
    tab.page.keyboard.press("Enter")

    words = "We sent a new code by text message to the number ending "
    expect(tab.status).to_have_text(words + journey.number.ending)
    expect(tab.send_again).to_be_focused()
    expect(tab.code).to_have_value("12")


@pytest.mark.row("C22")
@every_provider
def test_a_code_from_before_is_taken_or_the_newest_is_asked_for(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    earlier = journey.sent_code()
    journey.later(WAIT)
    tab.ask_again()
    expect(tab.status).to_contain_text("We sent a new code")

    tab.enter_code(earlier)

    if earlier == journey.sent_code():  # Twilio sends the same one again
        tab.wait_for(Step.VERIFIED)
    else:
        tab.wait_for_problem("Check the newest message")


@pytest.mark.row("C23")
@console_only
def test_the_end_is_told_as_a_clock_time_and_in_minutes(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.expiry).to_have_text(journey.expiry)
    expect(tab.minutes).to_have_text("10 minutes left")

    journey.later(LIFETIME - 90)
    tab.page.reload()
    expect(tab.minutes).to_have_text("2 minutes left")

    journey.later(90)
    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.EXPIRED)
    expect(tab.get_new_code).to_be_visible()


@pytest.mark.row("C26", "C27")
@console_only
def test_a_lock_says_why_until_when_and_where_to_go_in_every_tab(
    journey: Journey,
) -> None:
    tab = journey.at_the_code_page()
    for left in reversed(range(5)):
        tab.enter_code(journey.wrong_code())
        tab.wait_for_problem("That code does not match") if left else tab.wait_for(Step.LOCKED)

    for locked in (tab, journey.open("/code"), journey.open("/")):
        locked.wait_for(Step.LOCKED)
        expect(locked.heading).to_contain_text(journey.expiry)
        main = locked.page.get_by_role("main")
        expect(main).to_contain_text("A wrong code was entered too many times")
        expect(main).to_contain_text("Time zone: India Time.")
        expect(locked.use_different_number).to_be_visible()

    tab.page.bring_to_front()
    tab.get_new_code.click()
    expect(tab.status).to_contain_text(f"You cannot enter a code until {journey.expiry}")
    assert len(journey.deliveries()) == 1


@pytest.mark.row("C28")
@console_only
def test_the_page_says_at_once_that_it_checks(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.pending).to_have_attribute("role", "status")

    said = tab.code.evaluate(
        """(field, code) => {
          field.value = code;
          field.dispatchEvent(new InputEvent("input", { bubbles: true }));
          return document.querySelector("otp-pending").shadowRoot.textContent;
        }""",
        journey.sent_code(),
    )

    assert said == "Checking your code"
    tab.wait_for(Step.VERIFIED)


@pytest.mark.row("C29")
@console_only
def test_focus_begins_at_the_heading_however_the_page_was_reached(journey: Journey) -> None:
    tab = journey.at_the_code_page()
    expect(tab.heading).to_be_focused()

    tab.page.reload()
    tab.wait_for(Step.CODE)
    expect(tab.heading).to_be_focused()
    other_tab = journey.open("/code")
    other_tab.wait_for(Step.CODE)
    expect(other_tab.heading).to_be_focused()


@pytest.mark.row("C29")
@console_only
def test_a_keyboard_on_the_screen_leaves_the_label_in_sight(
    start_journey: Callable[..., Journey],
) -> None:
    journey = start_journey(viewport={"width": 360, "height": 640})
    tab = journey.at_the_code_page()
    tab.page.evaluate("scrollTo(0, document.body.scrollHeight)")

    tab.page.set_viewport_size({"width": 360, "height": 360})  # the keyboard takes the rest
    tab.code.focus()

    expect(tab.page.get_by_text("Security code")).to_be_in_viewport(ratio=1)
    expect(tab.code).to_be_in_viewport(ratio=1)


@pytest.mark.row("C30")
@console_only
def test_a_tab_that_was_closed_is_taken_up_by_the_next(journey: Journey) -> None:
    journey.expect("404")  # the icon of what is no page
    tab = journey.at_the_code_page()

    tab.page.goto(f"{journey.server.site.url}/ping")
    again = journey.open("/")

    again.wait_for(Step.CODE)
    expect(again.sent.locator("bdi")).to_have_text(journey.number.ending)
    expect(again.expiry).to_have_text(journey.expiry)
    assert len(journey.deliveries()) == 1


@pytest.mark.row("C33")
@console_only
def test_a_duplicated_tab_is_at_the_same_step_and_finishes_with_the_other(
    journey: Journey,
) -> None:
    tab = journey.at_the_code_page()
    with journey.context.expect_page() as opened:
        tab.page.evaluate("() => void open('/code')")  # takes the tab's storage along
    double = Tab(opened.value)
    double.wait_for(Step.CODE)
    expect(double.sent.locator("bdi")).to_have_text(journey.number.ending)

    tab.enter_code(journey.sent_code())
    tab.wait_for(Step.VERIFIED)
    double.enter_code(journey.wrong_code())

    double.wait_for(Step.VERIFIED)


@pytest.mark.row("C35")
@console_only
def test_a_code_entered_without_a_connection_is_sent_once(journey: Journey) -> None:
    journey.expect("WebSocket connection", "ERR_CONNECTION_REFUSED")
    tab = journey.at_the_code_page()
    code = journey.sent_code()

    journey.server.stop()
    expect(tab.connection).to_be_visible()
    tab.enter_code(code)
    tab.page.keyboard.press("Enter")
    journey.server.restart()

    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 1


@pytest.mark.row("C36")
@console_only
def test_a_code_entered_before_the_page_is_live_is_sent_once(journey: Journey) -> None:
    journey.at_the_code_page()
    tab, held = Tab(journey.context.new_page()), list[Route]()
    hold, release = held.append, Route.continue_
    tab.page.route(SCRIPTS, lambda route: hold(route))
    tab.page.goto(f"{journey.server.site.url}/code", wait_until="commit")

    tab.code.press_sequentially(journey.sent_code())
    tab.code.press("Enter")
    assert not tab.is_live
    expect(tab.code).to_have_value(journey.sent_code())
    assert "?" not in tab.page.url
    hold = release
    for route in held:
        release(route)

    tab.wait_for(Step.VERIFIED)
    assert checks(journey) == 1


@pytest.mark.row("C17", "C18")
@console_only
def test_without_scripts_all_of_it_is_there(start_journey: Callable[..., Journey]) -> None:
    journey = start_journey(java_script_enabled=False)
    journey.expect("csp http", "429")  # the scripts that are not run; asking too early
    tab = journey.open()
    tab.request_code(journey.number)

    expect(tab.sent.locator("bdi")).to_have_text(journey.number.ending)
    tab.send_again.click()
    expect(tab.problem).to_contain_text("You can get another code in")
    assert len(journey.deliveries()) == 1

    journey.later(WAIT)
    tab.ask_for_call()
    expect(tab.sent).to_contain_text("We are calling the number ending")
    tab.page.reload()
    tab.code.fill(journey.sent_code())
    tab.go_on.click()

    tab.heading.filter(has_text="Your number is confirmed").wait_for()
    assert [delivery.channel for delivery in journey.deliveries()] == ["sms", "voice"]


def written(journey: Journey, form: str) -> str:
    """The code that was sent, as *form* has it."""
    code = journey.sent_code()
    return PASTES[form].format(
        code=code,
        half=code[:3],
        rest=code[3:],
        wide="".join(chr(ord("０") + int(digit)) for digit in code),
        arabic="".join(chr(ord("٠") + int(digit)) for digit in code),
    )


def checks(journey: Journey) -> int:
    """Return the number of codes that the page has sent."""
    texts = journey.recorder.texts
    return sum("check_code" in text for where, text in texts if where == "frame sent")


def asked_for_time(journey: Journey) -> bool:
    """Return True if the page has requested the time of the server."""
    return any("sync_clock" in text for where, text in journey.recorder.texts if "sent" in where)


def pass_a_second(countdown: Locator) -> None:
    """Move the countdown's reading of the server's clock forward by one second."""
    countdown.evaluate(
        "element => element.setAttribute('clock', Number(element.getAttribute('clock')) + 1000)"
    )

"""The pages as a person sees and uses them. Every selector of the tests is here."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.browser.numbers import Number

CODE_LENGTH = 6
# A new page takes the focus in its first frame, and would take it from a field in use.
NEXT_FRAME = "() => new Promise((drawn) => requestAnimationFrame(() => drawn()))"

LIVE = "form[data-live=true]:not(.actions *)"


class Step(Enum):
    """A step of the journey: the path, the words of the main heading, whether there is a form."""

    PHONE = "/", "Enter your phone number", True
    CODE = "/code", "Check your phone", True
    EXPIRED = "/code", "That code has expired", False
    LOCKED = "/code", "You cannot enter a code until", False
    VERIFIED = "/verified", "Your number is confirmed", False
    NOT_FINISHED = "/.*", "We could not finish confirming your number", False
    NOT_FOUND = "/.*", "Page not found", False


class Tab:
    """One page of the browser."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._entered: set[str] = set()
        self.heading = page.get_by_role("heading", level=1)
        self.country = page.get_by_label("Country code")
        self.phone = page.get_by_label("Mobile number")
        self.by_call = page.get_by_role("radio", name="Call me")
        self.by_whatsapp = page.get_by_role("radio", name="WhatsApp")
        self.send = page.get_by_role("button", name="Send code")
        self.sent = page.get_by_text("number ending")
        self.expiry = page.get_by_role("main").get_by_role("strong")
        self.code = page.get_by_label("Security code")
        self.go_on = page.get_by_role("button", name="Continue")
        self.send_again = page.get_by_role("button", name="Send a new text message")
        self.send_by_whatsapp = page.get_by_role("button", name="Send it by WhatsApp")
        self.other_ways = page.get_by_text("I did not get a code")
        self.call_me = page.get_by_role("button", name="Call me instead")
        self.get_new_code = page.get_by_role("button", name="Get a new code")
        self.use_different_number = page.get_by_role("button", name="Use a different number")
        self.start_again = page.get_by_role("button", name="Start again")
        self.confirm_another = page.get_by_role("button", name="Confirm another number")
        self.sign_out = page.get_by_role("button", name="Sign out")
        self.change_number = page.get_by_role("link", name="Change the number")
        self.preview = page.locator("otp-preview")
        self.pending = page.locator("otp-pending")
        self.problem = page.get_by_role("alert")
        self.problem_place = page.locator("#problem")
        self.status = page.locator(".actions + [role=status]")
        self.connection = page.locator("otp-connection")
        self.delivery = page.locator(".delivery [role=status]")
        self.awaited = page.locator(".delivery[data-awaited=true]")
        self.wait = page.locator("otp-countdown[ready]")
        self.minutes = page.locator("otp-countdown.inline")

    def request_code(self, number: Number, by: str = "sms") -> None:
        """Fill in the phone page and send it."""
        self.page.bring_to_front()
        self.phone.fill(number.typed)
        if by == "voice":
            self.by_call.check()
        if by == "whatsapp":
            self.by_whatsapp.check()
        self.send.click()

    def enter_code(self, code: str) -> None:
        """Fill in the code page and send it.

        The page sends a complete code by itself, but the same code only once.
        """
        self.page.bring_to_front()
        self.code.fill(code)
        if sum(map(str.isdecimal, code)) != CODE_LENGTH or code in self._entered:
            self.go_on.click()
        self._entered.add(code)

    def ask_again(self) -> None:
        """Press the button for another text message, also while the button waits."""
        self.page.bring_to_front()
        self.send_again.click(force=True)

    def ask_for_call(self) -> None:
        """Press the button for a call, among the other ways, also while the button waits."""
        self.page.bring_to_front()
        if not self.call_me.is_visible():
            self.other_ways.click()
        self.call_me.click(force=True)

    def wait_for(self, step: Step) -> None:
        """Wait until the tab is at *step* and its form, if there is one, reacts."""
        path, heading, has_form = step.value
        self.page.bring_to_front()  # a tab behind another one draws nothing, and so waits longer
        self.page.wait_for_url(re.compile(rf"://[^/]+{path}/?$"))
        self.heading.filter(has_text=heading).wait_for()
        if has_form:
            self.page.locator(LIVE).wait_for()
            self.page.evaluate(NEXT_FRAME)

    def wait_for_problem(self, text: str) -> None:
        """Wait until the error summary of the page contains *text*."""
        self.problem.filter(has_text=text).wait_for()

    def tab_to(self, field: Locator) -> None:
        """Press the tabulator until *field* has the focus."""
        for _ in range(20):
            if field.evaluate("element => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError("The keyboard does not lead there")

    @property
    def is_live(self) -> bool:
        """True if the script of the page has taken over the prerendered HTML."""
        return self.page.locator(LIVE).count() > 0

    @property
    def seconds_to_wait(self) -> int:
        """The seconds that the countdown to the next message shows, and 0 when it is over."""
        text: str = self.wait.evaluate("element => element.shadowRoot.firstChild.textContent")
        return int("".join(filter(str.isdecimal, text)) or "0")

    @property
    def brightness(self) -> int:
        """The red of the page's ground, from 0 to 255."""
        ground: str = self.page.evaluate(
            "getComputedStyle(document.documentElement).backgroundColor"
        )
        return int(re.findall(r"\d+", ground)[0])


class PhoneTab:
    """The simulated phone, in a tab."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.messages = page.get_by_role("log").get_by_role("listitem")
        self.nothing = page.get_by_role("radio", name="Nothing")

    def newest(self, ending: str) -> Locator:
        """The newest message to the number with that *ending*, once it is there."""
        return self.messages.filter(has_text=f"•••{ending}").first

    def read(self, ending: str) -> str:
        """The code of the newest text message to a number."""
        return self.newest(ending).locator(".words b").inner_text()

    def answer(self, ending: str) -> str:
        """Answer the newest call to a number, and return the code that the voice reads out."""
        self.newest(ending).get_by_text("Answer").click()
        return self.newest(ending).get_by_text("The voice says").locator("b").inner_text()

    def switch(self, name: str) -> None:
        """Make something go wrong, and wait until it does."""
        self.page.bring_to_front()
        radio = self.page.get_by_role("radio", name=name, exact=True)
        radio.click()
        self.page.locator(f"#{radio.get_attribute('id')}:checked").wait_for()

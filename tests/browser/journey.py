"""A person with a browser and phones, on their way through the app."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tests.browser.providers import credentials
from tests.browser.recorder import Recorder, Text
from tests.browser.sweep import Secrets
from tests.browser.tab import Step, Tab
from tests.emulator.webhooks import twilio_event, twilio_post, vonage_event, vonage_post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext

    from tests.browser.inbox import Delivery, Inbox
    from tests.browser.numbers import Number
    from tests.browser.server import Server
    from tests.emulator import Emulator

PATIENCE = 15.0  # seconds
_CRASH = re.compile(r"Traceback|(?:handler|page)\.failed")
TIME_ZONE = ZoneInfo("Asia/Kolkata")  # few machines' own: times shown must be the browser's


class Journey:
    """One browser context, watched from its first request to its end."""

    def __init__(
        self,
        context: BrowserContext,
        server: Server,
        emulator: Emulator,
        inbox: Inbox,
        numbers: Iterator[Number],
    ) -> None:
        self.context = context
        self.server = server
        self.emulator = emulator
        self.recorder = Recorder(context, server.known_files)
        self.number = next(numbers)
        self.other_number = next(numbers)
        self._inbox = inbox
        self._log_start = server.log.size
        self._earlier_violations = len(emulator.violations)
        self._expected: list[str] = []

    def open(self, path: str = "/") -> Tab:
        """A new tab at *path*."""
        tab = Tab(self.context.new_page())
        tab.page.goto(self.server.site.url + path)
        return tab

    def through_the_phone_page(self, by: str = "sms") -> Tab:
        """A new tab that has asked for a code to the first number on the phone page."""
        tab = self.open()
        tab.request_code(self.number, by)
        tab.wait_for(Step.CODE)
        return tab

    def at_the_code_page(self, by: str = "sms") -> Tab:
        """A new tab at the code page, with a code on its way to the first number.

        The code is requested by the form of the phone page, but no phone page is loaded.
        """
        self.request_code(by)
        tab = self.open("/code")
        tab.wait_for(Step.CODE)
        return tab

    def request_code(self, by: str = "sms") -> None:
        """Post the form of the phone page, with the first number."""
        url = self.server.site.url
        self.recorder.typed.add(self.number.typed)
        self.context.request.get(f"{url}/_flow.js")
        form: dict[str, str | float | bool] = {
            "phone": self.number.typed,
            "channel": by,
            "country": "US",
        }
        posted = self.context.request.post(
            f"{url}/request-otp", form=form, headers={"origin": url}, max_redirects=0
        )
        assert posted.status == 303

    def deliveries(self, number: Number | None = None) -> list[Delivery]:
        """Return the deliveries to *number*, by default to the first number."""
        return self._inbox.of(number or self.number)

    def sent_code(self, number: Number | None = None) -> str:
        """Return the newest code for *number*, by default for the first number."""
        return self.deliveries(number)[-1].code

    def wrong_code(self) -> str:
        """Return a code that differs from the newest code for the first number."""
        return f"{(int(self.sent_code()) + 1) % 1_000_000:06}"

    def report(self, status: str) -> None:
        """Post a webhook that reports *status* for the newest message to the first number.

        *status* is a word of the service.
        """
        now, url = datetime.now(UTC), f"{self.server.site.url}/webhooks/{self.server.name}"
        to = self.number.e164
        reference = [m.reference for m in self.emulator.messages if m.to == to][-1]
        if self.server.name == "vonage":
            post = vonage_post(url, vonage_event(reference, status, now), now)
        else:
            post = twilio_post(url, [twilio_event(reference, status, now)])
        assert post.send() == 204

    @property
    def expiry(self) -> str:
        """The time at which the code expires, as the page shows it in the browser's time zone."""
        moment = self.server.store.times(self.number.e164).expires_at
        return f"{moment.astimezone(TIME_ZONE):%I:%M %p}".lstrip("0")

    @property
    def seconds_to_wait(self) -> float:
        """The seconds until another code may be sent."""
        moment = self.server.store.times(self.number.e164).resend_at
        return (moment - datetime.now(UTC)).total_seconds()

    def later(self, seconds: float) -> None:
        """Let so much time pass for the app and the services, but not for the browser."""
        phones = {self.number.e164, self.other_number.e164}
        self.server.store.age(phones, seconds)
        self.emulator.clock.tick(seconds)

    def wait_until(self, condition: Callable[[], object]) -> None:
        """Wait until *condition* holds, while the events of the browser are processed."""
        page = self.context.pages[0]
        for _ in range(int(PATIENCE / 0.025)):
            if condition():
                return
            page.wait_for_timeout(25)
        raise AssertionError("It did not come about")

    def expect(self, *complaints: str) -> None:
        """Accept complaints that contain one of these texts, because the test causes them."""
        self._expected += complaints

    def end(self) -> list[str]:
        """Close the browser, and return all problems: leaks, complaints, violations."""
        problems = self._problems()
        self.context.close()
        return problems

    def _problems(self) -> list[str]:
        recorder = self.recorder
        complaints = recorder.complaints + recorder.failures
        unexpected = [text for text in complaints if not any(map(text.count, self._expected))]
        log = self.server.log.text(self._log_start)
        crashes = [line for line in log.splitlines() if _CRASH.search(line)]
        leaks = self._secrets().found_in([*recorder.everything(), self._log()])
        violations = self.emulator.violations[self._earlier_violations :]
        return [*unexpected, *crashes, *violations, *map(str, leaks)]

    def _log(self) -> Text:
        """Return the log without the codes that the console provider writes on purpose."""
        log = self.server.log.text(self._log_start)
        return Text("server's log", self._inbox.without_codes(log))

    def _secrets(self) -> Secrets:
        """Return this journey's secrets, and earlier ones that late lines of the log could show."""
        sent = self.emulator.messages
        mine = [*self.deliveries(self.number), *self.deliveries(self.other_number)]
        return Secrets(
            phones=self.server.store.phones() | self.recorder.typed,
            codes=self.recorder.typed | {delivery.code for delivery in mine},
            words={*credentials(), *self.server.store.references(), *(m.reference for m in sent)},
        )

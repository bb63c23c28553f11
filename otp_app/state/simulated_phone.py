"""The state of the simulated phone's page.

Imported only where there is a simulated phone: in development, and with the console provider.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import reflex as rx

from otp_app import presentation, services
from otp_app.config import settings_or_exit
from otp_app.i18n import english, negotiate
from otp_app.presentation import Preferences, code_message, text_message
from otp_app.providers.simulated_phone import DELAYS, SimulatedPhone, Trouble
from otp_app.reflex_compat import Middleware, StateUpdate
from otp_app.verification.client import is_direct_loopback
from otp_app.verification.models import Channel

if TYPE_CHECKING:
    from datetime import tzinfo

    from otp_app.providers.simulated_phone import Message
    from otp_app.reflex_compat import App, BaseState, Event

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class ShownMessage:
    """A message as the page shows it.

    Attributes:
        number: a number that identifies the message.
        channel: the value of the `Channel`.
        ending: the last digits of the recipient's number.
        code: the code, with which the text begins.
        rest: the text after the code.
        language: the language tag of the text.
        spoken: the digits of the code in English words, for a call.
        at: the time of arrival.
    """

    number: int
    channel: str
    ending: str
    code: str
    rest: str
    language: str
    spoken: str
    at: str


class SimulatedPhoneState(rx.State):
    """A copy of the phone and its switches, for the tabs that show the page."""

    messages: list[ShownMessage] = []  # noqa: RUF012 - Reflex gives every state its own
    trouble: str = Trouble.NONE.value
    delay: str = str(DELAYS[0])

    @rx.event(temporal=True)
    def refresh(self) -> None:
        """Show new messages and changed switches.

        The page calls this handler every second, so an unchanged var is not assigned: Reflex would
        send it again.
        """
        phone, zone = _phone(), self._zone()
        messages = [_shown(message, zone) for message in phone.messages]
        if messages != self.messages:
            self.messages = messages
        if self.trouble != phone.trouble:  # changed in another tab
            self.trouble = phone.trouble.value
        if self.delay != str(phone.delay):
            self.delay = str(phone.delay)

    @rx.event
    def choose_trouble(self, trouble: str) -> None:
        """Let every message fail with *trouble* from now on. Unknown values are ignored."""
        if trouble in list(Trouble):  # a socket can carry anything
            _phone().trouble = Trouble(trouble)
            self.trouble = trouble

    @rx.event
    def choose_delay(self, seconds: str) -> None:
        """Set the delay of late messages. A value that is not in `DELAYS` is ignored."""
        if seconds in map(str, DELAYS):
            _phone().delay = int(seconds)
            self.delay = seconds

    def _zone(self) -> tzinfo:
        return Preferences(self.router.headers.cookie).zone

    def _forget(self) -> None:
        if self.messages:
            self.reset()  # type: ignore[no-untyped-call]


class SimulatedPhoneGate(Middleware):
    """Drops the phone's events from clients that may not see codes, and resets their copy of it."""

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Return None to let *event* pass, or an empty update, by which Reflex drops it."""
        del app
        router = state.router
        is_direct = not settings_or_exit().is_behind_proxy
        if is_direct and is_direct_loopback(router.session.client_ip, router.headers.raw_headers):
            return None
        if _phone().is_opened_by(router.headers.cookie):
            return None
        (await state.get_state(SimulatedPhoneState))._forget()  # noqa: SLF001 - no handler
        is_the_phones = event.name.startswith(SimulatedPhoneState.get_full_name())
        return StateUpdate() if is_the_phones else None


def _phone() -> SimulatedPhone:
    phone = services.current().simulated_phone
    if phone is None:
        raise RuntimeError("There is no simulated phone: its page should not be there")
    return phone


def _shown(message: Message, zone: tzinfo) -> ShownMessage:
    rest = _text(message).removeprefix(message.code)
    return ShownMessage(
        number=message.number,
        channel=message.channel.value,
        ending=message.ending,
        code=message.code,
        rest=rest,
        language=negotiate(message.language).tag,
        spoken=", ".join(_DIGITS[int(digit)] for digit in message.code),
        at=presentation.clock(message.arrives_at, english(), zone),
    )


def _text(message: Message) -> str:
    """Return the text of *message* in the language of its person."""
    settings, language = settings_or_exit(), negotiate(message.language)
    if message.channel is Channel.SMS:
        return text_message(message.code, settings.brand, settings.domain, language)
    return code_message(message.code, settings.brand, language)

"""The messages and calls that reached the phones of the tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tests.browser.numbers import Number
    from tests.browser.server import Log
    from tests.emulator import Emulator


class Delivery(NamedTuple):
    """One code that reached a phone: `sms`, `voice` or `whatsapp`."""

    channel: str
    code: str


class Inbox(Protocol):
    """The phones of the tests, with any provider."""

    def of(self, number: Number) -> list[Delivery]:
        """Return the deliveries to *number*, the oldest first."""

    def without_codes(self, log: str) -> str:
        """Return the server's *log* without the codes that are delivered through it."""


class EmulatorInbox:
    """The messages that the emulated services sent."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def of(self, number: Number) -> list[Delivery]:
        return [
            Delivery(message.channel, message.code)
            for message in self._emulator.messages
            if message.to == number.e164
        ]

    def without_codes(self, log: str) -> str:
        return log


_LINE = re.compile(r"(Text message|Phone call|WhatsApp) +to •••(\d{3}) — your code is (\d+)")
_CHANNELS = {"Text message": "sms", "Phone call": "voice", "WhatsApp": "whatsapp"}


class ConsoleInbox:
    """The messages that the console provider writes to the terminal after this object is made.

    Earlier messages are left out, because numbers of different tests can have the same ending.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._since = log.size

    def of(self, number: Number) -> list[Delivery]:
        return [
            Delivery(_CHANNELS[channel], code)
            for channel, ending, code in _LINE.findall(self._log.text(self._since))
            if ending == number.ending
        ]

    def without_codes(self, log: str) -> str:
        return _LINE.sub(r"\1 \2", log)

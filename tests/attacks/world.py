"""The app under attack, its provider, and what both have seen."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING

from tests.attacks.attacker import Attacker
from tests.browser.numbers import Number, new_numbers
from tests.browser.providers import credentials
from tests.browser.recorder import Text
from tests.browser.sweep import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.browser.server import Server
    from tests.emulator import Emulator, Request

MONTH = timedelta(days=31)  # longer than any window of any limit
_TYPED = re.compile(r' value="[^"]*"')  # the person's own field


class World:
    """One test's part of it."""

    def __init__(
        self,
        server: Server,
        emulator: Emulator,
        numbers: Iterator[Number],
        addresses: Iterator[str],
    ) -> None:
        self.server = server
        self.emulator = emulator
        self._numbers = numbers
        self._addresses = addresses
        self._heard: list[Text] = []
        self._used: list[Number] = []
        self._attackers: list[Attacker] = []
        self._expected = "(?!)"
        self._log_start = server.log.size
        self._requests = len(emulator.requests)
        self._messages = len(emulator.messages)

    def number(self) -> Number:
        """One that nobody has used."""
        self._used.append(next(self._numbers))
        return self._used[-1]

    def stranger(self, address: str = "") -> Attacker:
        """Somebody without a cookie, at an *address* that is new if none is given."""
        address = address or next(self._addresses)
        self._attackers.append(Attacker(self.server.site.port, address, self._heard))
        return self._attackers[-1]

    def attacker(self, address: str = "") -> Attacker:
        """Somebody with a cookie of their own."""
        return self.stranger(address).visit()

    def later(self, seconds: float) -> None:
        """Let time pass for the app and its provider."""
        self.server.store.let_pass(seconds)
        self.emulator.clock.tick(seconds)

    def sent(self, number: Number | None = None) -> int:
        """How many messages went out, to *number* or in all."""
        messages = self.emulator.messages[self._messages :]
        return sum(number is None or message.to == number.e164 for message in messages)

    def asked(self, operation: str) -> list[Request]:
        """What the provider was asked."""
        requests = self.emulator.requests[self._requests :]
        return [request for request in requests if request.operation == operation]

    @property
    def guesses(self) -> int:
        """How many codes the provider was asked about."""
        return len(self.asked("twilio.check"))

    def code(self, number: Number) -> str:
        """The newest one that was sent to *number*."""
        return next(
            message.code
            for message in reversed(self.emulator.messages)
            if message.to == number.e164
        )

    def wrong(self, number: Number) -> str:
        """One that was not."""
        return f"{(int(self.code(number)) + 1) % 1_000_000:06}"

    def expect(self, failure: str) -> None:
        """Take lines of the log about handlers that failed so, for what this test wanted."""
        self._expected = failure

    def log(self) -> str:
        """What the server has written in this test."""
        return self.server.log.text(self._log_start)

    def problems(self) -> list[str]:
        """Leaks, crashes, and requests that disobey the provider's documents."""
        log = Text("log", self.log())
        cookies = [attacker.cookie.partition("=")[2] for attacker in self._attackers]
        messages = self.emulator.messages[self._messages :]
        everywhere = Secrets(
            phones={*(number.e164 for number in self._used), *(m.to for m in messages)},
            codes={message.code for message in messages},
            words={*credentials(), *(message.reference for message in messages)},
        )
        heard = [text._replace(text=_TYPED.sub("", text.text)) for text in self._heard]
        leaks = chain(
            everywhere.found_in([*heard, log]), Secrets((), (), words=cookies).found_in([log])
        )
        lines = re.findall(r".*(?:Traceback|handler\.failed).*", log.text)
        crashes = [line for line in lines if not re.search(self._expected, line)]
        violations = [r.problems for r in self.emulator.requests[self._requests :] if r.problems]
        return [*map(str, leaks), *crashes, *map(str, violations)]


def scattered_numbers() -> Iterator[Number]:
    """Neighbours are in different blocks, as a limit of ten an hour is on each block."""
    numbers = list(new_numbers())
    areas = len({number.national[:3] for number in numbers})
    size = len(numbers) // areas
    for place in range(size):
        yield from numbers[place::size]


def addresses() -> Iterator[str]:
    """Those of RFC 2544, for testing."""
    for place in range(2**16):
        yield f"198.18.{place // 256}.{place % 256}"

"""The app under attack, its emulated provider, and the records of both."""

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
_CRASH = re.compile(r"Traceback|handler\.failed")
_TYPED = re.compile(r' value="[^"]*"')  # the form repeats the person's own input


class World:
    """The app and its provider during one test, which sees only its own requests and log."""

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
        """Return a number that no test has used."""
        self._used.append(next(self._numbers))
        return self._used[-1]

    def client_without_cookie(self, address: str = "") -> Attacker:
        """Return a client without a cookie, at *address* or a new address."""
        address = address or next(self._addresses)
        self._attackers.append(Attacker(self.server.site.port, address, self._heard))
        return self._attackers[-1]

    def attacker(self, address: str = "") -> Attacker:
        """Return a client with its own flow cookie, at *address* or a new address."""
        return self.client_without_cookie(address).visit()

    def later(self, seconds: float) -> None:
        """Move the time of the app and the provider on."""
        self.server.store.let_pass(seconds)
        self.emulator.clock.tick(seconds)

    def sent(self, number: Number | None = None) -> int:
        """Return the number of messages to *number*, or to all numbers."""
        messages = self.emulator.messages[self._messages :]
        return sum(number is None or message.to == number.e164 for message in messages)

    def asked(self, operation: str) -> list[Request]:
        """Return the requests for *operation* that the provider got."""
        requests = self.emulator.requests[self._requests :]
        return [request for request in requests if request.operation == operation]

    @property
    def guesses(self) -> int:
        """Return the number of codes that the provider checked."""
        return len(self.asked("twilio.check"))

    def code(self, number: Number) -> str:
        """Return the newest code that was sent to *number*."""
        return next(
            message.code
            for message in reversed(self.emulator.messages)
            if message.to == number.e164
        )

    def wrong(self, number: Number) -> str:
        """Return a code that was not sent to *number*."""
        return f"{(int(self.code(number)) + 1) % 1_000_000:06}"

    def expect(self, failure: str) -> None:
        """Allow lines in the log about handlers that raised *failure*."""
        self._expected = failure

    def log(self) -> str:
        """Return the server's log of this test."""
        return self.server.log.text(self._log_start)

    def problems(self) -> list[str]:
        """Return leaks, crashes, and requests that break the provider's API description."""
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
        lines = [line for line in log.text.splitlines() if _CRASH.search(line)]
        crashes = [line for line in lines if not re.search(self._expected, line)]
        violations = [r.problems for r in self.emulator.requests[self._requests :] if r.problems]
        return [*map(str, leaks), *crashes, *map(str, violations)]


def scattered_numbers() -> Iterator[Number]:
    """Yield numbers of different blocks, because each block has a limit of ten an hour."""
    numbers = list(new_numbers())
    areas = len({number.national[:3] for number in numbers})
    size = len(numbers) // areas
    for place in range(size):
        yield from numbers[place::size]


def addresses() -> Iterator[str]:
    """Yield addresses of the range for tests in RFC 2544."""
    for place in range(2**16):
        yield f"198.18.{place // 256}.{place % 256}"

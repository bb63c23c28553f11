"""Prints codes on the terminal, for development without a provider account."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from otp_app import routes
from otp_app.errors import ProviderNotReached
from otp_app.providers.simulated_phone import SimulatedPhone, Trouble
from otp_app.verification.models import Channel, CheckOutcome, Reference, SecondStart

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.phone import PhoneNumber

LIFETIME = 600  # seconds

_REFERENCE = re.compile("[0-9a-f]{32}:([0-9]{1,12}):[0-9a-f]{64}")
_NAMES = {
    Channel.SMS: "Text message",
    Channel.VOICE: "Phone call",
    Channel.WHATSAPP: "WhatsApp",
}
_HINT = f" (open {routes.SIMULATED_PHONE} to see it)"
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"  # ECMA-48 section 8.3.117


@dataclass
class _Tally:
    """The checks of one reference since this process started."""

    wrong: int = 0
    is_over: bool = False


class ConsoleProvider:
    """Prints codes and stores none.

    A reference is `nonce:expiry:seal`. The seal is an HMAC of the number and the code, so only the
    right code fits it. A code therefore survives a restart of the server. Counts of wrong codes do
    not.

    Args:
        key: the key of the seals.
        now: the clock.
        out: the terminal.
        phone: the simulated phone that also receives the codes and simulates failures.
    """

    name = "console"
    code_length = 6
    max_attempts = 5
    second_start = SecondStart.OWN_CODE

    def __init__(
        self,
        key: bytes,
        now: Callable[[], datetime],
        out: TextIO,
        phone: SimulatedPhone | None = None,
    ) -> None:
        self._key = key
        self._now = now
        self._out = out
        self._phone = phone or SimulatedPhone(now)
        self._hint = _HINT if phone else ""
        self._tallies: dict[Reference, _Tally] = {}

    async def open(self) -> None:
        """Do nothing: there is nothing to set up."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

    async def start(self, to: PhoneNumber, channel: Channel, language: str = "") -> Reference:
        """Print a code on the terminal and send it to the simulated phone."""
        await self._phone.require_way(channel)
        return self._send(to, channel, language)

    async def resend(
        self, reference: Reference, to: PhoneNumber, channel: Channel, language: str = ""
    ) -> Reference:
        """Send a new code and cancel *reference*, so that the old code is no longer accepted."""
        await self._phone.require_way(channel)
        await self.cancel(reference)
        return self._send(to, channel, language)

    async def check(self, reference: Reference, to: PhoneNumber, code: str) -> CheckOutcome:
        """Check *code* as the real services do: five wrong codes at most, one approval."""
        await self._phone.require_answer()
        tally = self._tallies.setdefault(reference, _Tally())
        if tally.is_over or self._is_late(reference):
            return CheckOutcome.EXPIRED
        if tally.wrong >= self.max_attempts:
            return CheckOutcome.EXHAUSTED
        if not self._is_right(reference, to, code):
            tally.wrong += 1
            return CheckOutcome.MISMATCH
        tally.is_over = True
        return CheckOutcome.APPROVED

    async def cancel(self, reference: Reference) -> None:
        """Accept no code for *reference* any more."""
        self._tallies[reference] = _Tally(is_over=True)

    def _send(self, to: PhoneNumber, channel: Channel, language: str) -> Reference:
        self._prune()
        code = f"{secrets.randbelow(10**self.code_length):0{self.code_length}}"
        prefix = f"{secrets.token_hex(16)}:{self._seconds() + LIFETIME}"
        self._show(f"☎  {_NAMES[channel]:<12} to •••{to.ending} — your code is ", code)
        self._phone.receive(channel, to, code, language)
        return Reference(f"{prefix}:{self._seal(prefix, to, code)}")

    def _is_late(self, reference: Reference) -> bool:
        return self._phone.trouble is Trouble.EXPIRED or _expiry(reference) <= self._seconds()

    def _is_right(self, reference: Reference, to: PhoneNumber, code: str) -> bool:
        prefix, _, seal = reference.rpartition(":")
        fits = hmac.compare_digest(seal.encode(), self._seal(prefix, to, code).encode())
        return fits and self._phone.trouble is not Trouble.WRONG_CODE

    def _seal(self, prefix: str, to: PhoneNumber, code: str) -> str:
        text = f"{prefix}:{to.e164}:{code}"
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def _seconds(self) -> int:
        return int(self._now().timestamp())

    def _prune(self) -> None:
        now = self._seconds()
        self._tallies = {ref: t for ref, t in self._tallies.items() if _expiry(ref) > now}

    def _show(self, text: str, code: str) -> None:
        """Print one line between blank lines, so that it is easy to find in the server's output."""
        try:
            code = f"{_BOLD}{code}{_PLAIN}" if self._out.isatty() else code
            line = f"  {text}{code}{self._hint}"
            encoding = self._out.encoding or "utf-8"
            self._out.write(f"\n{line.encode(encoding, 'replace').decode(encoding)}\n\n")
            self._out.flush()
        except (OSError, ValueError) as exc:  # the terminal is gone, or the stream is closed
            raise ProviderNotReached from exc


def _expiry(reference: Reference) -> int:
    """When *reference* expires, in seconds since 1970; 0 if its form is unknown."""
    match = _REFERENCE.fullmatch(reference)
    return int(match[1]) if match else 0

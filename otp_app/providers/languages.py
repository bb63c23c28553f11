"""Languages that a provider refused, by channel, and the language that replaces them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from otp_app.verification.models import Channel

REMEMBERED = 3600.0
"""Seconds that a refusal is remembered. A repaired template is used again within this time. Until
it is repaired, one person in each such period has to try twice."""

log = structlog.get_logger(__name__)


def _count_nothing(_provider: str, _channel: Channel, _language: str) -> None:
    """Ignore the refusal."""


@dataclass
class RefusedLanguages:
    """Remembers refused languages for an hour, in the memory of this process.

    Languages are named by the provider's own tags. An adapter has a fixed list of these tags, so
    memory is bounded for each channel, whatever languages callers send.

    Attributes:
        provider: the provider's name, for the log and the metrics.
        fallback: the provider's tag for `OTP_LOCALE`.
        count: a function that is called with the provider, channel and language of each refusal.
        monotonic: a clock, in seconds.
    """

    provider: str
    fallback: str
    count: Callable[[str, Channel, str], None] = _count_nothing
    monotonic: Callable[[], float] = time.monotonic
    _until: dict[tuple[Channel, str], float] = field(default_factory=dict, init=False)

    def usable(self, channel: Channel, language: str) -> str:
        """Return *language*, or the fallback while a refusal of *language* is remembered."""
        until = self._until.get((channel, language))
        return language if until is None or self.monotonic() >= until else self.fallback

    def refuse(self, channel: Channel, language: str) -> None:
        """Remember that the provider has no message in *language* for *channel*."""
        self._until[channel, language] = self.monotonic() + REMEMBERED
        self.count(self.provider, channel, language)
        log.error(
            "provider.language_refused",
            provider=self.provider,
            channel=channel,
            language=language,
            fallback=self.fallback,
            seconds=REMEMBERED,
        )


LanguagesOf = Callable[[str, str], RefusedLanguages]
"""Factory of a provider's `RefusedLanguages`, from the provider's name and the fallback."""

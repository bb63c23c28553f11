"""Languages that a provider refused, by channel, and the fallback in their place."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from otp_app.verification.models import Channel

REMEMBERED = 3600.0
"""Seconds that a refusal counts. A mended template is used again within this time. While it is not
mended, one person in this time has to try twice."""

log = structlog.get_logger(__name__)


def _count_nothing(_provider: str, _channel: Channel, _language: str) -> None:
    """Count no refusal."""


@dataclass
class RefusedLanguages:
    """Remembers refusals for an hour, for this process.

    A language goes by the provider's own name for it. An adapter has a fixed list of these names,
    so the list bounds the memory of each channel, whatever callers ask for.

    Attributes:
        fallback: the language of `OTP_LOCALE`.
        count: is called with the provider, the channel and the language of each refusal.
        monotonic: a clock, in seconds.
    """

    provider: str
    fallback: str
    count: Callable[[str, Channel, str], None] = _count_nothing
    monotonic: Callable[[], float] = time.monotonic
    _until: dict[tuple[Channel, str], float] = field(default_factory=dict, init=False)

    def usable(self, channel: Channel, language: str) -> str:
        """*language*, or the fallback while a refusal of it is remembered."""
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
"""Makes the memory of a provider, from its name and its fallback."""

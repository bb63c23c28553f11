"""The time in which Vonage's "not found" to a cancel may mean "too early"."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.verification.models import Reference

OPENS_AFTER = 30.0  # seconds


class CancelWindow:
    """Remembers the requests of the last 30 seconds.

    "Cancellation is only possible 30 seconds after the start of the verification request and before
    the second event", says https://developer.vonage.com/en/api/verify.v2#cancelRequest. The only
    documented error is 404, which also means that a request is over. If the app took a running
    request for finished, Vonage would go on to its next step: a call that nobody asked for.
    """

    def __init__(self) -> None:
        self._started: dict[Reference, float] = {}

    def started(self, reference: Reference) -> None:
        """Remember a new request, and forget those whose window is open."""
        now = time.monotonic()
        recent = {ref: at for ref, at in self._started.items() if now - at < OPENS_AFTER}
        self._started = {**recent, reference: now}

    def is_open(self, reference: Reference) -> bool:
        """Whether Vonage accepts a cancel, so that "not found" means that the request is over."""
        at = self._started.get(reference)
        return at is None or time.monotonic() - at >= OPENS_AFTER

"""When Vonage's "not found" to a cancel may mean "not yet"."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otp_app.verification.models import Reference

OPENS_AFTER = 30.0  # seconds


class CancelWindow:
    """Remembers what was started a moment ago.

    "Cancellation is only possible 30 seconds after the start of the verification request and before
    the second event", and the only refusal documented is 404, which also says that a request is
    over. Taken for over, a request that lives would go on to its next step: a call that nobody
    asked for. https://developer.vonage.com/en/api/verify.v2#cancelRequest
    """

    def __init__(self) -> None:
        self._started: dict[Reference, float] = {}

    def started(self, reference: Reference) -> None:
        """Note a new request, and forget the old."""
        now = time.monotonic()
        recent = {ref: at for ref, at in self._started.items() if now - at < OPENS_AFTER}
        self._started = {**recent, reference: now}

    def is_open(self, reference: Reference) -> bool:
        """Whether "not found" means what it says."""
        at = self._started.get(reference)
        return at is None or time.monotonic() - at >= OPENS_AFTER

"""The circuit breakers of the app under attack, as far as its log tells. A restart closes them."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from otp_app.verification.circuit_breaker import FAILURES

if TYPE_CHECKING:
    from tests.browser.server import Server

_FAILED = re.compile(r"verification\.(send|check)\w* .*\boutcome=(?:failed|unknown)\b")
_OPENED = "provider.circuit_opened"


def close_circuits(server: Server) -> None:
    """Restart *server* if a circuit is open."""
    if _OPENED in server.log.text(server.log_start):
        server.restart()


def allow_failures(server: Server, action: str, count: int = 1) -> None:
    """Restart *server* if *count* more failures of *action*, "send" or "check", may open a circuit.

    All failures since the last restart are counted, although the app forgets them sooner.
    """
    failures = Counter(_FAILED.findall(server.log.text(server.log_start)))
    if failures[action] and failures[action] + count >= FAILURES:
        server.restart()

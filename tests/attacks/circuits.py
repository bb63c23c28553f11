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


def close_before_one_failure(server: Server) -> None:
    """Restart *server* if a circuit is open, or would be after one more failure."""
    log = server.log.text(server.log_start)
    failures = Counter(_FAILED.findall(log))
    if _OPENED in log or max(failures.values(), default=0) >= FAILURES - 1:
        server.restart()


def forget_failures(server: Server) -> None:
    """Restart *server* if it has counted a failure."""
    if _FAILED.search(server.log.text(server.log_start)):
        server.restart()

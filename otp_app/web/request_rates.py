"""How fast one address may send HTTP requests, whatever they ask for.

A request that is refused here costs a fraction of a millisecond: no body, cookie, database, span or
line of the log. Sockets have rates of their own: `sockets.py`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from otp_app import routes, services
from otp_app.errors import RateLimited
from otp_app.web import problems
from otp_app.web.headers import is_file
from otp_app.web.proxies import scope_key
from otp_app.web.rates import Buckets, Rate
from otp_app.web.sockets import ONE_A_MINUTE

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

BURST = 3
"""Seconds' worth of requests that may come at once: several pages open, or a class begins."""

WAIT = 1
"""Seconds after which it is worth trying again: as many requests then pass as in any second."""

_READS = {"GET", "HEAD", "OPTIONS"}
_FILES = {"GET", "HEAD"}
_PROBES = {routes.HEALTH, routes.READY, routes.METRICS}
"""Not counted: a load balancer that is refused takes the server out, as a flood is meant to."""

log = structlog.get_logger(__name__)


class RequestRates:
    """Hands on what comes slowly enough, and everything that is a file or a probe.

    Args:
        app: what is inside.
        refusal: answers in its stead.
        posts: requests a second that may change something. 0 counts none.
        reads: the same of requests that only read.
    """

    def __init__(self, app: ASGIApp, refusal: ASGIApp, *, posts: int, reads: int) -> None:
        self.app = app
        self._refusal = refusal
        self._posts, self._reads = _buckets(posts), _buckets(reads)
        self._lines = Buckets(ONE_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        is_counted = scope["type"] == "http" and not _is_exempt(scope)
        app = self._refusal if is_counted and self._is_too_fast(scope) else self.app
        await app(scope, receive, send)

    def _is_too_fast(self, scope: Scope) -> bool:
        buckets = self._reads if scope["method"] in _READS else self._posts
        key = scope_key(scope)
        if buckets is None or buckets.take(key):
            return False
        if self._lines.take(key):
            log.warning("http.flooded", address=key)
        return True


async def too_fast(scope: Scope, receive: Receive, send: Send) -> None:
    """ASGI: the refusal, in the API's own form for its callers."""
    is_api = scope["path"].startswith(routes.API)
    await (_problem(scope) if is_api else _text())(scope, receive, send)


def _problem(scope: Scope) -> Response:
    until = services.current().verifications.now() + timedelta(seconds=WAIT)
    return problems.answer(RateLimited("network", until), Request(scope))


def _text() -> Response:
    return PlainTextResponse("Too many requests", RateLimited.status, {"Retry-After": str(WAIT)})


def _buckets(per_second: int) -> Buckets | None:
    return Buckets(Rate(per_second, BURST * per_second)) if per_second else None


def _is_exempt(scope: Scope) -> bool:
    """Whether it asks for a probe, or by its path for a file of the build.

    A path with a dot segment may lead to a page. What the API names may end as a file does.
    """
    path = scope["path"]
    may_be_file = scope["method"] in _FILES and "/." not in path and not path.startswith(routes.API)
    return path in _PROBES or (may_be_file and is_file(path))

"""The rate of HTTP requests by address, in front of everything else.

A refusal takes a fraction of a millisecond: it reads no body and no cookie, queries no database
and writes no span. Sockets have rates of their own, in `sockets.py`.
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
from otp_app.web.proxies import scope_keys
from otp_app.web.rates import Buckets, ClientBuckets, Rate
from otp_app.web.sockets import ONE_A_MINUTE

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

BURST = 3
"""Size of the bucket, in seconds of the rate. A browser that restores its tabs needs a burst."""

WAIT = 1
"""Seconds in `Retry-After`. After this time, one second's requests pass."""

_READS = {"GET", "HEAD", "OPTIONS"}
_FILES = {"GET", "HEAD"}
_PROBES = {routes.HEALTH, routes.READY, routes.METRICS}
"""Paths that are not counted: a load balancer takes out a server that returns 429."""

log = structlog.get_logger(__name__)


class RequestRates:
    """Refuses requests above the rate of their address. Files and probes are not counted.

    Args:
        app: the app inside.
        refusal: the app that responds to refused requests.
        posts: requests a second for each address, with any method except those of *reads*; 0 means
            no limit.
        reads: GET, HEAD and OPTIONS requests a second for each address; 0 means no limit. The IPv6
            /48 network around an address has eight times as much of both.
    """

    def __init__(self, app: ASGIApp, refusal: ASGIApp, *, posts: int, reads: int) -> None:
        self.app = app
        self._refusal = refusal
        self._posts, self._reads = _buckets(posts), _buckets(reads)
        self._lines = Buckets(ONE_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_counted = scope["type"] == "http" and not _is_exempt(scope)
        app = self._refusal if is_counted and self._is_too_fast(scope) else self.app
        await app(scope, receive, send)

    def _is_too_fast(self, scope: Scope) -> bool:
        buckets = self._reads if scope["method"] in _READS else self._posts
        keys = scope_keys(scope)
        if buckets is None or buckets.take(keys):
            return False
        if self._lines.take(keys[0]):
            log.warning("http.flooded", address=keys[0])
        return True


async def too_fast(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with 429, in the API's format on paths of the API. This function is an ASGI app."""
    answer = _problem(scope) if scope["path"].startswith(routes.API) else _text()
    if scope["method"] not in _READS:
        # The server closes a connection with an unread body, so a proxy must not reuse it.
        answer.headers["Connection"] = "close"
    await answer(scope, receive, send)


def _problem(scope: Scope) -> Response:
    until = services.current().verifications.now() + timedelta(seconds=WAIT)
    return problems.answer(RateLimited("network", until), Request(scope))


def _text() -> Response:
    return PlainTextResponse("Too many requests", RateLimited.status, {"Retry-After": str(WAIT)})


def _buckets(per_second: int) -> ClientBuckets | None:
    return ClientBuckets(Rate(per_second, BURST * per_second)) if per_second else None


def _is_exempt(scope: Scope) -> bool:
    """Return True for a probe or a file of the build, by the path alone.

    A path with a dot segment may lead to a page, and a path of the API may end like a file name, so
    such paths are counted.
    """
    path = scope["path"]
    may_be_file = scope["method"] in _FILES and "/." not in path and not path.startswith(routes.API)
    return path in _PROBES or (may_be_file and is_file(path))

"""Bounds in front of the app: the size and time of a body, rates by token buckets, and overload.

The package `limits` has windows but no buckets: at the edge of a window, twice the rate passes.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from otp_app import routes, services
from otp_app.errors import BodyTooLong, Overloaded, RateLimited
from otp_app.identity.requests import scope_keys
from otp_app.verification.limits import Action
from otp_app.web import problems
from otp_app.web.headers import is_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

NETWORK_SHARE = 8  # an IPv6 /48 gets this many times the rate of one address
_ROUNDING = 1e-3  # tokens; hundreds of additions to a clock of 10**7 seconds lose up to 1e-4
_FEW = 1000  # buckets of some 100 bytes each, below which full ones are not removed


def now() -> float:
    """Return the seconds of the monotonic clock."""
    return time.monotonic()


@dataclass(frozen=True)
class Rate:
    """The speed at which a bucket fills, in tokens a second, and its size in tokens."""

    per_second: float
    burst: float

    def times(self, number: float) -> Rate:
        """Return the rate with speed and size multiplied by *number*."""
        return Rate(self.per_second * number, self.burst * number)


class Bucket:
    """A token bucket, full at first. Only the moment when it will be full again is stored."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._full_at = 0.0

    @property
    def is_full(self) -> bool:
        """Whether the bucket holds all its tokens, and can be replaced by a new one."""
        return self._full_at <= now()

    def take(self) -> bool:
        """Take a token. Return False if the bucket is empty."""
        moment = now()
        full_at = max(self._full_at, moment) + 1 / self._rate.per_second
        if (full_at - moment) * self._rate.per_second > self._rate.burst + _ROUNDING:
            return False
        self._full_at = full_at
        return True


class Buckets:
    """A bucket for each key. Full buckets are removed whenever the number of buckets doubles."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: dict[str, Bucket] = {}
        self._many = _FEW

    def take(self, key: str) -> bool:
        """Take a token from the bucket of *key*. Return False if the bucket is empty."""
        if len(self._buckets) > self._many:
            self._buckets = {name: one for name, one in self._buckets.items() if not one.is_full}
            self._many = 2 * len(self._buckets) + _FEW
        return self._buckets.setdefault(key, Bucket(self._rate)).take()


class ClientBuckets:
    """A bucket for each address, and a larger one for each network around addresses."""

    def __init__(self, rate: Rate) -> None:
        self._buckets = (Buckets(rate), Buckets(rate.times(NETWORK_SHARE)))

    def take(self, keys: Sequence[str]) -> bool:
        """Take a token for each of *keys*, the `client_keys` of an address.

        Return False if a bucket is empty. The address comes first, so a refused address takes
        nothing from its network.
        """
        return all(bucket.take(key) for bucket, key in zip(self._buckets, keys, strict=False))


MAX_BODY = 8 * 1024  # bytes; the longest real form has a few hundred
_LONGER = {routes.TWILIO_WEBHOOK: 256 * 1024}  # bytes; some 300 events of 800 bytes in one post
MAX_WAIT = 10.0  # seconds for a whole body; 8 KiB take one on a bad line
_BODILESS = {"GET", "HEAD", "OPTIONS"}  # the app never reads the body of such a request


class BodyLimit:
    """Reads the whole body, within a size and a timeout, before it calls the app.

    A body that is too long gets 413, one that is too slow 408. Neither is read to its end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["method"] in _BODILESS:
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(MAX_WAIT):
                body = await _read(receive, _most(scope))
        except TimeoutError:
            answer = PlainTextResponse("The body is too slow", 408, {"Connection": "close"})
            await answer(scope, receive, send)
            return
        if body is None:
            await _refusal(scope)(scope, receive, send)
        else:
            await self.app(scope, _replay(body, receive), send)


def _refusal(scope: Scope) -> Response:
    if scope["path"].startswith(routes.API):
        return problems.problem_response(BodyTooLong(), Request(scope))
    return PlainTextResponse("The body is too long", BodyTooLong.status)


def _most(scope: Scope) -> int:
    """Return the size limit for bodies of this request, in bytes."""
    return _LONGER.get(scope["path"], MAX_BODY)


async def _read(receive: Receive, most: int) -> bytes | None:
    """Return the whole body, or None if it is longer than *most* bytes."""
    body = bytearray()
    more = True
    while more:
        message = await receive()  # a disconnect has no `more_body` and ends the loop too
        body += message.get("body", b"")
        if len(body) > most:
            return None
        more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the body in one message, then the messages of *receive*."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return whole.pop() if whole else await receive()

    return receive_again


_ACTIONS = {
    routes.VONAGE_REQUEST: Action.SEND,
    routes.TWILIO_REQUEST: Action.SEND,
    routes.VERIFICATIONS: Action.SEND,
    routes.VONAGE_CHECK: Action.CHECK,
    routes.TWILIO_CHECK: Action.CHECK,
}
_ACTIONS_OF_ONE = {"resend": Action.SEND, "check": Action.CHECK}


class OverloadLimit:
    """Refuses sends and checks of the API that the overload gate does not admit.

    The layer is behind `BodyLimit`: a request counts as under way when its whole body has arrived,
    so slow clients cannot fill the gate.
    """

    def __init__(self, app: ASGIApp, refusal: ASGIApp) -> None:
        self.app = app
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        action = api_action(scope)
        if action is None:
            await self.app(scope, receive, send)
            return
        try:
            with services.current().gate.admit(action):
                await self.app(scope, receive, send)
        except Overloaded:
            await self._refusal(scope, receive, send)


def api_action(scope: Scope) -> Action | None:
    """Return the action that a request to the API asks for, by its method and path."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    collection, _, last = scope["path"].rpartition("/")
    if collection.startswith(f"{routes.VERIFICATIONS}/"):
        return _ACTIONS_OF_ONE.get(last)
    return _ACTIONS.get(scope["path"])


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
        self._lines = Buckets(ONE_PER_MINUTE)

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
    return problems.problem_response(RateLimited("network", until), Request(scope))


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


ONE_PER_MINUTE = Rate(1 / 60, burst=1)  # lines of the log about one client or socket

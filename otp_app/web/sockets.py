"""How many sockets an address may have, how fast each may speak, and what it may say."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.responses import PlainTextResponse

from otp_app.metrics import OPEN_SOCKETS
from otp_app.web.proxies import scope_key
from otp_app.web.rates import Bucket, Buckets, Rate

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_FRAME = 16 * 1024  # bytes; Reflex ends a socket that sends a longer one
FRAMES = Rate(10, burst=20)  # a second; a person makes one or two, a page that loads three
FRAMES_PER_SOCKET = Rate(2.5, burst=5)  # of an address, for each socket that it may have
NEW_PER_SOCKET = Rate(3 / 60, burst=3)  # likewise: a page is reloaded now and then
ONE_A_MINUTE = Rate(1 / 60, burst=1)  # lines of the log about the same
JOIN_WITHIN = 10.0  # seconds; a page joins with its first frame, milliseconds after the handshake
BAD_FRAMES = 20  # that a socket may send; ours send none, a browser's extension perhaps one

_JOIN, _LEAVE, _EVENT, _PONG, _CLOSE = "40/_event,", "41/_event,", "42/_event,", "3", "1"
_OVER: Message = {"type": "websocket.disconnect", "code": 1008}  # RFC 6455, "policy violation"

log = structlog.get_logger(__name__)


class SocketCaps:
    """Refuses the handshake to an address that has too many sockets, or opens them too fast.

    Every open socket costs 180 kB here, and a closed one its state for some minutes.
    """

    def __init__(self, app: ASGIApp, *, per_address: int) -> None:
        self.app = app
        self._most = per_address
        self._open: Counter[str] = Counter()
        self._new = Buckets(_times(NEW_PER_SOCKET, per_address))
        self._lines = Buckets(ONE_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        key = scope_key(scope) if scope["type"] == "websocket" else None
        if key is None:
            await self.app(scope, receive, send)
        elif self._open[key] < self._most and self._new.take(key):
            with self._counted(key), OPEN_SOCKETS.track_inprogress():
                await self.app(scope, receive, send)
        else:
            if self._lines.take(key):
                log.warning("socket.refused", address=key, open=self._open[key])
            refusal = PlainTextResponse("Too many sockets", 429, {"Retry-After": "60"})
            await refusal(scope, receive, send)

    @contextmanager
    def _counted(self, key: str) -> Iterator[None]:
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            self._open += Counter()  # forgets those at zero


class FrameRates:
    """Drops frames that come faster than people make them, before anybody parses them.

    An event is a frame. Reflex's event middleware would be too late for this: what its queue
    holds is in memory by then, and the name of an event that does not exist is in the log.
    """

    def __init__(self, app: ASGIApp, *, sockets_per_address: int) -> None:
        self.app = app
        self._of_address = Buckets(_times(FRAMES_PER_SOCKET, sockets_per_address))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket":
            receive = self._slowed(scope_key(scope), receive)
        await self.app(scope, receive, send)

    def _slowed(self, key: str, receive: Receive) -> Receive:
        of_socket, lines = Bucket(FRAMES), Bucket(ONE_A_MINUTE)

        async def receive_some() -> Message:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return message
                if of_socket.take() and self._of_address.take(key):
                    return message
                if lines.take():
                    log.warning("socket.flooded", address=key)
                await asyncio.sleep(0)  # everybody else's turn

        return receive_some


class FrameChecks:
    """Drops what is no packet of Reflex's protocol; ends a socket that keeps at it, or never joins.

    Inside, each such frame would be an exception in the log, whole, as would be an event that is in
    none of *handlers*; and a socket that answers pings but joins nothing would stay for ever.
    https://socket.io/docs/v4/socket-io-protocol/
    """

    def __init__(self, app: ASGIApp, *, handlers: Container[str]) -> None:
        self.app = app
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket":
            receive = self._checked(scope_key(scope), receive)
        await self.app(scope, receive, send)

    def _checked(self, key: str, receive: Receive) -> Receive:
        bad = 0
        join_by: float | None = asyncio.get_running_loop().time() + JOIN_WITHIN

        async def receive_good() -> Message:
            nonlocal bad, join_by
            while bad < BAD_FRAMES:
                try:
                    async with asyncio.timeout_at(join_by):
                        message = await receive()
                except TimeoutError:
                    log.info("socket.never_joined", address=key)
                    return _OVER
                if message["type"] != "websocket.receive":
                    return message
                text = message.get("text") or ""  # no page sends bytes
                if self._is_packet(text):
                    join_by = None if text.startswith(_JOIN) else join_by
                    return message
                bad += 1
            log.warning("socket.talks_nonsense", address=key)
            return _OVER

        return receive_good

    def _is_packet(self, text: str) -> bool:
        """Whether a page of ours could have sent it, or it is too long to look at."""
        if len(text) > LONGEST_FRAME:
            return True
        match _parsed(text, _EVENT):
            case ["event", {"name": str() as name}]:
                return name in self._handlers
            case ["client_error", dict()]:
                return True
        return text in {_LEAVE, _PONG, _CLOSE} or isinstance(_parsed(text, _JOIN), dict)


def _parsed(text: str, kind: str) -> object:
    """What a packet of that *kind* holds."""
    if not text.startswith(kind):
        return None
    try:
        return json.loads(text.removeprefix(kind))
    except (ValueError, RecursionError):
        return None


def _times(rate: Rate, number: int) -> Rate:
    return Rate(rate.per_second * number, rate.burst * number)

"""Limits of sockets: their number, the rate of their frames, and the packets they may send."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.responses import PlainTextResponse

from otp_app.metrics import OPEN_SOCKETS
from otp_app.web.proxies import scope_keys
from otp_app.web.rates import NETWORK_SHARE, Bucket, Buckets, ClientBuckets, Rate

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_FRAME = 16 * 1024  # bytes; Reflex ends a socket that sends a longer one
FRAMES = Rate(10, burst=20)  # a second; a person makes one or two, a page that loads three
FRAMES_PER_SOCKET = Rate(2.5, burst=5)  # of an address, for each socket that it may have
NEW_PER_SOCKET = Rate(3 / 60, burst=3)  # likewise: a page is reloaded now and then
ONE_A_MINUTE = Rate(1 / 60, burst=1)  # lines of the log about the same
JOIN_WITHIN = 10.0  # seconds; a page joins with its first frame, milliseconds after the handshake
BAD_FRAMES = 20  # that a socket may send; ours send none, a browser's extension perhaps one

_JOIN, _LEAVE, _EVENT, _PONG, _CLOSE = "40/_event,", "41/_event,", "42/_event,", "3", "1"
_EVERYBODY = ""  # the key of all sockets
_LATER = {"Retry-After": "60"}  # seconds
_OVER: Message = {"type": "websocket.disconnect", "code": 1008}  # RFC 6455, "policy violation"

log = structlog.get_logger(__name__)


def new_sockets(per_address: int) -> ClientBuckets:
    """The buckets that each new socket takes a token from."""
    return ClientBuckets(NEW_PER_SOCKET.times(per_address))


class SocketCaps:
    """Refuses the handshake where too many sockets are open, or too many were just opened.

    An open socket costs about 200 kB here, and a closed one its state for some minutes.

    Args:
        app: what is inside.
        per_address: how many sockets an address may have; a network may have `NETWORK_SHARE` times
            as many.
        in_all: how many sockets there may be in this process.
        new: the buckets of new sockets.
    """

    def __init__(self, app: ASGIApp, *, per_address: int, in_all: int, new: ClientBuckets) -> None:
        self.app = app
        self._most = (per_address, NETWORK_SHARE * per_address)
        self._in_all = in_all
        self._open: Counter[str] = Counter()
        self._new = new
        self._lines, self._full_lines = Buckets(ONE_A_MINUTE), Bucket(ONE_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        keys = scope_keys(scope)
        if refusal := self._refusal(keys):
            await refusal(scope, receive, send)
            return
        with self._counted((_EVERYBODY, *keys)), OPEN_SOCKETS.track_inprogress():
            await self.app(scope, receive, send)

    def _refusal(self, keys: Sequence[str]) -> Response | None:
        """The answer to a client that gets no socket now."""
        if self._open[_EVERYBODY] >= self._in_all:
            if self._full_lines.take():
                log.error("socket.full", setting="SOCKETS_IN_ALL", open=self._in_all)
            return PlainTextResponse("Too many sockets", 503, _LATER)
        if self._has_room(keys) and self._new.take(keys):
            return None
        if self._lines.take(keys[-1]):
            log.warning("socket.refused", address=keys[0], open=self._open[keys[0]])
        return PlainTextResponse("Too many sockets", 429, _LATER)

    def _has_room(self, keys: Sequence[str]) -> bool:
        return all(self._open[key] < most for key, most in zip(keys, self._most, strict=False))

    @contextmanager
    def _counted(self, keys: Sequence[str]) -> Iterator[None]:
        self._open.update(keys)
        try:
            yield
        finally:
            self._open.subtract(keys)
            self._open += Counter()  # forgets those at zero


class FrameRates:
    """Drops frames that come faster than people make them, before anybody parses them.

    An event is a frame. Reflex's event middleware would be too late for this: what its queue
    holds is in memory by then, and the name of an event that does not exist is in the log.
    """

    def __init__(self, app: ASGIApp, *, sockets_per_address: int) -> None:
        self.app = app
        self._of_client = ClientBuckets(FRAMES_PER_SOCKET.times(sockets_per_address))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket":
            receive = self._slowed(scope_keys(scope), receive)
        await self.app(scope, receive, send)

    def _slowed(self, keys: Sequence[str], receive: Receive) -> Receive:
        of_socket, lines = Bucket(FRAMES), Bucket(ONE_A_MINUTE)

        async def receive_some() -> Message:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return message
                if of_socket.take() and self._of_client.take(keys):
                    return message
                if lines.take():
                    log.warning("socket.flooded", address=keys[0])
                await asyncio.sleep(0)  # everybody else's turn

        return receive_some


class FrameChecks:
    """Drops what is no packet of Reflex's protocol; ends a socket that keeps at it, or never joins.

    Inside, each such frame would be an exception in the log, whole, as would be an event that is in
    none of *handlers*; and a socket that answers pings but joins nothing would stay for ever. A
    socket that leaves and joins again costs as much as a new one, so it takes a token of *new*.
    https://socket.io/docs/v4/socket-io-protocol/
    """

    def __init__(self, app: ASGIApp, *, handlers: Container[str], new: ClientBuckets) -> None:
        self.app = app
        self._handlers = handlers
        self._new = new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket":
            receive = self._checked(scope_keys(scope), receive)
        await self.app(scope, receive, send)

    def _checked(self, keys: Sequence[str], receive: Receive) -> Receive:
        bad = 0
        join_by: float | None = asyncio.get_running_loop().time() + JOIN_WITHIN

        async def receive_good() -> Message:
            nonlocal bad, join_by
            while bad < BAD_FRAMES:
                try:
                    async with asyncio.timeout_at(join_by):
                        message = await receive()
                except TimeoutError:
                    log.info("socket.never_joined", address=keys[0])
                    return _OVER
                if message["type"] != "websocket.receive":
                    return message
                text = message.get("text") or ""  # no page sends bytes
                if not self._is_packet(text):
                    bad += 1
                    continue
                if text.startswith(_JOIN):
                    if join_by is None and not self._new.take(keys):
                        log.warning("socket.refused", address=keys[0])
                        return _OVER
                    join_by = None
                return message
            log.warning("socket.talks_nonsense", address=keys[0])
            return _OVER

        return receive_good

    def _is_packet(self, text: str) -> bool:
        """Whether a page of ours could have sent it, or it is too long to look at."""
        if len(text) > LONGEST_FRAME:
            return True
        match _parsed(text, _EVENT), _parsed(text, _JOIN):
            case ["event", event], _:
                return self._is_event(event)
            case ["client_error", dict()], _:
                return True
            case _, dict() as join:
                return self._is_join(join)
        return text in {_LEAVE, _PONG, _CLOSE}

    def _is_join(self, join: dict[str, object]) -> bool:
        """True if a page can send *join* in a CONNECT packet: see `connect` of Reflex's `state.js`.

        Reflex runs the event in it before any other, and does not check it.
        """
        event, schema = join.pop("event", None), join.pop("state_schema", None)
        is_event = event is None or self._is_event(event)
        return is_event and (schema is None or _is_schema(schema)) and not join

    def _is_event(self, event: object) -> bool:
        """True if *event* is for a handler that a page can call."""
        match event:
            case {"name": str() as name}:
                return name in self._handlers
        return False


def _is_schema(text: object) -> bool:
    """True for a hash, by which Reflex tells pages of an older build to load again."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{1,64}", text) is not None


def _parsed(text: str, kind: str) -> object:
    """What a packet of that *kind* holds."""
    if not text.startswith(kind):
        return None
    try:
        return json.loads(text.removeprefix(kind))
    except (ValueError, RecursionError):
        return None

"""Limits for sockets: their number, the rate of their frames, their packets and Reflex events."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from starlette.responses import PlainTextResponse

from otp_app.identity.requests import scope_keys
from otp_app.monitoring.logging import bind_log_context, session_context
from otp_app.monitoring.metrics import OPEN_SOCKETS
from otp_app.reflex_compat import Middleware, StateUpdate
from otp_app.verification.client import client_keys
from otp_app.web.bounds import NETWORK_SHARE, ONE_PER_MINUTE, Bucket, Buckets, ClientBuckets, Rate

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otp_app.reflex_compat import App, BaseState, Event

LONGEST_FRAME = 16 * 1024  # bytes; Reflex closes a socket that sends a longer one
FRAMES = Rate(10, burst=20)  # for a socket; a person causes one or two a second, a page load three
FRAMES_PER_SOCKET = Rate(2.5, burst=5)  # for an address, times the sockets that it may have
NEW_PER_SOCKET = Rate(3 / 60, burst=3)  # new sockets for an address, times the sockets it may have
JOIN_WITHIN = 10.0  # seconds; a page joins with its first frame, milliseconds after the handshake
BAD_FRAMES = 20  # for a socket; our pages send none, a browser extension perhaps one
MAX_PAYLOAD = 4 * 1024  # characters; the phone form has under 200
BROWSER_ERRORS = Rate(20 / 60, burst=20)  # for each address; every report is a line in our log

_JOIN, _LEAVE, _EVENT, _PONG, _CLOSE = "40/_event,", "41/_event,", "42/_event,", "3", "1"
_EVERYBODY = ""  # the key of all sockets
_BROWSER_ERROR = "handle_frontend_exception"
_LATER = {"Retry-After": "60"}  # seconds
_POLICY_VIOLATION: Message = {
    "type": "websocket.disconnect",
    "code": 1008,
}  # RFC 6455, "policy violation"

log = structlog.get_logger(__name__)


def new_sockets(per_address: int) -> ClientBuckets:
    """Return the buckets from which each new socket takes a token."""
    return ClientBuckets(NEW_PER_SOCKET.times(per_address))


class SocketLimit:
    """Refuses the handshake if too many sockets are open, or too many were just opened.

    An open socket takes about 200 kB of memory. After it closes, its state stays for some minutes.

    Args:
        app: the app inside.
        per_address: the number of sockets that an address may have open. A network may have
            `NETWORK_SHARE` times as many.
        in_all: the number of sockets that may be open in this process.
        new: the buckets of new sockets.
    """

    def __init__(self, app: ASGIApp, *, per_address: int, in_all: int, new: ClientBuckets) -> None:
        self.app = app
        self._most = (per_address, NETWORK_SHARE * per_address)
        self._in_all = in_all
        self._open: Counter[str] = Counter()
        self._new = new
        self._lines, self._full_lines = Buckets(ONE_PER_MINUTE), Bucket(ONE_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
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
        """Return the response that refuses the handshake, or None if the client gets a socket."""
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
            self._open += Counter()  # removes keys at zero


class FrameRateLimit:
    """Drops frames that come faster than people cause them, before they are parsed.

    Each event is one frame. Reflex's event middleware would be too late: by then the queued events
    take memory, and the name of an event that does not exist is in the log.
    """

    def __init__(self, app: ASGIApp, *, sockets_per_address: int) -> None:
        self.app = app
        self._of_client = ClientBuckets(FRAMES_PER_SOCKET.times(sockets_per_address))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] == "websocket":
            receive = self._slowed(scope_keys(scope), receive)
        await self.app(scope, receive, send)

    def _slowed(self, keys: Sequence[str], receive: Receive) -> Receive:
        of_socket, lines = Bucket(FRAMES), Bucket(ONE_PER_MINUTE)

        async def receive_some() -> Message:
            while True:
                message = await receive()
                if message["type"] != "websocket.receive":
                    return message
                if of_socket.take() and self._of_client.take(keys):
                    return message
                if lines.take():
                    log.warning("socket.flooded", address=keys[0])
                await asyncio.sleep(0)  # lets other tasks run

        return receive_some


class FrameValidation:
    """Drops invalid packets. Closes a socket that sends `BAD_FRAMES` of them, or never joins.

    Reflex would log an exception with the whole frame for each invalid packet, and for each event
    whose handler is not in *handlers*. A socket that only replies to pings would stay open for
    ever. A socket that leaves and joins again costs as much as a new one, so it takes a token of
    *new*. Protocol: https://socket.io/docs/v4/socket-io-protocol/

    Args:
        app: the app inside.
        handlers: the names of the event handlers that a page may call.
        new: the buckets of new sockets.
    """

    def __init__(self, app: ASGIApp, *, handlers: Container[str], new: ClientBuckets) -> None:
        self.app = app
        self._handlers = handlers
        self._new = new

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
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
                    log.info("socket.join_timed_out", address=keys[0])
                    return _POLICY_VIOLATION
                if message["type"] != "websocket.receive":
                    return message
                text = message.get("text") or ""  # no page sends bytes
                if not self._is_packet(text):
                    bad += 1
                    continue
                if text.startswith(_JOIN):
                    if join_by is None and not self._new.take(keys):
                        log.warning("socket.refused", address=keys[0])
                        return _POLICY_VIOLATION
                    join_by = None
                return message
            log.warning("socket.protocol_violation", address=keys[0])
            return _POLICY_VIOLATION

        return receive_good

    def _is_packet(self, text: str) -> bool:
        """Return True if our pages could send *text*, or if Reflex rejects it for its length."""
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
        """Return True if a page can send *join* in a CONNECT packet.

        The source of the format is `connect` in Reflex's `state.js`. Reflex runs the event in the
        packet before any other event, and does not check it.
        """
        event, schema = join.pop("event", None), join.pop("state_schema", None)
        is_event = event is None or self._is_event(event)
        return is_event and (schema is None or _is_schema(schema)) and not join

    def _is_event(self, event: object) -> bool:
        """Return True if *event* names a handler that a page can call."""
        match event:
            case {"name": str() as name}:
                return name in self._handlers
        return False


def _is_schema(text: object) -> bool:
    """Return True for a hash of the state's schema, by which Reflex reloads pages of old builds."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{1,64}", text) is not None


def _parsed(text: str, kind: str) -> object:
    """Return the JSON value of a packet of *kind*, or None for another packet or bad JSON."""
    if not text.startswith(kind):
        return None
    try:
        return json.loads(text.removeprefix(kind))
    except (ValueError, RecursionError):
        return None


class EventFilter(Middleware):
    """Drops events with a payload that is too long, and error reports above the rate."""

    def __init__(self) -> None:
        self._errors = ClientBuckets(BROWSER_ERRORS)
        self._lines = Buckets(ONE_PER_MINUTE)

    async def preprocess(self, app: App, state: BaseState, event: Event) -> StateUpdate | None:
        """Return None to let *event* pass, or an empty update, by which Reflex drops it."""
        del app
        bind_log_context(
            handler=event.name.rpartition(".")[2], **session_context(state.router.headers.cookie)
        )
        keys = client_keys(state.router.session.client_ip)
        if len(repr(event.payload)) <= MAX_PAYLOAD and self._is_in_time(event, keys):
            return None
        if self._lines.take(state.router.session.session_id):
            log.warning("ui_event.dropped", address=keys[0])
        return StateUpdate()

    def _is_in_time(self, event: Event, keys: Sequence[str]) -> bool:
        return not event.name.endswith(_BROWSER_ERROR) or self._errors.take(keys)

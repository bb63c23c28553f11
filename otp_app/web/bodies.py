"""Refuses request bodies that are too long or too slow, before the app reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import PlainTextResponse

from otp_app import routes
from otp_app.errors import BodyTooLong
from otp_app.web import problems

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 8 * 1024  # bytes; the longest real form has a few hundred
_LONGER = {routes.TWILIO_WEBHOOK: 256 * 1024}  # bytes; some 300 events of 800 bytes in one post
MAX_WAIT = 10.0  # seconds for a whole body; 8 KiB take one on a bad line
_BODILESS = {"GET", "HEAD", "OPTIONS"}  # the app never reads the body of such a request


class BodyCap:
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
            await self.app(scope, _once(body, receive), send)


def _refusal(scope: Scope) -> Response:
    if scope["path"].startswith(routes.API):
        return problems.answer(BodyTooLong(), Request(scope))
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


def _once(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields the body in one message, then the messages of *receive*."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return whole.pop() if whole else await receive()

    return receive_again

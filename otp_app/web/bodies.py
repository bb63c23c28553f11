"""Refuses long bodies and slow ones, before anybody reads them."""

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

MAX_BODY = 8 * 1024  # bytes; the longest honest form has a few hundred
_LONGER = {routes.TWILIO_WEBHOOK: 256 * 1024}  # some 300 events of 800 bytes in one post
MAX_WAIT = 10.0  # seconds for all of a body; on a bad line that many bytes take one
_BODILESS = {"GET", "HEAD", "OPTIONS"}  # nobody reads theirs


class BodyCap:
    """Hands a body on when it is all there; a long or slow one is not read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
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
    """How long a body may be there, in bytes."""
    return _LONGER.get(scope["path"], MAX_BODY)


async def _read(receive: Receive, most: int) -> bytes | None:
    """The whole body, or None when it is longer than *most*."""
    body = bytearray()
    more = True
    while more:
        message = await receive()  # when the client leaves, there is no more of it either
        body += message.get("body", b"")
        if len(body) > most:
            return None
        more = message.get("more_body", False)
    return bytes(body)


def _once(body: bytes, receive: Receive) -> Receive:
    """First the body, then what comes after it: that the client has left."""
    whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive_again() -> Message:
        return whole.pop() if whole else await receive()

    return receive_again

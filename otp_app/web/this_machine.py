"""Keeps the simulated phone to the machine that the app runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from otp_app import routes
from otp_app.addresses import is_this_machine

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_REFUSAL = "The simulated phone shows codes. Open it on the machine that runs the app, at localhost"


class ThisMachineOnly:
    """Refuses the page of the simulated phone to everybody else. What it shows, the state gates."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http" and _is_the_phone(scope["path"]):
            host, _ = scope.get("client") or ("", 0)  # a Unix socket has none
            if not is_this_machine(host, Headers(scope=scope)):
                await PlainTextResponse(_REFUSAL, 403)(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _is_the_phone(path: str) -> bool:
    """Likewise where its file is asked for by name."""
    return path.startswith((routes.SIMULATED_PHONE, f"/{routes.SIMULATED_PHONE}"))

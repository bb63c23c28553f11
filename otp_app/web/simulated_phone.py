"""Access to the page of the simulated phone: from this machine, or with a token.

Imported only where there is a simulated phone: in development, and with the console provider.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from otp_app import routes, services
from otp_app.identity.requests import is_from_this_machine

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.config import Settings
    from otp_app.providers.simulated_phone import SimulatedPhone

_PATH = routes.SIMULATED_PHONE
_ASKING = Path(__file__).with_name("templates") / "phone_token.html"


class SimulatedPhoneGate:
    """Requires the token if there is any sign that a request comes from another machine.

    `?token=` in the URL is exchanged for a cookie. The page itself holds no code. The phone's state
    does, and `otp_app.state.simulated_phone` enforces the same rule for it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._is_behind_proxy = settings.is_behind_proxy
        self._is_https = settings.is_https
        self._asking = _ASKING.read_text()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_asked = scope["type"] == "http" and routes.page_at(scope["path"]) == _PATH
        answer = self._answer(Request(scope)) if is_asked else None
        await (answer or self.app)(scope, receive, send)

    def _answer(self, request: Request) -> Response | None:
        """Return the response in place of the page, or None if the client may open the page."""
        phone = services.current().simulated_phone
        if phone is None:
            return None
        if phone.is_token(request.query_params.get("token", "")):
            return self._exchange(phone)
        is_here = not self._is_behind_proxy and is_from_this_machine(request.scope)
        if is_here or phone.is_opened_by(request.headers.get("cookie", "")):
            return None
        return HTMLResponse(self._asking, 403)

    def _exchange(self, phone: SimulatedPhone) -> Response:
        answer = RedirectResponse(_PATH, 303)  # removes the token from the URL
        answer.set_cookie(
            routes.PHONE_COOKIE, phone.token, secure=self._is_https, httponly=True, samesite="lax"
        )
        return answer

"""The parts that only development needs: for `reflex run`, and for the simulated phone.

Under `reflex run` a JavaScript server serves the pages, from another port and without the layers of
`otp_app/web/pipeline.py`. Scripts in the head of its pages do what the layers would do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.identity.requests import is_from_this_machine
from otp_app.web.localized_pages import as_json, language_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.config import Settings
    from otp_app.i18n import Language
    from otp_app.providers.simulated_phone import SimulatedPhone
    from otp_app.web.localized_pages import PageTranslations

# Loads `routes.DEV_COOKIE` from the backend. "script" is split to avoid a hydration mismatch: React
# escapes the word on the server.
_LOADER = (
    "document.write(`<${'script'} src='//${location.hostname}:PORT"
    + routes.DEV_COOKIE
    + "'></${'script'}>`)"
)
_FORMS = """addEventListener("submit", (event) => {
  const form = event.target, path = form.getAttribute("action");
  if (path?.startsWith("/")) form.action = `//${location.hostname}:PORT${path}`;
}, true);"""  # posts plain forms to the backend

# The script removes its own element, which would break the hydration by React.
_WORDS = """globalThis.WORDS = %s;
Object.assign(document.documentElement, { lang: "%s", dir: "%s" });
document.currentScript.remove();"""
_STYLE = """
document.adoptedStyleSheets = [new CSSStyleSheet()];
document.adoptedStyleSheets[0].replaceSync(%s);"""


def head_scripts(port: int) -> list[str]:
    """Return the scripts for the head of every page. Our backend listens on *port*."""
    return [script.replace("PORT", str(port)) for script in (_LOADER, _FORMS)]


async def _page_data(request: Request) -> Response:
    """Return the script that gives a page its translations and the brand's colours.

    `FlowCookieMiddleware` adds the flow cookie to the response.
    """
    script = _data_script(request.app.state.words, language_of(request.headers))
    return Response(script, media_type="text/javascript", headers={"Cache-Control": "no-store"})


def _data_script(words: PageTranslations, language: Language) -> str:
    data = as_json(words.data(language) | words.country_data(language))
    script = _WORDS % (data, language.tag, language.direction)
    return script + (_STYLE % json.dumps(css) if (css := words.style.css) else "")


ROUTES = [Route(routes.DEV_COOKIE, _page_data, methods=["GET"])]

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

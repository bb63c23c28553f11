"""The favicon in the brand's colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from otp_app import routes
from otp_app.theme.logo import ASSETS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.theme.palette import Palette

_OURS, _WHITE = "#1f4fd8", "#fff"  # the colours in the SVG file


class BrandIcon:
    """Serves the icon with the colours of *palette* in place of those in the file.

    Under `reflex run` the icon keeps the file's colours: the JavaScript dev server serves it.
    """

    def __init__(self, app: ASGIApp, palette: Palette) -> None:
        self.app = app
        fill, text = palette.light.fill, palette.light.on_fill
        drawn = (ASSETS / routes.ICON.removeprefix("/")).read_text()
        self._icon = drawn.replace(_WHITE, str(text)).replace(_OURS, str(fill))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        app: ASGIApp = self.app
        if scope["type"] == "http" and scope["path"] == routes.ICON:
            app = Response(self._icon, media_type="image/svg+xml")
        await app(scope, receive, send)

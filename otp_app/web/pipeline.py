"""The HTTP pipeline around the app, and its small layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response

from otp_app import routes
from otp_app.config import LOCAL, AppEnv, Settings
from otp_app.identity.cookies import with_one_cookie_header
from otp_app.identity.requests import TrustedProxies
from otp_app.monitoring.logging import LogContext
from otp_app.monitoring.metrics import MonitoringEndpoints
from otp_app.reflex_compat import Dirs, get_web_dir
from otp_app.theme import AA, ASSETS
from otp_app.web import headers
from otp_app.web.bounds import BodyLimit, RequestRates, too_fast
from otp_app.web.headers import SecurityHeaders
from otp_app.web.socket_guard import FrameRateLimit, FrameValidation, SocketLimit, new_sockets

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.theme.palette import Palette


class SingleHost(TrustedHostMiddleware):
    """Starlette's check of the Host header, which also refuses several Host headers with a 400.

    Starlette checks the first header only, and a proxy may have used the last one. RFC 9112
    section 3.2 requires the 400.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_asked = scope["type"] in {"http", "websocket"}
        if is_asked and len(Headers(scope=scope).getlist("host")) > 1:
            await PlainTextResponse("Several hosts", 400)(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class OneCookieHeader:
    """Joins the `Cookie` lines of a request, because `Headers.get` returns the first line only.

    A browser may split its cookies over several lines in HTTP/2, and a proxy may pass the lines on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] in {"http", "websocket"}:
            scope = {**scope, "headers": with_one_cookie_header(scope["headers"])}
        await self.app(scope, receive, send)


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


log = structlog.get_logger(__name__)


def build_stack(
    app: ASGIApp, settings: Settings, handlers: Container[str], scripts: Sequence[str] = ()
) -> ASGIApp:
    """Wrap *app* in all middleware, from the innermost to the outermost.

    The pages have to be built before the call: their inline scripts are hashed for the policies.

    Args:
        app: Reflex and the routes of our own.
        settings: the configuration.
        handlers: the names of the event handlers that a socket may call.
        scripts: inline scripts that the pages may run besides those of the build.
    """
    if settings.is_https and not settings.trusted_proxy_hops:
        # Only a proxy terminates https here. Without trusted hops, all visitors have the proxy's
        # address and share the limits of one client.
        log.warning("proxy.untrusted", setting="TRUSTED_PROXY_HOPS")
    per_address, new = settings.sockets_per_address, new_sockets(settings.sockets_per_address)
    app = FrameValidation(app, handlers=handlers, new=new)
    app = FrameRateLimit(app, sockets_per_address=per_address)
    app = SocketLimit(app, per_address=per_address, in_all=settings.sockets_in_all, new=new)
    app = BodyLimit(app)
    if settings.has_simulated_phone:
        from otp_app.web.simulated_phone import SimulatedPhoneGate

        app = SimulatedPhoneGate(app, settings)
    app = SingleHost(app, allowed_hosts(settings), www_redirect=False)
    app = MonitoringEndpoints(app, settings)
    style = settings.theme.style
    _warn_of_contrast(style.palette)
    built = get_web_dir() / Dirs.STATIC
    policies = headers.page_policies(built, settings.own_origins, scripts, style.css)
    guarded = partial(
        SecurityHeaders,
        policies=policies,
        https=settings.is_https,
        subdomains=settings.hsts_subdomains,
    )
    app = guarded(app)
    if settings.otel_exporter_otlp_endpoint:
        from otp_app.monitoring.tracing import RequestSpans

        app = RequestSpans(app)
    app = LogContext(app)
    app = OneCookieHeader(app)
    posts, reads = settings.http_posts_per_second, settings.http_reads_per_second
    app = RequestRates(app, guarded(too_fast), posts=posts, reads=reads)
    return TrustedProxies(app, hops=settings.trusted_proxy_hops, https=settings.is_https)


def _warn_of_contrast(palette: Palette | None) -> None:
    """Log a warning if text in the brand's colour has too little contrast and was corrected."""
    if palette and palette.is_corrected:
        log.warning(
            "theme.contrast_corrected",
            setting="BRAND_COLOR",
            ratio=round(palette.measured, 2),
            needed=AA,
            used=f"rgb{tuple(palette.light.brand)}",  # six digits would be redacted
        )


def allowed_hosts(settings: Settings) -> list[str]:
    """Return the host names that requests may be for, without ports."""
    local = () if settings.app_env is AppEnv.PRODUCTION else LOCAL
    return [*local, *(_host(origin) for origin in settings.own_origins)]


def _host(origin: str) -> str:
    parts = urlsplit(origin)
    return parts.netloc.removesuffix(f":{parts.port}")

"""The HTTP pipeline: every layer around Reflex in one list, and the small layers themselves."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from otp_app import routes
from otp_app.config import LOCAL, AppEnv, Settings
from otp_app.identity.cookies import with_one_cookie_header
from otp_app.identity.requests import TrustedProxies
from otp_app.monitoring import metrics
from otp_app.monitoring.logging import LogContext
from otp_app.reflex_compat import Dirs, get_web_dir
from otp_app.theme import AA, ASSETS
from otp_app.web import delivery_webhooks, dev_server, headers, plain_routes, problems, sessions
from otp_app.web.bounds import BodyLimit, OverloadLimit, RequestRates, too_fast
from otp_app.web.dev_server import SimulatedPhoneGate
from otp_app.web.headers import SecurityHeaders
from otp_app.web.localized_pages import LocalizedPages
from otp_app.web.sessions import FlowCookieMiddleware, PageGate
from otp_app.web.socket_guard import FrameRateLimit, FrameValidation, SocketLimit, new_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from otp_app.theme.palette import Palette
    from otp_app.web.localized_pages import PageTranslations

    Layer = Callable[[ASGIApp], ASGIApp]

log = structlog.get_logger(__name__)


def build_stack(
    reflex: ASGIApp,
    settings: Settings,
    api: ASGIApp,
    words: PageTranslations,
    handlers: Container[str],
) -> ASGIApp:
    """Return the app for the server: *reflex* inside all layers.

    The pages have to be built before the call: their inline scripts are hashed for the policies.

    Args:
        reflex: the app of the pages and of the socket.
        settings: the configuration.
        api: the app of the paths of the API.
        words: the translations of the pages.
        handlers: the names of the event handlers that a socket may call.
    """
    if settings.is_https and not settings.trusted_proxy_hops:
        # Only a proxy terminates https here. Without trusted hops, all visitors have the proxy's
        # address and share the limits of one client.
        log.warning("proxy.untrusted", setting="TRUSTED_PROXY_HOPS")
    _warn_of_contrast(settings.theme.style.palette)
    app = reflex
    for layer in reversed(_layers(settings, api, words, handlers)):
        app = layer(app)
    return app


def _layers(
    settings: Settings, api: ASGIApp, words: PageTranslations, handlers: Container[str]
) -> list[Layer]:
    """Return all layers, the outermost first: a request passes them from top to bottom."""
    guarded = _security_headers(settings, words)
    posts, reads = settings.http_posts_per_second, settings.http_reads_per_second
    per_address, new = settings.sockets_per_address, new_sockets(settings.sockets_per_address)
    return [
        # Sets the client's address and the scheme, as the trusted proxies report them.
        partial(TrustedProxies, hops=settings.trusted_proxy_hops, https=settings.is_https),
        # 429 for requests above the rate of their address.
        partial(RequestRates, refusal=guarded(too_fast), posts=posts, reads=reads),
        # Joins several `Cookie` headers into one.
        OneCookieHeader,
        # Gives the lines of the log an id for each request, and logs the outcome of posts.
        LogContext,
        # Records a span for each request, if traces are enabled.
        *_request_spans(settings),
        # Adds the security and cache headers, to the responses of all layers below too.
        guarded,
        # 400 for other hosts. Probes and metrics accept any host.
        partial(SingleHost, allowed_hosts=allowed_hosts(settings), www_redirect=False),
        # 403 for other machines without the token, on the page of the simulated phone.
        *([partial(SimulatedPhoneGate, settings=settings)] if settings.has_simulated_phone else []),
        # Reads the body: 413 if it is too long, 408 if it is too slow.
        BodyLimit,
        # Refuses the handshake if too many sockets are open.
        partial(SocketLimit, per_address=per_address, in_all=settings.sockets_in_all, new=new),
        # Drops frames that come too fast.
        partial(FrameRateLimit, sockets_per_address=per_address),
        # Drops invalid frames, and events without a handler.
        partial(FrameValidation, handlers=handlers, new=new),
        # 503 for sends and checks of the API, if too many are under way.
        partial(OverloadLimit, refusal=_for_api_origins(problems.overloaded, settings)),
        # The API responds on its paths. Its CORS allows other origins than Reflex's.
        partial(ApiFirst, api=api),
        # Sets the flow cookie with every page.
        FlowCookieMiddleware,
        # Compresses responses that the layers below did not compress.
        GZipMiddleware,
        # The routes of our own respond on their paths. Its error pages cover the layers below.
        partial(OwnRoutes, own=own_routes(settings, words)),
        # Redirects a browser that may not see the page yet.
        PageGate,
        # Translates the pages of the build, and compresses them once.
        partial(LocalizedPages, words=words),
    ]


def _for_api_origins(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Return *app* with the headers by which pages that call the API can read its response."""
    return CORSMiddleware(
        app,
        allow_origins=settings.api_origins,
        allow_credentials=True,
        expose_headers=["Retry-After"],
    )


def own_routes(settings: Settings, words: PageTranslations) -> Starlette:
    """Return the app of all routes beside the API and Reflex."""
    palette = settings.theme.style.palette
    own = Starlette(
        routes=[
            *plain_routes.ROUTES,
            *sessions.ROUTES,
            *dev_server.ROUTES,
            Route(routes.COUNTRIES, words.serve_countries, methods=["GET"]),
            *delivery_webhooks.build_routes(settings),
            *metrics.build_routes(settings),
            *([_icon_route(palette)] if palette else []),
        ],
        exception_handlers=plain_routes.EXCEPTION_HANDLERS,
    )
    own.state.brand, own.state.theme = settings.brand, settings.theme
    own.state.allowed_origins, own.state.words = settings.own_origins, words
    return own


class ApiFirst:
    """Passes requests for paths of the API to *api*, and all others to the app inside.

    In Reflex's `api_transformer` the API would be behind the CORS middleware of the pages, which
    rejects origins that may call the API. These origins cannot be added there, because Reflex uses
    the same list for the origins that may open the websocket.
    """

    def __init__(self, app: ASGIApp, api: ASGIApp) -> None:
        self.app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_api = scope["type"] == "http" and _is_api(scope["path"])
        await (self._api if is_api else self.app)(scope, receive, send)


def _is_api(path: str) -> bool:
    return f"{path}/".startswith(routes.API) or path == routes.HEALTH


class OwnRoutes:
    """Passes a request to *own* if it has a route for the path and method, else to the app inside.

    The exception handlers of *own* also handle the exceptions of the app inside.
    """

    def __init__(self, app: ASGIApp, own: Starlette) -> None:
        self.app = app
        own.mount("", app)
        self._own = own

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        await (self._own if scope["type"] == "http" else self.app)(scope, receive, send)


class SingleHost(TrustedHostMiddleware):
    """Starlette's check of the Host header, which also refuses several Host headers with a 400.

    Starlette checks the first header only, and a proxy may have used the last one. RFC 9112
    section 3.2 requires the 400. Load balancers and scrapers connect by IP address, so probes and
    metrics accept any Host header.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        is_asked = scope["type"] in {"http", "websocket"}
        if metrics.is_for_monitoring(scope):
            await self.app(scope, receive, send)
        elif is_asked and len(Headers(scope=scope).getlist("host")) > 1:
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


def _security_headers(settings: Settings, words: PageTranslations) -> Layer:
    policies = headers.page_policies(
        get_web_dir() / Dirs.STATIC,
        settings.own_origins,
        [words.script] if words.script else [],
        settings.theme.style.css,
    )
    return partial(
        SecurityHeaders,
        policies=policies,
        https=settings.is_https,
        subdomains=settings.hsts_subdomains,
    )


def _request_spans(settings: Settings) -> Iterator[Layer]:
    """Yield the layer of traces, if they are enabled. OpenTelemetry is slow to import."""
    if settings.otel_exporter_otlp_endpoint:
        from otp_app.monitoring.tracing import RequestSpans

        yield RequestSpans


_OURS, _WHITE = "#1f4fd8", "#fff"  # the colours in the SVG file


def _icon_route(palette: Palette) -> Route:
    """Return the route of the icon with the colours of *palette* in place of those in the file.

    Under `reflex run` the icon keeps the file's colours: the JavaScript dev server serves it.
    """
    fill, text = palette.light.fill, palette.light.on_fill
    drawn = (ASSETS / routes.ICON.removeprefix("/")).read_text()
    icon = drawn.replace(_WHITE, str(text)).replace(_OURS, str(fill))

    async def serve_icon(_request: Request) -> Response:
        return Response(icon, media_type="image/svg+xml")

    return Route(routes.ICON, serve_icon)


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

"""Builds the stack of ASGI middleware around the whole app."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from reflex.constants import Dirs
from reflex.utils.prerequisites import get_web_dir

from otp_app.config import LOCAL, AppEnv, Settings
from otp_app.theme.palette import AA
from otp_app.web import csp
from otp_app.web.bodies import BodyCap
from otp_app.web.cookie_header import OneCookieHeader
from otp_app.web.headers import SecurityHeaders
from otp_app.web.hosts import OneHost
from otp_app.web.log_context import LogContext
from otp_app.web.operators import Operators
from otp_app.web.proxies import BehindProxies
from otp_app.web.request_rates import RequestRates, too_fast
from otp_app.web.sockets import FrameChecks, FrameRates, SocketCaps, new_sockets

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from starlette.types import ASGIApp

    from otp_app.theme.palette import Palette

log = structlog.get_logger(__name__)


def armoured(
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
        log.warning("proxy.not_trusted", setting="TRUSTED_PROXY_HOPS")
    per_address, new = settings.sockets_per_address, new_sockets(settings.sockets_per_address)
    app = FrameChecks(app, handlers=handlers, new=new)
    app = FrameRates(app, sockets_per_address=per_address)
    app = SocketCaps(app, per_address=per_address, in_all=settings.sockets_in_all, new=new)
    app = BodyCap(app)
    if settings.has_simulated_phone:
        from otp_app.web.simulated_phone import SimulatedPhoneGate

        app = SimulatedPhoneGate(app, settings)
    app = OneHost(app, allowed_hosts(settings), www_redirect=False)
    app = Operators(app, settings)
    style = settings.theme.style
    _report(style.palette)
    built = get_web_dir() / Dirs.STATIC
    policies = csp.pages(built, settings.own_origins, scripts, style.css)
    guarded = partial(
        SecurityHeaders,
        policies=policies,
        https=settings.is_https,
        subdomains=settings.hsts_subdomains,
    )
    app = guarded(app)
    if settings.otel_exporter_otlp_endpoint:
        from otp_app.web.request_spans import RequestSpans

        app = RequestSpans(app)
    app = LogContext(app)
    app = OneCookieHeader(app)
    posts, reads = settings.http_posts_per_second, settings.http_reads_per_second
    app = RequestRates(app, guarded(too_fast), posts=posts, reads=reads)
    return BehindProxies(app, hops=settings.trusted_proxy_hops, https=settings.is_https)


def _report(palette: Palette | None) -> None:
    """Log a warning if text in the brand's colour has too little contrast and was corrected."""
    if palette and palette.is_corrected:
        log.warning(
            "theme.contrast",
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

"""The configuration of Reflex. The settings of the app itself are in `otp_app/config/`."""

import os

import reflex as rx

from otp_app.config import AppEnv, settings_or_exit
from otp_app.monitoring.logging import configure_logging
from otp_app.reflex_compat import NoDynamicComponents
from otp_app.web.socket_guard import LONGEST_FRAME

settings = settings_or_exit()
is_production = settings.app_env is AppEnv.PRODUCTION
configure_logging(production=is_production)

# Reflex reads the following settings from the environment only.
if is_production:
    os.environ.setdefault("REFLEX_LOG_JSON", "true")  # Reflex's own log until the app has started
if settings.redis_url:
    os.environ.setdefault("REFLEX_REDIS_URL", settings.redis_url.get_secret_value())
# Without this variable, `reflex run` starts up to eight workers if there is Redis.
os.environ.setdefault("GRANIAN_WORKERS", str(settings.workers))
if "REFLEX_REDIS_URL" not in os.environ:
    # States may be lost, because all lasting data is in our database. A state on disk would expose
    # the cookie in it, and cost three times as much.
    os.environ.setdefault("REFLEX_STATE_MANAGER_MODE", "memory")
os.environ.setdefault("REFLEX_SOCKET_MAX_HTTP_BUFFER_SIZE", str(LONGEST_FRAME))
# A dead connection is closed after 20 s instead of 145 s. Until it is closed, a person who returns
# from reading the message gets a new state.
os.environ.setdefault("REFLEX_SOCKET_INTERVAL", "10s")
os.environ.setdefault("REFLEX_SOCKET_TIMEOUT", "10s")

config = rx.Config(
    app_name="otp_app",
    frontend_port=settings.port,
    cors_allowed_origins=settings.own_origins,
    trusted_proxy_hops=0,  # `identity/requests.py` has already set the client's address
    redis_token_expiration=900,  # seconds that the state of a closed tab is kept
    plugins=[NoDynamicComponents()],
    disable_plugins=[rx.plugins.SitemapPlugin],
    show_built_with_reflex=False,
    telemetry_enabled=False,
    frontend_compression_formats=["brotli", "gzip"],
)

is_ours = tuple(config.cors_allowed_origins) == settings.own_origins
if not is_ours or config.transport != "websocket":
    raise SystemExit(
        "REFLEX_CORS_ALLOWED_ORIGINS, REFLEX_TRANSPORT: unset them. PUBLIC_URL says whose pages "
        "may open the socket, and only a websocket is held to it"
    )

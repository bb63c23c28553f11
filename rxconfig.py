"""What Reflex reads. The settings of the app itself are in `otp_app/config.py`."""

import reflex as rx

from otp_app.config import settings_or_exit

settings = settings_or_exit()

config = rx.Config(
    app_name="otp_app",
    frontend_port=settings.port,
    cors_allowed_origins=settings.allowed_origins,
    plugins=[],
    disable_plugins=[rx.plugins.SitemapPlugin],
    show_built_with_reflex=False,
    telemetry_enabled=False,
    frontend_compression_formats=["brotli", "gzip"],
)

"""This app for `bench`, with the log of production: `granian --factory bench.app:app`.

`APP_ENV=production` requires https to Twilio, and does not accept the wide limits of `bench`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app import otp_app
from otp_app.monitoring.logging import configure_logging

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def app() -> ASGIApp:
    """Return the ASGI app."""
    built = otp_app.app()
    configure_logging(production=True)
    return built

"""The routes of incoming webhooks. Without the settings to verify signatures a route is a 404."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.config import ProviderName
from otp_app.errors import StoreUnavailable
from otp_app.web.rates import Buckets
from otp_app.web.sockets import ONE_A_MINUTE
from otp_app.webhooks.posts import Forged, Post
from otp_app.webhooks.twilio import TwilioWebhook
from otp_app.webhooks.vonage import VonageWebhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr
    from starlette.requests import Request

    from otp_app.config import Settings
    from otp_app.webhooks.posts import Webhook

    Clock = Callable[[], datetime]

log = structlog.get_logger(__name__)


def _utc() -> datetime:
    return datetime.now(UTC)


def build(settings: Settings, now: Clock = _utc) -> Starlette:
    """Return the app with the routes. Other paths go on to the app that is mounted in it."""
    receivers = {
        routes.VONAGE_WEBHOOK: Receiver("vonage", _vonage(settings, now)),
        routes.TWILIO_WEBHOOK: Receiver("twilio", _twilio(settings, now)),
    }
    return Starlette(
        routes=[Route(path, one.receive, methods=["POST"]) for path, one in receivers.items()],
        exception_handlers={StoreUnavailable: _later},
    )


class Receiver:
    """Endpoint for the webhooks of *provider*. Without *webhook* every request gets a 404."""

    def __init__(self, provider: str, webhook: Webhook | None) -> None:
        self._provider = provider
        self._webhook = webhook
        self._refused = 0
        self._lines = Buckets(ONE_A_MINUTE)

    async def receive(self, request: Request) -> Response:
        """Store the new delivery reports of a signed request.

        Every signed request gets a 204, even without a report, because the provider repeats a
        request that fails.
        """
        if self._webhook is None:
            raise HTTPException(404)
        query = request.scope["query_string"].decode("latin-1")
        try:
            post = Post(request.headers, query, await request.body())
            deliveries = self._webhook.deliveries(post)
        except Forged:
            self._count_refused()
            return Response(status_code=401)
        await services.current().deliveries.record(deliveries)
        return Response(status_code=204)

    def _count_refused(self) -> None:
        """Log one line a minute with the number of forged requests, because anybody can post."""
        self._refused += 1
        if self._lines.take(self._provider):
            log.warning("webhook.refused", provider=self._provider, times=self._refused)
            self._refused = 0


async def _later(_request: Request, _error: Exception) -> Response:
    """Return a 503, after which the provider posts the report again. Twilio retries for 4 h."""
    return Response(status_code=503)


def _vonage(settings: Settings, now: Clock) -> Webhook | None:
    if ProviderName.VONAGE not in settings.reporters:
        return None
    return VonageWebhook(
        secret=_revealed(settings.vonage_signature_secret),
        application_id=(settings.vonage_application_id or "").lower(),  # Vonage's own spelling
        api_key=settings.vonage_api_key,
        now=now,
    )


def _twilio(settings: Settings, now: Clock) -> Webhook | None:
    if ProviderName.TWILIO not in settings.reporters:
        return None
    url = f"{settings.origin}{routes.TWILIO_WEBHOOK}"
    return TwilioWebhook(_revealed(settings.twilio_auth_token), url, now)


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""

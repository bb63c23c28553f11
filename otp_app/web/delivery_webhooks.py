"""The routes of the providers' delivery reports. An unconfigured provider has none: 404."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.config import ProviderName
from otp_app.errors import StoreUnavailable
from otp_app.providers.vendor_input import InvalidSignature, SignedRequest
from otp_app.web.bounds import ONE_PER_MINUTE, Buckets

if TYPE_CHECKING:
    from starlette.requests import Request

    from otp_app.config import Settings
    from otp_app.providers.vendor_input import Clock, IncomingWebhook

log = structlog.get_logger(__name__)


def _utc() -> datetime:
    return datetime.now(UTC)


def build_routes(settings: Settings, now: Clock = _utc) -> list[Route]:
    """Return the routes of both vendors' webhooks."""
    vonage = DeliveryWebhookEndpoint("vonage", _vonage(settings, now))
    twilio = DeliveryWebhookEndpoint("twilio", _twilio(settings, now))
    return [
        Route(routes.VONAGE_WEBHOOK, vonage.receive, methods=["POST"]),
        Route(routes.TWILIO_WEBHOOK, twilio.receive, methods=["POST"]),
    ]


def _vonage(settings: Settings, now: Clock) -> IncomingWebhook | None:
    """Return Vonage's webhook if it is configured. Its library takes 30 ms to import."""
    if ProviderName.VONAGE not in settings.reporters:
        return None
    from otp_app.providers.vonage import webhook

    return webhook.from_settings(settings, now)


def _twilio(settings: Settings, now: Clock) -> IncomingWebhook | None:
    """Return Twilio's webhook if it is configured. Its SDK takes 20 ms to import."""
    if ProviderName.TWILIO not in settings.reporters:
        return None
    from otp_app.providers.twilio import webhook

    return webhook.from_settings(settings, now)


class DeliveryWebhookEndpoint:
    """Endpoint for the webhooks of *provider*. Without *webhook* every request gets a 404."""

    def __init__(self, provider: str, webhook: IncomingWebhook | None) -> None:
        self._provider = provider
        self._webhook = webhook
        self._refused = 0
        self._log_rate = Buckets(ONE_PER_MINUTE)

    async def receive(self, request: Request) -> Response:
        """Store the new delivery reports of a signed request.

        Every signed request gets a 204, even without a report, because the provider repeats a
        request that fails. After a 503 Twilio retries for 4 h.
        """
        if self._webhook is None:
            raise HTTPException(404)
        query = request.scope["query_string"].decode("latin-1")
        try:
            post = SignedRequest(request.headers, query, await request.body())
            deliveries = self._webhook.deliveries(post)
        except InvalidSignature:
            self._count_refused()
            return Response(status_code=401)
        try:
            await services.current().deliveries.record(deliveries)
        except StoreUnavailable:
            return Response(status_code=503)
        return Response(status_code=204)

    def _count_refused(self) -> None:
        """Log one line a minute with the number of forged requests, because anybody can post."""
        self._refused += 1
        if self._log_rate.take(self._provider):
            log.warning("delivery_webhook.rejected", provider=self._provider, times=self._refused)
            self._refused = 0

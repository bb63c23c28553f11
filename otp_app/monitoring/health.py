"""The endpoints for monitoring: readiness and metrics."""

from __future__ import annotations

import asyncio
from hmac import compare_digest
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.config import AppEnv
from otp_app.errors import StoreUnavailable
from otp_app.identity.requests import is_from_this_machine
from otp_app.monitoring import metrics
from otp_app.storage.engine import DatabaseState
from otp_app.verification.limits import global_limit_uses

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from otp_app.config import Settings
    from otp_app.services import Services

PATIENCE = 1.0  # seconds that a scrape waits for the database; Prometheus gives up after 10


_PATHS = {routes.READY, routes.METRICS}
_METHODS = {"GET", "HEAD"}


def build_routes(settings: Settings) -> list[Route]:
    """Return the routes of `/ready` and `/metrics`."""
    return [
        Route(routes.READY, _ready),
        Route(routes.METRICS, MetricsEndpoint(settings).respond),
    ]


def is_for_monitoring(scope: Scope) -> bool:
    """Return True if a route of `build_routes` responds to the request in *scope*."""
    is_ours = scope["type"] == "http" and scope["path"] in _PATHS
    return is_ours and scope["method"] in _METHODS


class MetricsEndpoint:
    """Endpoint for the metrics, which checks the access to them."""

    def __init__(self, settings: Settings) -> None:
        is_development = settings.app_env is AppEnv.DEVELOPMENT
        self._is_open_here = is_development and not settings.is_behind_proxy
        self._token = settings.metrics_token.get_secret_value() if settings.metrics_token else ""

    async def respond(self, request: Request) -> Response:
        """Return the metrics of this process, or 401."""
        if not self._is_authorized(request):
            challenge = {"WWW-Authenticate": "Bearer"}  # RFC 6750 section 3
            return PlainTextResponse("METRICS_TOKEN is needed", 401, challenge)
        await _update_gauges(services.current())
        text, media_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(text, media_type=media_type)

    def _is_authorized(self, request: Request) -> bool:
        """Return True if *request* has the bearer token.

        Without a token in the settings, a request has to come from this machine, in development
        and without a proxy.
        """
        if self._token:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            is_right = compare_digest(given.encode(), self._token.encode())
            return scheme.lower() == "bearer" and is_right
        return self._is_open_here and is_from_this_machine(request.scope)


async def _ready(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    """Return 200 if a load balancer may send traffic here, else 503.

    A busy database keeps the server ready, as another server would only add to the load. A failing
    provider keeps it ready too, as every server uses the same provider.
    """
    here = services.current()
    database = await here.database.check()
    draining = here.draining.is_set()
    is_ready = database in {DatabaseState.OK, DatabaseState.BUSY} and not draining
    body = {
        "status": "draining" if draining else "ready" if is_ready else "not_ready",
        "database": database,
        "provider": "failing" if here.verifications.is_failing else "ok",
    }
    return JSONResponse(body, 200 if is_ready else 503)


async def _update_gauges(here: Services) -> None:
    """Update the gauges that are read on demand: failing providers, and the budgets used."""
    verifications = here.verifications
    metrics.set_failing(verifications.providers, verifications.failing)
    uses = global_limit_uses(verifications.limits)
    try:
        async with asyncio.timeout(PATIENCE):
            metrics.set_budget(await here.limiter.usages(uses, verifications.now()))
    except (StoreUnavailable, TimeoutError):
        metrics.set_budget(())  # no figures are better than old ones

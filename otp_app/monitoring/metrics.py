"""The Prometheus metrics of this process, and the endpoints for monitoring.

No label holds a phone number, an id or an address. Names and units follow
https://prometheus.io/docs/practices/naming/. Every label has a bounded set of values: existing
providers and channels, countries of the numbering plan, limits of `POLICY`, and languages in the
lists of the adapters.

The endpoints are `/ready` and `/metrics`.
"""

from __future__ import annotations

import asyncio
from functools import cache
from hmac import compare_digest
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from otp_app import routes, services
from otp_app.config import AppEnv
from otp_app.errors import StoreUnavailable
from otp_app.identity.requests import is_from_this_machine
from otp_app.storage.engine import DatabaseState
from otp_app.verification.audit import Outcome
from otp_app.verification.limits import POLICY, Action, global_limit_uses

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from starlette.requests import Request
    from starlette.types import Scope

    from otp_app.config import Settings
    from otp_app.services import Services
    from otp_app.verification.audit import CallResult, ProviderCall
    from otp_app.verification.models import Channel
    from otp_app.verification.ports import LimitUsage

# Created metrics would add a second series to each counter, with its start time.
disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # memory, CPU time, open files

_ASKED = ("provider", "channel", "country", "outcome")
_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5)
"""Upper bounds in seconds. The timeouts of the adapters are 4 for checks and 5 for messages."""

SENDS = Counter("otp_sends", "Requests to a provider to send a message", _ASKED, registry=REGISTRY)
CHECKS = Counter("otp_checks", "Requests to a provider to check a code", _ASKED, registry=REGISTRY)
SECONDS = Histogram(
    "otp_provider_seconds",
    "Time until a provider's response",
    ("provider", "operation"),
    buckets=_BUCKETS,
    registry=REGISTRY,
)
SENT = Counter(
    "otp_verifications_sent",
    "Verifications with a first message that was sent, or may have been",
    ("country",),
    registry=REGISTRY,
)
APPROVED = Counter(
    "otp_verifications_approved",
    "Verifications with a correct code",
    ("country",),
    registry=REGISTRY,
)
REFUSALS = Counter(
    "otp_limit_refusals", "Sends and checks that a limit refused", ("limit",), registry=REGISTRY
)
OVERLOAD = Counter(
    "otp_overload_refusals",
    "Sends and checks that were refused because too many were under way",
    ("operation",),
    registry=REGISTRY,
)
LANGUAGES = Counter(
    "otp_languages_refused",
    "Messages in a language that the provider does not have",
    ("provider", "channel", "language"),
    registry=REGISTRY,
)
OPEN_SOCKETS = Gauge("otp_open_sockets", "Open pages", registry=REGISTRY)
FAILING = Gauge(
    "otp_provider_failing",
    "1 while the circuit breaker of a provider is open",
    ("provider", "operation"),
    registry=REGISTRY,
)
USED = Gauge("otp_budget_used", "Uses of a global limit", ("limit",), registry=REGISTRY)
ALLOWED = Gauge("otp_budget", "Size of a global limit", ("limit",), registry=REGISTRY)

for _limit in POLICY:
    REFUSALS.labels(_limit.name)  # starts the series at 0, so that `rate` sees the first refusal
for _action in (Action.SEND, Action.CHECK):
    OVERLOAD.labels(_action)


class ProviderMetrics:
    """An `Observer` that counts requests to providers."""

    def on_result(self, call: ProviderCall, result: CallResult) -> None:
        """Count *call* by the outcome in *result*, and record the duration."""
        verification, action = call.verification, call.action
        country, provider = verification.phone.region, verification.provider
        asked = SENDS if action is Action.SEND else CHECKS
        _counter(asked, provider, call.channel, country, result.outcome).inc()
        if result.duration_ms is not None:
            _seconds(provider, action).observe(result.duration_ms / 1000)
        if call.is_first and result.outcome in (Outcome.OK, Outcome.UNKNOWN):
            _counter(SENT, country).inc()
        if action is Action.CHECK and result.outcome is Outcome.OK:
            _counter(APPROVED, country).inc()


@cache  # `labels` takes longer than `inc`
def _counter(counter: Counter, *labels: str) -> Counter:
    """Return the series of *counter* with *labels*."""
    return counter.labels(*labels)


@cache
def _seconds(provider: str, action: Action) -> Histogram:
    """Return the series of `SECONDS` for *provider* and *action*."""
    return SECONDS.labels(provider, action)


def count_refusal(limit: str) -> None:
    """Count a send or check that the limit named *limit* refused."""
    REFUSALS.labels(limit).inc()


def count_overload(action: Action) -> None:
    """Count an *action* that was refused because too many were under way."""
    OVERLOAD.labels(action).inc()


def language_refused(provider: str, channel: Channel, language: str) -> None:
    """Count a message that *provider* does not have in *language*, the provider's own tag."""
    LANGUAGES.labels(provider, channel, language).inc()


def set_failing(providers: Iterable[str], failing: Set[tuple[str, Action]]) -> None:
    """Set the gauge of each provider and action to 1 if the pair is in *failing*, else to 0."""
    for provider in providers:
        for action in (Action.SEND, Action.CHECK):
            FAILING.labels(provider, action).set((provider, action) in failing)


def set_budget(standings: Iterable[LimitUsage]) -> None:
    """Set the gauges of used and allowed amounts to *standings*, and remove all other limits."""
    USED.clear()
    ALLOWED.clear()
    for standing in standings:
        USED.labels(standing.limit.name).set(standing.used)
        ALLOWED.labels(standing.limit.name).set(standing.limit.amount)


def exposition(accept: str) -> tuple[bytes, str]:
    """Return all metrics as text, in a format that the `Accept` header allows, and its media type.

    Args:
        accept: value of the `Accept` header.
    """
    encode, media_type = choose_encoder(accept)
    return encode(REGISTRY), media_type


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
        text, media_type = exposition(request.headers.get("accept", ""))
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
    set_failing(verifications.providers, verifications.failing)
    uses = global_limit_uses(verifications.limits)
    try:
        async with asyncio.timeout(PATIENCE):
            set_budget(await here.limiter.usages(uses, verifications.now()))
    except (StoreUnavailable, TimeoutError):
        set_budget(())  # no figures are better than old ones

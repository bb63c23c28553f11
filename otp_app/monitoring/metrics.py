"""The Prometheus metrics of this process. No label holds a phone number, an id or an address.

Names and units follow https://prometheus.io/docs/practices/naming/. Every label has a bounded set
of values: existing providers and channels, countries of the numbering plan, limits of `POLICY`, and
languages in the lists of the adapters.
"""

from __future__ import annotations

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

from otp_app.verification.audit import Outcome
from otp_app.verification.limits import POLICY, Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from otp_app.storage.limits import LimitUsage
    from otp_app.verification.audit import CallResult, ProviderCall
    from otp_app.verification.models import Channel

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


class ProviderMetrics:
    """An `Observer` that counts requests to providers."""

    def on_result(self, call: ProviderCall, result: CallResult) -> None:
        """Count *call* by the outcome in *result*, and record the duration."""
        verification, action = call.verification, call.action
        country, provider = verification.phone.region, verification.provider
        asked = SENDS if action is Action.SEND else CHECKS
        asked.labels(provider, call.channel, country, result.outcome).inc()
        if result.duration_ms is not None:
            SECONDS.labels(provider, action).observe(result.duration_ms / 1000)
        if call.is_first and result.outcome in (Outcome.OK, Outcome.UNKNOWN):
            SENT.labels(country).inc()
        if action is Action.CHECK and result.outcome is Outcome.OK:
            APPROVED.labels(country).inc()


def count_refusal(limit: str) -> None:
    """Count a send or check that the limit named *limit* refused."""
    REFUSALS.labels(limit).inc()


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

"""Number lookups by Vonage Identity Insights.

https://developer.vonage.com/en/api/identity-insights
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog
from jwt import PyJWTError
from pydantic import ValidationError
from vonage_identity_insights import (
    EmptyInsight,
    IdentityInsightsRequest,
    InsightsRequest,
    SimSwapInsight,
)
from vonage_identity_insights.responses import CarrierInsightResponse, SimSwapInsightResponse
from vonage_utils.errors import VonageError

from otp_app.config import (
    RiskReaction,
    Settings,
)
from otp_app.config.values import revealed
from otp_app.errors import (
    ProviderMisconfigured,
    ProviderTimedOut,
)
from otp_app.providers.transport import IN_FLIGHT, Bulkhead, HttpClient
from otp_app.providers.vendor_input import VendorError
from otp_app.providers.vonage.client import VonageApi, make_auth
from otp_app.providers.vonage.requests import NUMBER_LOOKUP
from otp_app.verification.risk import NumberInsight, RiskSignal

if TYPE_CHECKING:
    from vonage_identity_insights.responses import InsightsResponse

    from otp_app.phone import PhoneNumber
    from otp_app.verification.risk import NumberLookup

T = TypeVar("T", CarrierInsightResponse, SimSwapInsightResponse)

PURPOSE = "FraudPreventionAndDetection"
"""The purpose that mobile operators get. Vonage's documentation requires that the application's
network profile has it."""

log = structlog.get_logger(__name__)


class VonageNumberLookup:
    """Number lookups by the models and credentials of the official SDK.

    Only an application's key works, not the account's API key and secret.
    """

    name = "vonage"

    def __init__(
        self,
        application_id: str,
        private_key: str,
        base_url: str,
        wanted: frozenset[RiskSignal],
        recent: timedelta,
        seconds: float,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._auth = partial(make_auth, None, None, application_id, private_key)
        self._base_url = base_url
        self._wanted = _request(wanted, recent)
        self._seconds = seconds
        self._bulkhead = Bulkhead(in_flight, seconds)

    async def open(self) -> None:
        """Check the key, without a request to Vonage, because each one has a price.

        Raises:
            ProviderMisconfigured: the key cannot be used.
        """
        try:
            auth = self._auth()
        except (VonageError, PyJWTError, ValueError, OSError) as exc:
            log.warning("vonage.settings_rejected", why=type(exc).__name__)
            raise ProviderMisconfigured from exc
        self._http = HttpClient(self._base_url, self._seconds)
        self._api = VonageApi(auth, self._http)

    async def aclose(self) -> None:
        """Close the connections. Later number lookups are refused."""
        self._bulkhead.close()
        await self._http.close()

    async def lookup(self, phone: PhoneNumber) -> NumberInsight:
        """Fetch the wanted insights for *phone*.

        Raises:
            ProviderError: the lookup failed.
        """
        told = await self._ask(phone)
        swap = _usable(told.sim_swap, RiskSignal.SIM_SWAP)
        carrier = _usable(told.original_carrier, RiskSignal.VOIP)
        return NumberInsight(
            sim_swapped=swap.is_swapped if swap else None,
            sim_swapped_at=_in_utc(swap.latest_sim_swap_at) if swap else None,
            voip=_is_virtual(carrier.network_type) if carrier else None,
        )

    async def _ask(self, phone: PhoneNumber) -> InsightsResponse:
        try:
            request = IdentityInsightsRequest(
                phone_number=phone.digits, purpose=PURPOSE, insights=self._wanted
            )
            async with self._bulkhead.enter():
                answer = await self._api.look_up(request)
        except VendorError as refused:
            raise NUMBER_LOOKUP.error(refused) from refused
        except ValidationError as exc:  # not the documented response
            raise ProviderTimedOut from exc
        return answer.insights


def _request(wanted: frozenset[RiskSignal], recent: timedelta) -> InsightsRequest:
    """Return a request for the wanted insights only, because each has its own price."""
    hours = round(recent.total_seconds() / 3600)
    return InsightsRequest(
        sim_swap=SimSwapInsight(period=hours) if RiskSignal.SIM_SWAP in wanted else None,
        original_carrier=EmptyInsight() if RiskSignal.VOIP in wanted else None,
    )


def _usable(insight: T | None, concern: RiskSignal) -> T | None:
    """Return the insight, or None if it was not requested or has an error of its own."""
    if insight is None or insight.status.code == "OK":
        return insight
    log.warning("number_lookup.signal_missing", of=concern.value, why=insight.status.code)
    return None


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _is_virtual(network_type: str | None) -> bool | None:
    return None if network_type is None else network_type == "VIRTUAL"


def from_settings(settings: Settings) -> NumberLookup:
    """The number lookup that *settings* describe."""
    return VonageNumberLookup(
        application_id=settings.vonage_application_id or "",
        private_key=revealed(settings.vonage_private_key) or "",
        base_url=settings.vonage_insights_base_url,
        wanted=settings.signals(RiskReaction.BLOCK, RiskReaction.WARN),
        recent=timedelta(hours=settings.number_lookup_sim_swap_hours),
        seconds=settings.number_lookup_timeout,
    )

"""Number lookups by Twilio Lookup v2: https://www.twilio.com/docs/lookup/v2-api."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from otp_app.config import (
    RiskReaction,
    Settings,
)
from otp_app.config.values import revealed
from otp_app.errors import (
    ProviderTimedOut,
)
from otp_app.providers.transport import IN_FLIGHT, Bulkhead, HttpClient
from otp_app.providers.twilio.client import NUMBER_LOOKUP, TwilioTransport, make_client
from otp_app.providers.vendor_input import VendorError
from otp_app.verification.risk import NumberInsight, RiskSignal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_app.phone import PhoneNumber
    from otp_app.verification.risk import NumberLookup

_PACKAGES = {
    RiskSignal.SIM_SWAP: "sim_swap",
    RiskSignal.VOIP: "line_type_intelligence",
    RiskSignal.PUMPING: "sms_pumping_risk",
}
"""The package for each concern. Each has its own price, so only the wanted ones are requested."""

_NOT_PUMPED = frozenset({"US", "CA"})
"""Countries for which Twilio advises against the pumping risk package: fraudsters earn nothing by
messages to them. https://www.twilio.com/docs/lookup/v2-api/sms-pumping-risk"""

log = structlog.get_logger(__name__)


class TwilioNumberLookup:
    """Number lookups by the SDK's own asynchronous client, on a bounded transport."""

    name = "twilio"

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        base_url: str,
        wanted: frozenset[RiskSignal],
        seconds: float,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        self._credentials = account_sid, auth_token
        self._base_url = base_url
        self._wanted = wanted
        self._seconds = seconds
        self._bulkhead = Bulkhead(in_flight, seconds)

    async def open(self) -> None:
        """Connect the SDK to this event loop, without a request to Twilio."""
        self._http = HttpClient(self._base_url, self._seconds)
        transport = TwilioTransport(self._base_url, self._http)
        client = make_client(*self._credentials, transport)
        client.lookups.base_url = self._base_url
        self._numbers: Any = client.lookups.v2.phone_numbers

    async def aclose(self) -> None:
        """Close the connections. Later number lookups are refused."""
        self._bulkhead.close()
        await self._http.close()

    async def lookup(self, phone: PhoneNumber) -> NumberInsight:
        """Fetch the wanted packages for *phone*; without a request if none applies to it.

        Raises:
            ProviderError: the lookup failed.
        """
        fields = self._fields(phone)
        if not fields:
            return NumberInsight()
        answer = await self._fetch(phone, fields)
        if answer.phone_number != phone.e164:
            raise ProviderTimedOut
        swap = _package(answer, RiskSignal.SIM_SWAP).get("last_sim_swap")
        last = swap if isinstance(swap, dict) else {}
        return NumberInsight(
            sim_swapped=_flag(last.get("swapped_in_period")),
            sim_swapped_at=_moment(last.get("last_sim_swap_date")),
            voip=_is_voip(_package(answer, RiskSignal.VOIP).get("type")),
            pumping=_is_pumped(_package(answer, RiskSignal.PUMPING)),
        )

    async def _fetch(self, phone: PhoneNumber, fields: str) -> Any:  # noqa: ANN401 - the SDK's hints say str
        try:
            async with self._bulkhead.enter():
                return await self._numbers(phone.e164).fetch_async(fields=fields)
        except VendorError as refused:
            raise NUMBER_LOOKUP.error(refused) from refused
        except ValueError as exc:  # the SDK reads an empty 2xx as broken JSON
            raise ProviderTimedOut from exc

    def _fields(self, phone: PhoneNumber) -> str:
        unpumped = {RiskSignal.PUMPING} if phone.region in _NOT_PUMPED else set()
        return ",".join(sorted(_PACKAGES[concern] for concern in self._wanted - unpumped))


def _package(answer: Any, concern: RiskSignal) -> Mapping[str, object]:  # noqa: ANN401 - from `_fetch`
    """The fields of a package; none if it was not requested or has an error of its own."""
    package = getattr(answer, _PACKAGES[concern])
    if not isinstance(package, dict):
        return {}
    if (code := package.get("error_code")) is None:
        return package
    log.warning(
        "number_lookup.signal_missing", of=concern.value, why=code if isinstance(code, int) else ""
    )
    return {}


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _moment(value: object) -> datetime | None:
    """The time in *value*, or None if it has no time zone. Twilio documents RFC 3339."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _is_voip(kind: object) -> bool | None:
    """Whether a line type is VoIP without an address. Fixed VoIP has one, as a landline has.

    https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence
    """
    return kind == "nonFixedVoip" if isinstance(kind, str) and kind != "unknown" else None


def _is_pumped(risk: Mapping[str, object]) -> bool | None:
    """Whether Fraud Guard blocks the number now, or its carrier is in the worst risk category.

    Twilio documents four categories. The score from 0 to 100 is not used, because Twilio does not
    document which scores are high.
    """
    if not risk:
        return None
    return risk.get("number_blocked") is True or risk.get("carrier_risk_category") == "high"


def from_settings(settings: Settings) -> NumberLookup:
    """The number lookup that *settings* describe."""
    return TwilioNumberLookup(
        account_sid=settings.twilio_account_sid or "",
        auth_token=revealed(settings.twilio_auth_token) or "",
        base_url=settings.twilio_lookups_base_url,
        wanted=settings.signals(RiskReaction.BLOCK, RiskReaction.WARN),
        seconds=settings.number_lookup_timeout,
    )

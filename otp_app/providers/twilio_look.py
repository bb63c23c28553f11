"""What Twilio Lookup v2 knows of a number: https://www.twilio.com/docs/lookup/v2-api."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from otp_app.errors import ProviderTimedOut
from otp_app.providers.answers import Refused
from otp_app.providers.lanes import Deadlines, Lane
from otp_app.providers.twilio_refusals import LOOK
from otp_app.providers.twilio_transport import TwilioTransport, make_client
from otp_app.verification.looking import Concern, Insight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otp_app.phone import PhoneNumber

IN_FLIGHT = 256  # looks; each is a connection

_PACKAGES = {
    Concern.SIM_SWAP: "sim_swap",
    Concern.VOIP: "line_type_intelligence",
    Concern.PUMPING: "sms_pumping_risk",
}
"""Each has a price of its own, so only what is wanted is asked for."""

_NOT_PUMPED = frozenset({"US", "CA"})
"""Where Twilio advises against asking, as nobody earns by messages there.
https://www.twilio.com/docs/lookup/v2-api/sms-pumping-risk"""

log = structlog.get_logger(__name__)


class TwilioLook:
    """The SDK's own asynchronous client on a bounded transport."""

    name = "twilio"

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        base_url: str,
        wanted: frozenset[Concern],
        seconds: float,
    ) -> None:
        self._credentials = account_sid, auth_token
        self._base_url = base_url
        self._wanted = wanted
        self._deadlines = Deadlines.within(seconds)
        self._lane = Lane(IN_FLIGHT, seconds)

    async def open(self) -> None:
        """Connect the SDK to this event loop. Twilio is not asked."""
        self._transport = TwilioTransport(IN_FLIGHT, self._deadlines)
        client = make_client(*self._credentials, self._transport)
        client.lookups.base_url = self._base_url
        self._numbers: Any = client.lookups.v2.phone_numbers

    async def aclose(self) -> None:
        """Close the connections; a look that comes later is refused."""
        self._lane.close()
        await self._transport.close()

    async def look(self, phone: PhoneNumber) -> Insight:
        """Ask for the packages that are wanted of this number, if there are any."""
        fields = self._fields(phone)
        if not fields:
            return Insight()
        answer = await self._fetch(phone, fields)
        if answer.phone_number != phone.e164:
            raise ProviderTimedOut
        swap = _told(answer, Concern.SIM_SWAP).get("last_sim_swap")
        last = swap if isinstance(swap, dict) else {}
        return Insight(
            sim_swapped=_flag(last.get("swapped_in_period")),
            sim_swapped_at=_moment(last.get("last_sim_swap_date")),
            voip=_is_voip(_told(answer, Concern.VOIP).get("type")),
            pumping=_is_pumped(_told(answer, Concern.PUMPING)),
        )

    async def _fetch(self, phone: PhoneNumber, fields: str) -> Any:  # noqa: ANN401 - the SDK's hints say str
        try:
            async with self._lane.enter():
                return await self._numbers(phone.e164).fetch_async(fields=fields)
        except Refused as refused:
            raise LOOK.error(refused) from refused
        except ValueError as exc:  # to the SDK an empty 2xx is broken JSON
            raise ProviderTimedOut from exc

    def _fields(self, phone: PhoneNumber) -> str:
        unpumped = {Concern.PUMPING} if phone.region in _NOT_PUMPED else set()
        return ",".join(sorted(_PACKAGES[concern] for concern in self._wanted - unpumped))


def _told(answer: Any, concern: Concern) -> Mapping[str, object]:  # noqa: ANN401 - likewise
    """What a package says; nothing, where it was not asked for or has failed by itself."""
    package = getattr(answer, _PACKAGES[concern])
    if not isinstance(package, dict):
        return {}
    if (code := package.get("error_code")) is None:
        return package
    log.warning("look.untold", of=concern.value, why=code if isinstance(code, int) else "")
    return {}


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _moment(value: object) -> datetime | None:
    """An aware time, if it is one: RFC 3339, by the document."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _is_voip(kind: object) -> bool | None:
    """A fixed one is at an address, as a landline is.

    https://www.twilio.com/docs/lookup/v2-api/line-type-intelligence
    """
    return kind == "nonFixedVoip" if isinstance(kind, str) and kind != "unknown" else None


def _is_pumped(risk: Mapping[str, object]) -> bool | None:
    """Blocked by Fraud Guard now, or of a carrier in the worst of the four documented categories.

    The score from 0 to 100 is left alone: Twilio does not say from where on it is high.
    """
    if not risk:
        return None
    return risk.get("number_blocked") is True or risk.get("carrier_risk_category") == "high"

"""Risk screening by a number lookup before a code is sent: some signals block, others are logged.

The lookup is advisory: neither an unknown signal nor a failed lookup blocks a number. NIST SP
800-63B-4 section 3.1.3.3 names a SIM change as a risk to consider before a code is sent by
telephone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import structlog

from otp_app.errors import NumberUnfit, ProviderError
from otp_app.verification.allowances import Call

if TYPE_CHECKING:
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.allowances import Allowance


class NumberLookup(Protocol):
    """A number lookup service, which reports risk signals of a phone number.

    Implementations make one request for each call, raise only `ProviderError` subclasses, and time
    out after the total time that they were constructed with, even if a response arrives in pieces.
    """

    name: str

    async def open(self) -> None:
        """Acquire connections and threads on the running event loop.

        Raises:
            ProviderMisconfigured: the credentials cannot be used.
        """
        ...

    async def aclose(self) -> None:
        """Release connections and threads."""
        ...

    async def lookup(self, phone: PhoneNumber) -> NumberInsight:
        """Return the risk signals of *phone*. Each call costs money and does not notify the owner.

        Raises:
            ProviderError: the service failed, refused or timed out.
        """
        ...


log = structlog.get_logger(__name__)


class RiskSignal(StrEnum):
    """A risk signal of a number."""

    SIM_SWAP = "sim_swap"  # recently moved to another SIM: in a new phone, or in a thief's
    VOIP = "voip"  # a disposable internet number, without a SIM or a registered address
    PUMPING = "pumping"  # suspected SMS pumping fraud: somebody earns by each message


@dataclass(frozen=True)
class NumberInsight:
    """The result of a number lookup. None means unknown.

    Attributes:
        sim_swapped: True if the SIM changed within the period that the service checks.
        sim_swapped_at: time of the last change, aware. If known, it overrides `sim_swapped`.
        voip: True if the number is a VoIP number.
        pumping: True if the service suspects SMS pumping fraud.
    """

    sim_swapped: bool | None = None
    sim_swapped_at: datetime | None = None
    voip: bool | None = None
    pumping: bool | None = None

    def signals(self, since: datetime) -> frozenset[RiskSignal]:
        """Return the risk signals of the number. A SIM change before *since* is ignored."""
        swapped = self.sim_swapped_at >= since if self.sim_swapped_at else self.sim_swapped
        findings = {
            RiskSignal.SIM_SWAP: swapped,
            RiskSignal.VOIP: self.voip,
            RiskSignal.PUMPING: self.pumping,
        }
        return frozenset(concern for concern, found in findings.items() if found)


@dataclass(frozen=True)
class RiskScreening:
    """The lookup service and the signals that block or warn. The default makes no lookup."""

    lookup: NumberLookup | None = None
    blocked: frozenset[RiskSignal] = frozenset()
    warned: frozenset[RiskSignal] = frozenset()
    recent: timedelta = timedelta(hours=72)
    """Time for which a SIM change counts as a risk signal."""

    async def require_acceptable(
        self, allowance: Allowance, phone: PhoneNumber, now: datetime
    ) -> None:
        """Look up *phone* and log its risk signals, without the number.

        Each lookup uses up its part of *allowance*. A failed lookup gives no signals.

        Raises:
            NumberUnfit: one of the signals is in `blocks`.
        """
        found = (await self._insight(allowance, phone)).signals(since=now - self.recent)
        for concern in sorted(found & self.warned):
            log.warning("number_lookup.warned", reason=concern.value)
        for concern in sorted(found & self.blocked):
            log.warning("number_lookup.blocked", reason=concern.value)
        if found & self.blocked:
            raise NumberUnfit

    async def _insight(self, allowance: Allowance, phone: PhoneNumber) -> NumberInsight:
        if self.lookup is None:
            return NumberInsight()
        allowance.use(Call.NUMBER_LOOKUP)
        try:
            return await self.lookup.lookup(phone)
        except ProviderError as exc:
            log.warning("number_lookup.failed", by=self.lookup.name, why=exc.key)
            return NumberInsight()

"""Risk screening by a number lookup before a code is sent: some signals block, others are logged.

The lookup is advisory: neither an unknown signal nor a failed lookup blocks a number. NIST SP
800-63B-4 section 3.1.3.3 names a SIM change as a risk to consider before a code is sent by
telephone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from otp_app.errors import NumberUnfit, ProviderError
from otp_app.verification.budget import Call

if TYPE_CHECKING:
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.budget import Allowance
    from otp_app.verification.ports import NumberLook

log = structlog.get_logger(__name__)


class Concern(StrEnum):
    """A risk signal of a number."""

    SIM_SWAP = "sim_swap"  # recently moved to another SIM: in a new phone, or in a thief's
    VOIP = "voip"  # a disposable internet number, without a SIM or a registered address
    PUMPING = "pumping"  # suspected SMS pumping fraud: somebody earns by each message


@dataclass(frozen=True)
class Insight:
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

    def concerns(self, since: datetime) -> frozenset[Concern]:
        """Return the risk signals of the number. A SIM change before *since* is ignored."""
        swapped = self.sim_swapped_at >= since if self.sim_swapped_at else self.sim_swapped
        findings = {
            Concern.SIM_SWAP: swapped,
            Concern.VOIP: self.voip,
            Concern.PUMPING: self.pumping,
        }
        return frozenset(concern for concern, found in findings.items() if found)


@dataclass(frozen=True)
class Screening:
    """The lookup service and the signals that block or warn. The default makes no lookup."""

    look: NumberLook | None = None
    blocks: frozenset[Concern] = frozenset()
    warns: frozenset[Concern] = frozenset()
    recent: timedelta = timedelta(hours=72)
    """Time for which a SIM change counts as a risk signal."""

    async def require_fit(self, allowance: Allowance, phone: PhoneNumber, now: datetime) -> None:
        """Look up *phone* and log its risk signals, without the number.

        Each lookup uses up its part of *allowance*. A failed lookup gives no signals.

        Raises:
            NumberUnfit: one of the signals is in `blocks`.
        """
        found = (await self._insight(allowance, phone)).concerns(since=now - self.recent)
        for concern in sorted(found & self.warns):
            log.warning("look.warned", reason=concern.value)
        for concern in sorted(found & self.blocks):
            log.warning("look.blocked", reason=concern.value)
        if found & self.blocks:
            raise NumberUnfit

    async def _insight(self, allowance: Allowance, phone: PhoneNumber) -> Insight:
        if self.look is None:
            return Insight()
        allowance.use(Call.LOOK)
        try:
            return await self.look.look(phone)
        except ProviderError as exc:
            log.warning("look.failed", by=self.look.name, why=exc.key)
            return Insight()

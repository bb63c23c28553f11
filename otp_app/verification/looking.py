"""A look at a number before a code goes to it: which findings stop it, which are only noted.

A look is advice. What nobody knows stops nobody, and neither does a look that fails.
NIST SP 800-63B-4 section 3.1.3.3 asks to consider a changed SIM before a code is sent by telephone.
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
    """What may speak against a number."""

    SIM_SWAP = "sim_swap"  # it moved to another SIM of late: to a new phone, or to a thief's
    VOIP = "voip"  # had in a minute and thrown away, with no SIM and no address behind it
    PUMPING = "pumping"  # messages to it are asked for because somebody earns by them


@dataclass(frozen=True)
class Insight:
    """What is known of a number; None is what nobody could tell.

    Attributes:
        sim_swapped: whether its SIM changed in the time that the service itself looks back.
        sim_swapped_at: when that was last, aware. It counts before `sim_swapped`.
    """

    sim_swapped: bool | None = None
    sim_swapped_at: datetime | None = None
    voip: bool | None = None
    pumping: bool | None = None

    def concerns(self, since: datetime) -> frozenset[Concern]:
        """What speaks against it; a SIM changed before *since* does not."""
        swapped = self.sim_swapped_at >= since if self.sim_swapped_at else self.sim_swapped
        findings = {
            Concern.SIM_SWAP: swapped,
            Concern.VOIP: self.voip,
            Concern.PUMPING: self.pumping,
        }
        return frozenset(concern for concern, found in findings.items() if found)


@dataclass(frozen=True)
class Screening:
    """Whom to ask about a number, and what the answer means. By default nobody is asked."""

    look: NumberLook | None = None
    blocks: frozenset[Concern] = frozenset()
    warns: frozenset[Concern] = frozenset()
    recent: timedelta = timedelta(hours=72)
    """For how long a changed SIM speaks against a number."""

    async def require_fit(self, allowance: Allowance, phone: PhoneNumber, now: datetime) -> None:
        """Look at *phone*, and note what is found. The log has the finding and not the number.

        Every look passes here and uses up an allowance.

        Raises:
            NumberUnfit: no code should go there.
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

"""The data of a number that every lookup service returns. A test sets it in `Emulator.lines`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["mobile", "landline", "fixed_voip", "voip"]
Risk = Literal["low", "mild", "moderate", "high"]


@dataclass(frozen=True)
class Line:
    """A number as carriers and services know it; the default is anybody's mobile.

    Attributes:
        sim_swapped_at: when its SIM last changed.
        tells_date: whether its carrier says when, or only that it did of late.
        is_known: whether anybody has data of it.
        pumping_risk: of its carrier, in Twilio's words.
        is_blocked: whether Twilio's Fraud Guard holds it back.
    """

    kind: Kind = "mobile"
    sim_swapped_at: datetime | None = None
    tells_date: bool = True
    is_known: bool = True
    pumping_risk: Risk = "low"
    is_blocked: bool = False


MOBILE = Line()

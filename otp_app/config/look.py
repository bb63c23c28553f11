"""Settings of the number lookup, which assesses the risk of a number before its first code."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from otp_app.config.providers import ProviderSettings
from otp_app.config.values import Origin
from otp_app.verification.looking import Concern


class LookName(StrEnum):
    """The service of the number lookup."""

    OFF = "off"
    TWILIO = "twilio"
    VONAGE = "vonage"


class Reaction(StrEnum):
    """The reaction to a risk that the number lookup finds."""

    BLOCK = "block"  # send no code
    WARN = "warn"  # log the risk and send the code
    IGNORE = "ignore"  # leave the risk out of the lookup


_NEEDS = {
    LookName.TWILIO: ("twilio_account_sid", "twilio_auth_token"),
    LookName.VONAGE: ("vonage_application_id", "vonage_private_key"),  # takes no API key
}


class LookSettings(ProviderSettings):
    """The service of the number lookup and the reaction to each risk.

    The lookup uses the same credentials as the provider of that name.
    """

    look: LookName = Field(LookName.OFF, examples=["twilio"])
    # Seconds. The person waits for the lookup and then for the send, so the lookup may take no
    # longer than a send.
    look_timeout: float = Field(2.0, ge=0.1, le=5.0, examples=["2.0"])
    look_sim_swap: Reaction = Field(Reaction.BLOCK, examples=["warn"])
    # Hours. The bounds are those of Vonage's `period`. Where the carrier reports no date, Twilio
    # uses the period in your agreement with Twilio instead.
    # https://developer.vonage.com/en/api/identity-insights
    look_sim_swap_hours: int = Field(72, ge=1, le=2400, examples=["72"])
    look_voip: Reaction = Field(Reaction.WARN, examples=["block"])
    look_pumping: Reaction = Field(Reaction.WARN, examples=["block"])
    twilio_lookups_base_url: Origin = Field(
        "https://lookups.twilio.com", examples=["https://lookups.twilio.com"]
    )
    vonage_insights_base_url: Origin = Field(
        "https://api-eu.vonage.com", examples=["https://api-us.vonage.com"]
    )

    def concerns(self, *reactions: Reaction) -> frozenset[Concern]:
        """Return the risks whose reaction is one of *reactions* and that the service can find."""
        chosen = {
            Concern.SIM_SWAP: self.look_sim_swap,
            Concern.VOIP: self.look_voip,
            Concern.PUMPING: self.look_pumping,
        }
        if self.look is LookName.VONAGE:
            del chosen[Concern.PUMPING]  # Vonage has no insight about pumping
        return frozenset(concern for concern, reaction in chosen.items() if reaction in reactions)

    @model_validator(mode="after")
    def _check_look(self) -> Self:
        if self.look is LookName.OFF:
            return self
        if missing := [name.upper() for name in _NEEDS[self.look] if not getattr(self, name)]:
            raise ValueError(
                f"{', '.join(missing)}: missing, and needed by LOOK={self.look.value}. "
                "Or set LOOK=off to send without a look at the number"
            )
        if self.look is LookName.VONAGE and "look_pumping" in self.model_fields_set:
            raise ValueError("LOOK_PUMPING: Vonage cannot tell it. Unset it, or set LOOK=twilio")
        if not self.concerns(Reaction.BLOCK, Reaction.WARN):
            raise ValueError(
                f"LOOK: {self.look.value} is set and all it could find is ignored. Set "
                "LOOK_SIM_SWAP or LOOK_VOIP to block or warn, or LOOK=off"
            )
        return self

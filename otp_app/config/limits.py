"""Where codes may go, and how often."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from otp_app.config.site import AppEnv, SiteSettings
from otp_app.verification.limits import POLICY, Limit, adjusted

DEVELOPMENT_SLACK = 20  # times: one developer is all the traffic there is, and tries all day


class LimitSettings(SiteSettings):
    """The countries, and other rates than those of the policy."""

    default_country: str = Field("US", pattern="^[A-Z]{2}$", examples=["GB"])
    allowed_countries: str = Field(
        "", pattern=r"^[A-Z]{2}(\s*,\s*[A-Z]{2})*$|^$", examples=["US,GB"]
    )
    limit_rates: Annotated[dict[str, tuple[int, timedelta]], NoDecode] = Field(default_factory=dict)
    """Other rates for rows of `POLICY`, each set by its own name; nobody can set `LIMIT_RATES`."""

    refusal_memory_seconds: int = Field(60, ge=0, le=3600, examples=["60"])

    @property
    def countries(self) -> frozenset[str]:
        """Where codes may go; everywhere, if there is none."""
        return frozenset(re.findall("[A-Z]{2}", self.allowed_countries))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The policy, with the rates that the environment sets; loose on who develops alone."""
        slack = 1 if self.app_env is AppEnv.PRODUCTION else DEVELOPMENT_SLACK
        policy = [replace(limit, amount=slack * limit.amount) for limit in POLICY]
        return tuple(adjusted(policy, self.limit_rates))

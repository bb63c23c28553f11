"""Settings of the countries that codes may be sent to, and of the rate limits."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from otp_app.config.site import AppEnv, SiteSettings
from otp_app.verification.limits import POLICY, Limit, adjusted

DEVELOPMENT_SLACK = 20  # factor of all limits: a single developer sends many requests all day


class LimitSettings(SiteSettings):
    """The served countries, and the rates that replace those of the policy."""

    default_country: str = Field("US", pattern="^[A-Z]{2}$", examples=["GB"])
    allowed_countries: str = Field(
        "", pattern=r"^[A-Z]{2}(\s*,\s*[A-Z]{2})*$|^$", examples=["US,GB"]
    )
    limit_rates: Annotated[dict[str, tuple[int, timedelta]], NoDecode] = Field(default_factory=dict)
    """Amount and window of limits of `POLICY`, by name.

    Each limit is set by an environment variable with the name of the limit. A variable
    `LIMIT_RATES` has no effect."""

    refusal_memory_seconds: int = Field(60, ge=0, le=3600, examples=["60"])

    @property
    def countries(self) -> frozenset[str]:
        """The countries that codes may be sent to (ISO 3166-1). Empty means all countries."""
        return frozenset(re.findall("[A-Z]{2}", self.allowed_countries))

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The policy with the rates of the environment.

        In development the policy's own amounts are multiplied by `DEVELOPMENT_SLACK`.
        """
        slack = 1 if self.app_env is AppEnv.PRODUCTION else DEVELOPMENT_SLACK
        policy = [replace(limit, amount=slack * limit.amount) for limit in POLICY]
        return tuple(adjusted(policy, self.limit_rates))

"""Settings of the site: addresses, sessions, API access, served countries and rates."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode

from otp_app.config.values import MIN_SECRET, ApiKeys, Origin, Origins, split
from otp_app.verification.limits import POLICY, Limit, adjusted
from otp_app.verification.sessions import SessionPolicy

LOCAL = ("localhost", "127.0.0.1", "0.0.0.0")  # noqa: S104 - Reflex prints the last at its start


class AppEnv(StrEnum):
    """The environment of the app. Production requires stricter settings."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class SiteSettings(BaseSettings):
    """The public address, the limits on connections, the sessions and the access to the API."""

    app_env: AppEnv = Field(AppEnv.DEVELOPMENT, examples=["production"])
    port: int = Field(3000, ge=1, le=65535, examples=["3000"])
    public_url: Origin | None = Field(None, examples=["https://verify.example.com"])
    hsts_subdomains: bool = Field(default=False, examples=["true"])
    trusted_proxy_hops: int = Field(0, ge=0, le=10, examples=["1"])
    sockets_per_address: int = Field(20, ge=1, le=1_000_000, examples=["20"])
    http_posts_per_second: int = Field(10, ge=0, le=1_000_000, examples=["10"])
    http_reads_per_second: int = Field(30, ge=0, le=1_000_000, examples=["30"])
    sockets_in_all: int = Field(2000, ge=1, le=1_000_000, examples=["2000"])
    # The capacity of one core (docs/performance.md), 60 flows a second, times 0.35 s in flight,
    # times 1.5. Four times as many checks must pass while messages are refused.
    max_sends_in_flight: int = Field(32, ge=1, le=512, examples=["32"])
    max_checks_in_flight: int = Field(128, ge=1, le=512, examples=["128"])
    secret_key: SecretStr | None = Field(
        None, min_length=MIN_SECRET, examples=["(48 random bytes)"]
    )
    session_idle_minutes: int = Field(60, ge=1, le=60 * 24, examples=["60"])
    session_hours: int = Field(24, ge=1, le=24 * 30, examples=["24"])

    allowed_origins: Origins = Field("", examples=["https://shop.example.com,https://example.com"])
    api_keys: ApiKeys = Field("", examples=["(from: python -m otp_app key NAME)"])
    api_public: bool | None = Field(None, examples=["false"])

    @model_validator(mode="after")
    def _check_in_flight(self) -> Self:
        if self.max_checks_in_flight < self.max_sends_in_flight:
            raise ValueError(
                "MAX_CHECKS_IN_FLIGHT: must not be below MAX_SENDS_IN_FLIGHT, so that people can "
                "still enter their codes when messages are refused"
            )
        return self

    @property
    def origin(self) -> str:
        """The origin under which people open the app, such as `https://verify.example.com`."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def domain(self) -> str:
        """The host in the text message. Browsers fill in codes only on the pages of this host."""
        return urlsplit(self.origin).hostname or ""

    @property
    def is_https(self) -> bool:
        """Whether people reach the app by https. If so, cookies are marked `Secure`."""
        return self.origin.startswith("https://")

    @property
    def is_behind_proxy(self) -> bool:
        """True if the settings show that people reach the app through something in front of it."""
        port = urlsplit(self.origin).port or 80
        return self.trusted_proxy_hops > 0 or self.is_https or port != self.port

    @property
    def own_origins(self) -> tuple[str, ...]:
        """The origins whose pages may open the app's websocket.

        Browsers send the origin of the page in the handshake.
        """
        if self.public_url:
            return (self.public_url,)
        return tuple(f"http://{host}:{self.port}" for host in LOCAL)

    @property
    def session_policy(self) -> SessionPolicy:
        """The lifetimes of the session that follows a successful verification."""
        idle = timedelta(minutes=self.session_idle_minutes)
        return SessionPolicy(idle, timedelta(hours=self.session_hours))

    @property
    def api_origins(self) -> tuple[str, ...]:
        """The origins whose pages may call the API: the app's own and ALLOWED_ORIGINS."""
        return (*self.own_origins, *split(self.allowed_origins))

    @property
    def api_key_hashes(self) -> dict[str, str]:
        """The SHA-256 of each API key, in hexadecimal, by the name of the key."""
        return dict(key.split(":") for key in split(self.api_keys))

    @property
    def is_api_public(self) -> bool:
        """Whether callers without an API key, a cookie or an allowed origin may use the API."""
        if self.api_public is None:
            return self.app_env is not AppEnv.PRODUCTION
        return self.api_public


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

"""Checks of settings that are acceptable in development and not in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otp_app.config.providers import ProviderName
from otp_app.config.values import MIN_SECRET, split
from otp_app.verification.limits import POLICY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otp_app.config import Settings
    from otp_app.verification.limits import Limit

LOOSEST = 10  # the highest factor between the rate of a limit and its default

_SERVICES = (
    "vonage_base_url",
    "twilio_base_url",
    "twilio_lookups_base_url",
    "vonage_insights_base_url",
    "events_url",
)


def problems(settings: Settings) -> list[str]:
    """Return one line for each setting that is missing, insecure or too loose for production."""
    return [*_missing(settings), *_not_https(settings), *_too_loose(settings)]


def _missing(settings: Settings) -> Iterator[str]:
    if settings.provider is ProviderName.CONSOLE:
        yield (
            "OTP_PROVIDER: the console provider shows codes to nobody but the operator, so it "
            "cannot run in production. Set the credentials of vonage or twilio"
        )
    if settings.secret_key is None:
        yield (
            f"SECRET_KEY: missing. Set {MIN_SECRET} or more random characters, for example "
            "from: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    if not settings.allowed_countries:
        yield (
            "ALLOWED_COUNTRIES: missing. Name the countries that codes may go to, for example "
            "US,GB: messages to others are what attackers make you pay for"
        )


def _not_https(settings: Settings) -> Iterator[str]:
    if not settings.is_https:
        yield "PUBLIC_URL: must be https in production, as https://verify.example.com"
    if any(not origin.startswith("https://") for origin in split(settings.allowed_origins)):
        yield "ALLOWED_ORIGINS: must be https in production"
    for name in _SERVICES:
        if (url := getattr(settings, name)) and not url.startswith("https://"):
            yield f"{name.upper()}: must be https in production"


def _too_loose(settings: Settings) -> Iterator[str]:
    for limit, default in zip(settings.limits, POLICY, strict=True):
        if _rate(limit) > LOOSEST * _rate(default):
            yield (
                f"{limit.name}: is more than {LOOSEST} times as loose as its default, "
                f"{default.amount} in {default.window}"
            )


def _rate(limit: Limit) -> float:
    """Return the rate of *limit* in uses per second."""
    return limit.amount / limit.window.total_seconds()

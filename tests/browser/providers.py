"""The settings of the app for each provider, with credentials that only the emulator takes."""

from __future__ import annotations

import pytest

from otp_app.verification.limits import POLICY
from tests.emulator import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_SERVICE_SID,
    VONAGE_APPLICATION_ID,
    vonage_private_key,
)

SECRET_KEY = "the-secret-key-of-the-browser-tests-0123456789"

PROVIDERS = ("console", "twilio", "vonage")

console_only = pytest.mark.parametrize("provider", ["console"], indirect=True)
"""For what is the same whoever sends."""

services_only = pytest.mark.parametrize("provider", ["twilio", "vonage"], indirect=True)
"""For what takes a network."""


def credentials() -> list[str]:
    """What no browser and no log may see."""
    key = vonage_private_key().splitlines()[1]  # the same in whatever way its lines are joined
    return [SECRET_KEY, TWILIO_AUTH_TOKEN, TWILIO_SERVICE_SID, VONAGE_APPLICATION_ID, key]


def settings_of(provider: str, services: str) -> dict[str, str]:
    """The environment that makes *provider* the one; *services* is where the emulator is."""
    own = {
        "console": {},
        "twilio": {
            "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": TWILIO_AUTH_TOKEN,
            "TWILIO_VERIFY_SERVICE_SID": TWILIO_SERVICE_SID,
            "TWILIO_BASE_URL": services,
        },
        "vonage": {
            "VONAGE_APPLICATION_ID": VONAGE_APPLICATION_ID,
            "VONAGE_PRIVATE_KEY": vonage_private_key(),
            "VONAGE_BASE_URL": services,
        },
    }
    limits = {limit.name: "100000/second" for limit in POLICY}  # everybody here is one address
    limits["SOCKETS_PER_ADDRESS"] = "1000"
    return {"OTP_PROVIDER": provider, "SECRET_KEY": SECRET_KEY, **limits, **own[provider]}

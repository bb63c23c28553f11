"""The settings of the app for each provider, with credentials that only the emulator takes."""

from __future__ import annotations

import pytest

from otp_app.verification.limits import POLICY
from tests.emulator import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_SERVICE_SID,
    VONAGE_APPLICATION_ID,
    VONAGE_SIGNATURE_SECRET,
    vonage_private_key,
)

SECRET_KEY = "the-secret-key-of-the-browser-tests-0123456789"

SENDS_IN_FLIGHT = 4  # of the servers of the browser tests: a test can fill the overload gate

PROVIDERS = ("console", "twilio", "vonage")

console_only = pytest.mark.parametrize("provider", ["console"], indirect=True)
"""Mark for tests whose result is the same with every provider."""

twilio_only = pytest.mark.parametrize("provider", ["twilio"], indirect=True)
"""Mark for tests of reports that only Twilio sends."""

services_only = pytest.mark.parametrize("provider", ["twilio", "vonage"], indirect=True)
"""Mark for tests that need a provider with a network service."""

every_provider = pytest.mark.every_provider
"""Mark for tests that `make test` runs with each provider, instead of only with the first."""


def credentials() -> list[str]:
    """Return the credentials that must appear in no browser and in no log."""
    key = vonage_private_key().splitlines()[1]  # the same in whatever way its lines are joined
    return [
        SECRET_KEY,
        TWILIO_AUTH_TOKEN,
        TWILIO_SERVICE_SID,
        VONAGE_APPLICATION_ID,
        VONAGE_SIGNATURE_SECRET,
        key,
    ]


def settings_of(provider: str, services: str, public: str) -> dict[str, str]:
    """The environment that makes *provider* the one.

    *services* is where the emulator is, *public* where the emulator and the browser find the app.
    """
    own = {
        "console": {
            "CHANNELS": "sms,voice,whatsapp"
        },  # the services have what is offered by itself
        "twilio": {
            "TWILIO_ACCOUNT_SID": TWILIO_ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": TWILIO_AUTH_TOKEN,
            "TWILIO_VERIFY_SERVICE_SID": TWILIO_SERVICE_SID,
            "TWILIO_BASE_URL": services,
            "TWILIO_EVENT_STREAMS": "true",
        },
        "vonage": {
            "VONAGE_APPLICATION_ID": VONAGE_APPLICATION_ID,
            "VONAGE_PRIVATE_KEY": vonage_private_key(),
            "VONAGE_SIGNATURE_SECRET": VONAGE_SIGNATURE_SECRET,
            "VONAGE_BASE_URL": services,
        },
    }
    limits = {limit.name: "100000/second" for limit in POLICY}  # everybody here is one address
    limits |= {
        "SOCKETS_PER_ADDRESS": "1000",
        "HTTP_POSTS_PER_SECOND": "1000",
        "HTTP_READS_PER_SECOND": "1000",
        "REFUSAL_MEMORY_SECONDS": "0",  # the tests let time pass by changing rows
    }
    common = {"OTP_PROVIDER": provider, "SECRET_KEY": SECRET_KEY, "PUBLIC_URL": public}
    return common | limits | own[provider]

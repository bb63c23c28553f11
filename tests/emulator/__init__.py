"""A loopback emulator of Twilio's and Vonage's Verify v2 and number looks for tests.

with Emulator() as emulator:
client.verify.base_url = emulator.url
...
assert emulator.messages[-1].code == "…"
assert emulator.violations == []
"""

from tests.emulator.clock import Clock
from tests.emulator.contract import Problem, Request
from tests.emulator.credentials import (
    TWILIO_ACCOUNT_SID,
    TWILIO_API_KEY_SECRET,
    TWILIO_API_KEY_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_SERVICE_SID,
    VONAGE_API_KEY,
    VONAGE_API_SECRET,
    VONAGE_APPLICATION_ID,
    VONAGE_SIGNATURE_SECRET,
    vonage_private_key,
    vonage_public_key,
)
from tests.emulator.emulator import Emulator
from tests.emulator.errors import (
    TWILIO_ERRORS,
    VONAGE_ERRORS,
    TwilioError,
    VonageError,
    twilio_error,
    vonage_error,
)
from tests.emulator.faults import (
    Drop,
    DropBefore,
    Empty,
    Hang,
    Hold,
    Html,
    Huge,
    Redirect,
    Reset,
    Trickle,
    Truncated,
    WrongJson,
)
from tests.emulator.lines import Line
from tests.emulator.messages import Message
from tests.emulator.wire import Answer, Fault

__all__ = [
    "TWILIO_ACCOUNT_SID",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_API_KEY_SID",
    "TWILIO_AUTH_TOKEN",
    "TWILIO_ERRORS",
    "TWILIO_SERVICE_SID",
    "VONAGE_API_KEY",
    "VONAGE_API_SECRET",
    "VONAGE_APPLICATION_ID",
    "VONAGE_ERRORS",
    "VONAGE_SIGNATURE_SECRET",
    "Answer",
    "Clock",
    "Drop",
    "DropBefore",
    "Empty",
    "Emulator",
    "Fault",
    "Hang",
    "Hold",
    "Html",
    "Huge",
    "Line",
    "Message",
    "Problem",
    "Redirect",
    "Request",
    "Reset",
    "Trickle",
    "Truncated",
    "TwilioError",
    "VonageError",
    "WrongJson",
    "twilio_error",
    "vonage_error",
    "vonage_private_key",
    "vonage_public_key",
]

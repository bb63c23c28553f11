"""Twilio's resources as JSON, every field of the document always present.

https://www.twilio.com/docs/verify/api/verification, verification-check and service.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from tests.emulator.credentials import TWILIO_ACCOUNT_SID, TWILIO_SERVICE_SID

_API = f"https://verify.twilio.com/v2/Services/{TWILIO_SERVICE_SID}"


def sid(prefix: str) -> str:
    """A new SID: two letters for the kind of thing and 32 hex digits."""
    return prefix + uuid4().hex


@dataclass
class Verification:
    """One code for one number, sent once or more, until it expires or is settled."""

    to: str
    code: str
    created: datetime
    updated: datetime
    channel: str = ""
    status: str = "pending"
    checks: int = 0
    attempts: list[dict[str, str]] = field(default_factory=list)
    sid: str = field(default_factory=lambda: sid("VE"))

    def sent(self, channel: str, at: datetime) -> None:
        """Note one more sending of the code."""
        attempt = {"time": _iso(at), "channel": channel.upper(), "attempt_sid": sid("VL")}
        self.attempts.append(attempt)
        self.channel, self.updated = channel, at

    def resource(self) -> dict[str, object]:
        """The answer of start, fetch and update."""
        return self._common() | {
            "lookup": {},
            "send_code_attempts": self.attempts,
            "sna": None,
            "url": f"{_API}/Verifications/{self.sid}",
        }

    def check_resource(self) -> dict[str, object]:
        """The answer of a check."""
        return self._common() | {"sna_attempts_error_codes": []}

    def _common(self) -> dict[str, object]:
        return {
            "sid": self.sid,
            "service_sid": TWILIO_SERVICE_SID,
            "account_sid": TWILIO_ACCOUNT_SID,
            "to": self.to,
            "channel": self.channel,
            "status": self.status,
            "valid": self.status == "approved",
            "amount": None,
            "payee": None,
            "date_created": _iso(self.created),
            "date_updated": _iso(self.updated),
        }


def service_resource(
    friendly_name: str, code_length: int, whatsapp_sender: str | None, created: datetime
) -> dict[str, object]:
    """The Verify service, with the features nobody has bought."""
    switches = (
        "lookup",
        "psd2",
        "do_not_share_warning",
        "custom_code",
        "verify_event_subscription",
    )
    return {
        "sid": TWILIO_SERVICE_SID,
        "account_sid": TWILIO_ACCOUNT_SID,
        "friendly_name": friendly_name,
        "code_length": code_length,
        **{f"{name}_enabled": False for name in switches},
        "skip_sms_to_landlines": False,
        "dtmf_input_required": False,
        "tts_name": None,
        "push": {"include_date": False, "apn_credential_sid": None, "fcm_credential_sid": None},
        "totp": dict.fromkeys(("issuer", "time_step", "code_length", "skew")),
        "whatsapp": {
            "msg_service_sid": sid("MG") if whatsapp_sender else None,
            "from": whatsapp_sender,
        },
        "passkeys": {
            "relying_party": dict.fromkeys(("id", "name", "origins")),
            "authenticator_attachment": None,
            "discoverable_credentials": None,
            "user_verification": None,
        },
        "default_template_sid": None,
        "date_created": _iso(created),
        "date_updated": _iso(created),
        "url": _API,
        "links": {name: f"{_API}/{path}" for name, path in _LINKS.items()},
    }


_LINKS = {
    "verification_checks": "VerificationCheck",
    "verifications": "Verifications",
    "rate_limits": "RateLimits",
    "messaging_configurations": "MessagingConfigurations",
    "entities": "Entities",
    "webhooks": "Webhooks",
    "access_tokens": "AccessTokens",
}


def _iso(at: datetime) -> str:
    """Whole seconds: with a fraction the SDK leaves the date a string."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")

"""The services' webhooks about messages, with their signatures, for a test to post.

Vonage: https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks.
Twilio: https://www.twilio.com/docs/events/webhook-quickstart.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import jwt

from tests.emulator.credentials import (
    TWILIO_ACCOUNT_SID,
    TWILIO_AUTH_TOKEN,
    TWILIO_SERVICE_SID,
    VONAGE_API_KEY,
    VONAGE_APPLICATION_ID,
    VONAGE_SIGNATURE_SECRET,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Json = dict[str, Any]


@dataclass(frozen=True)
class Post:
    """One request. *url* has its query."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def send(self) -> int:
        """Post it over the network; the status of the answer."""
        request = Request(self.url, self.body, dict(self.headers), method="POST")
        try:
            with urlopen(request, timeout=10) as answer:
                status: int = answer.status
        except HTTPError as refusal:
            with refusal:
                return refusal.code
        return status


def vonage_event(
    request_id: str, status: str, at: datetime, *, channel: str = "sms", **more: object
) -> Json:
    """Return the event with the result of one step of a request's workflow."""
    return {
        "request_id": request_id,
        "triggered_at": _written(at),
        "type": "event",
        "channel": channel,
        "status": status,
        "finalized_at": _written(at),
    } | more


def vonage_summary(request_id: str, status: str, at: datetime) -> Json:
    """Return the summary with the result of a request that is over."""
    steps = [("sms", status), ("voice", "unused")]
    return {
        "request_id": request_id,
        "submitted_at": _written(at),
        "status": status,
        "type": "summary",
        "channel_timeout": 300,
        "workflow": [
            {"channel": channel, "initiated_at": _written(at), "status": became}
            for channel, became in steps
        ],
    }


def vonage_post(
    url: str,
    event: object,
    now: datetime,
    *,
    secret: str = VONAGE_SIGNATURE_SECRET,
    algorithm: str = "HS256",
    **claims: object,
) -> Post:
    """*event* in a post; *claims* in place of the right ones, None to leave one out."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    right = {
        "iat": int(now.timestamp()),
        "jti": str(uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": VONAGE_API_KEY,
        "application_id": VONAGE_APPLICATION_ID,
    }
    said = {name: value for name, value in (right | claims).items() if value is not None}
    token = jwt.encode(said, secret if algorithm != "none" else "", algorithm)
    return Post(url, {"Authorization": f"Bearer {token}", **_JSON}, body)


def twilio_event(
    verification_sid: str,
    status: str,
    at: datetime,
    *,
    sent_at: datetime | None = None,
    channel: str = "SMS",
    error_code: str = "",
) -> Json:
    """A message status event of Verify, as a CloudEvent."""
    source = f"/v1/Accounts/{TWILIO_ACCOUNT_SID}/Services/{TWILIO_SERVICE_SID}"
    return {
        "specversion": "1.0",
        "type": f"com.twilio.accountsecurity.verify.message.{status}",
        "source": f"{source}/Verifications/{verification_sid}",
        "id": hashlib.sha256(uuid4().bytes).hexdigest(),
        "dataschema": "https://events-schemas.twilio.com/AccountSecurity.MessageStatusEvent/2",
        "datacontenttype": "application/json",
        "time": _written(at),
        "data": {
            "created_at": _written(sent_at or at),
            "account_sid": TWILIO_ACCOUNT_SID,
            "service_sid": TWILIO_SERVICE_SID,
            "verification_sid": verification_sid,
            "attempt_sid": "VL" + uuid4().hex,
            "error_code": error_code,
            "channel": channel,
            "message_status": status.upper(),
            "has_fallback": False,
            "is_fallback": False,
            "mnc": "460",
            "mcc": "05",
            "to": "+14155552671",
            "number_segments": 1,
            "tags": {},
        },
    }


def twilio_post(
    url: str, events: Sequence[object] | bytes, *, token: str = TWILIO_AUTH_TOKEN
) -> Post:
    """Several events in a post, signed for *url* with the hash of the body in it."""
    body = events if isinstance(events, bytes) else json.dumps(events).encode()
    full = f"{url}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    return Post(full, {"X-Twilio-Signature": twilio_signature(full, token), **_JSON}, body)


def twilio_signature(url: str, token: str = TWILIO_AUTH_TOKEN) -> str:
    """HMAC-SHA1 of the address, in Base64."""
    return base64.b64encode(hmac.digest(token.encode(), url.encode(), "sha1")).decode()


_JSON = {"Content-Type": "application/json"}


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"

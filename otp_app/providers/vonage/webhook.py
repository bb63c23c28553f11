"""Vonage's signed webhooks, of an application with the capability Verify.

The events: https://developer.vonage.com/en/verify/concepts/webhooks. The signature:
https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks.
Vonage posts each event until it gets a response, in any order.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt

from otp_app.config.values import revealed_text
from otp_app.providers.vendor_input import (
    InvalidSignature,
    SignedRequest,
    full_match,
    parse_json,
    parse_time,
    text_field,
)
from otp_app.verification.deliveries import DeliveryReport, DeliveryStatus
from otp_app.verification.models import Channel, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otp_app.config import Settings
    from otp_app.providers.vendor_input import Clock, IncomingWebhook

MAX_AGE = timedelta(minutes=15)
"""The greatest age of a token. Vonage's SDKs give their own tokens the same lifetime. A code
expires after ten minutes."""

_REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_CHANNELS = {"sms": Channel.SMS, "voice": Channel.VOICE, "whatsapp": Channel.WHATSAPP}
_STATUSES = {
    "completed": DeliveryStatus.DELIVERED,  # the person entered the code, so it had arrived
    "failed": DeliveryStatus.FAILED,
    "rejected": DeliveryStatus.FAILED,
    "blocked": DeliveryStatus.FAILED,  # by velocity rules or fraud protection, after a 2xx to us
}


@dataclass(frozen=True)
class VonageWebhook:
    """Accepts requests signed with *secret* for *application_id*, *api_key* and their own body.

    Attributes:
        secret: the signature secret of the Vonage account.
        application_id: the id of the application, in lower case.
        api_key: the account's API key, or None.
        now: the clock.
    """

    secret: str
    application_id: str
    api_key: str | None
    now: Callable[[], datetime]

    def deliveries(self, post: SignedRequest) -> list[DeliveryReport]:
        """Return the delivery report of an event. A summary has none: it only repeats the events.

        Raises:
            Forged: the signature is missing, wrong, too old or for another account or body.
        """
        self._require_signed(post)
        event = parse_json(post.body)
        status = _STATUSES.get(text_field(event, "status"))
        channel = _CHANNELS.get(text_field(event, "channel"))
        reference = full_match(_REQUEST_ID, text_field(event, "request_id"))
        if text_field(event, "type") != "event" or not (status and channel and reference):
            return []
        return [
            DeliveryReport(
                event=_digest(post.body),
                provider="vonage",
                reference=Reference(reference),
                channel=channel,
                status=status,
                at=parse_time(text_field(event, "finalized_at")) or self.now(),
                reason="" if status is DeliveryStatus.DELIVERED else text_field(event, "status"),
            )
        ]

    def _require_signed(self, post: SignedRequest) -> None:
        claims = self._claims(post.headers.get("authorization", ""))
        told = claims["payload_hash"]
        if not isinstance(told, str) or not _same(told.lower(), _digest(post.body)):
            raise InvalidSignature
        ours = {"application_id": self.application_id, "api_key": self.api_key}
        # A missing claim is accepted, because the account's own secret has signed the token.
        if any(value and claims.get(name, value) != value for name, value in ours.items()):
            raise InvalidSignature
        if not self._is_fresh(claims["iat"]):
            raise InvalidSignature

    def _claims(self, authorization: str) -> Mapping[str, Any]:
        scheme, _, token = authorization.partition(" ")
        # `_is_fresh` checks `iat`, because PyJWT has no limit for the age of a token.
        options: Any = {"require": ["iat", "payload_hash"], "verify_iat": False}
        try:
            if scheme.lower() != "bearer":
                raise InvalidSignature
            return jwt.decode(token, self.secret, algorithms=["HS256"], options=options)
        except jwt.PyJWTError:
            raise InvalidSignature from None

    def _is_fresh(self, issued_at: object) -> bool:
        """Whether the token is at most `MAX_AGE` old.

        A token may be replayed within that time. The report in it is stored only once.
        """
        now = int(self.now().timestamp())
        if not isinstance(issued_at, int | float):
            return False
        return abs(now - issued_at) <= MAX_AGE.total_seconds()


def _digest(body: bytes) -> str:
    """Return a name for the body: a report that is posted again has a new token but this body."""
    return hashlib.sha256(body).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def from_settings(settings: Settings, now: Clock) -> IncomingWebhook:
    """Return the webhook of *settings* in which `reporters` has Vonage."""
    return VonageWebhook(
        secret=revealed_text(settings.vonage_signature_secret),
        application_id=(settings.vonage_application_id or "").lower(),  # Vonage's own spelling
        api_key=settings.vonage_api_key,
        now=now,
    )

"""Twilio's Event Streams: message status events of Verify, by the sink "webhook".

The events: https://www.twilio.com/docs/verify/message-status. The signature:
https://www.twilio.com/docs/events/webhook-quickstart. A request may have several events. Each event
comes at least once, in any order:
https://www.twilio.com/docs/events/event-delivery-and-duplication.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from twilio.request_validator import RequestValidator

from otp_app import routes
from otp_app.config.values import revealed_text
from otp_app.providers.vendor_input import (
    EVENT_ID,
    REASON,
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
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.config import Settings
    from otp_app.providers.vendor_input import Clock, IncomingWebhook

_TYPE = "com.twilio.accountsecurity.verify.message."
_VERIFICATION_SID = re.compile("VE[0-9a-fA-F]{32}")
_STATUSES = {
    "sent": DeliveryStatus.ACCEPTED,
    "delivered": DeliveryStatus.DELIVERED,
    "read": DeliveryStatus.DELIVERED,
    "undelivered": DeliveryStatus.UNDELIVERED,
    "failed": DeliveryStatus.FAILED,
}
_CHANNELS = {
    "sms": Channel.SMS,
    "rbm": Channel.SMS,  # RCS: Twilio may replace a text message by it unasked
    "rcs": Channel.SMS,
    "call": Channel.VOICE,
    "voice": Channel.VOICE,
    "whatsapp": Channel.WHATSAPP,
}


@dataclass(frozen=True)
class TwilioWebhook:
    """Accepts requests that the account of *auth_token* signed for *url*, the public URL."""

    auth_token: str
    url: str
    now: Callable[[], datetime]

    def deliveries(self, post: SignedRequest) -> list[DeliveryReport]:
        """Return the delivery reports among the events of *post*.

        Raises:
            Forged: the signature is missing or wrong.
        """
        self._require_signed(post)
        events = parse_json(post.body)
        found = map(self._delivery, events if isinstance(events, list) else [])
        return [delivery for delivery in found if delivery]

    def _require_signed(self, post: SignedRequest) -> None:
        """Require a valid signature, and the body's hash in the URL: only the hash signs the body.

        Raises:
            Forged: the signature or the hash is missing or wrong.
        """
        if "bodySHA256" not in parse_qs(post.query):
            raise InvalidSignature
        try:
            body = post.body.decode()
        except UnicodeDecodeError:
            raise InvalidSignature from None
        signature = post.headers.get("x-twilio-signature", "")
        validator = RequestValidator(self.auth_token)  # type: ignore[no-untyped-call]
        url = f"{self.url}?{post.query}"
        if not validator.validate(url, body, signature):  # type: ignore[no-untyped-call]
            raise InvalidSignature

    def _delivery(self, event: object) -> DeliveryReport | None:
        data = event.get("data") if isinstance(event, dict) else None
        type_ = text_field(event, "type")
        status = _STATUSES.get(type_.removeprefix(_TYPE)) if type_.startswith(_TYPE) else None
        channel = _CHANNELS.get(text_field(data, "channel").lower())
        reference = full_match(_VERIFICATION_SID, text_field(data, "verification_sid"))
        name = full_match(EVENT_ID, text_field(event, "id"))
        if not (status and channel and reference and name):
            return None
        sent_at = parse_time(
            text_field(data, "created_at")
        )  # time of the message, not of the event
        return DeliveryReport(
            event=name,
            provider="twilio",
            reference=Reference(reference),
            channel=channel,
            status=status,
            at=parse_time(text_field(event, "time")) or sent_at or self.now(),
            sent_at=sent_at,
            reason=full_match(REASON, text_field(data, "error_code")),
        )


def from_settings(settings: Settings, now: Clock) -> IncomingWebhook:
    """Return the webhook of *settings* in which `reporters` has Twilio."""
    url = f"{settings.origin}{routes.TWILIO_WEBHOOK}"
    return TwilioWebhook(revealed_text(settings.twilio_auth_token), url, now)

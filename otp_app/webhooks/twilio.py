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

from otp_app.verification.deliveries import Delivery, DeliveryStatus
from otp_app.verification.models import Channel, Reference
from otp_app.webhooks.posts import EVENT_ID, REASON, Forged, match, moment, parse, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.webhooks.posts import Post

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

    def deliveries(self, post: Post) -> list[Delivery]:
        """Return the delivery reports among the events of *post*.

        Raises:
            Forged: the signature is missing or wrong.
        """
        self._require_signed(post)
        events = parse(post.body)
        found = map(self._delivery, events if isinstance(events, list) else [])
        return [delivery for delivery in found if delivery]

    def _require_signed(self, post: Post) -> None:
        """Require a valid signature, and the body's hash in the URL: only the hash signs the body.

        Raises:
            Forged: the signature or the hash is missing or wrong.
        """
        if "bodySHA256" not in parse_qs(post.query):
            raise Forged
        try:
            body = post.body.decode()
        except UnicodeDecodeError:
            raise Forged from None
        signature = post.headers.get("x-twilio-signature", "")
        validator = RequestValidator(self.auth_token)  # type: ignore[no-untyped-call]
        url = f"{self.url}?{post.query}"
        if not validator.validate(url, body, signature):  # type: ignore[no-untyped-call]
            raise Forged

    def _delivery(self, event: object) -> Delivery | None:
        data = event.get("data") if isinstance(event, dict) else None
        type_ = text(event, "type")
        status = _STATUSES.get(type_.removeprefix(_TYPE)) if type_.startswith(_TYPE) else None
        channel = _CHANNELS.get(text(data, "channel").lower())
        reference = match(_VERIFICATION_SID, text(data, "verification_sid"))
        name = match(EVENT_ID, text(event, "id"))
        if not (status and channel and reference and name):
            return None
        sent_at = moment(text(data, "created_at"))  # time of the message, not of the event
        return Delivery(
            event=name,
            provider="twilio",
            reference=Reference(reference),
            channel=channel,
            status=status,
            at=moment(text(event, "time")) or sent_at or self.now(),
            sent_at=sent_at,
            reason=match(REASON, text(data, "error_code")),
        )

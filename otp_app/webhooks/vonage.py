"""Vonage's signed webhooks, of an application with the capability Verify.

https://developer.vonage.com/en/verify/concepts/webhooks and, for the signature,
https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks.
They are posted again until they are answered, in any order.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt

from otp_app.verification.deliveries import Delivery, DeliveryStatus
from otp_app.verification.models import Channel, Reference
from otp_app.webhooks.posts import Forged, match, moment, parse, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from otp_app.webhooks.posts import Post

MAX_AGE = timedelta(minutes=15)
"""Of a token, as Vonage's SDKs have it for theirs; a code is over after ten."""

_REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_CHANNELS = {"sms": Channel.SMS, "voice": Channel.VOICE, "whatsapp": Channel.WHATSAPP}
_STATUSES = {
    "completed": DeliveryStatus.DELIVERED,  # the right code came back, so it had arrived
    "failed": DeliveryStatus.FAILED,
    "rejected": DeliveryStatus.FAILED,
    "blocked": DeliveryStatus.FAILED,  # by velocity rules or fraud protection, after a yes to us
}


@dataclass(frozen=True)
class VonageWebhook:
    """Believes what is signed with *secret*, for *application_id* and no other account or body."""

    secret: str
    application_id: str
    api_key: str | None
    now: Callable[[], datetime]

    def deliveries(self, post: Post) -> list[Delivery]:
        """Of an event, what became of its channel's message. A summary repeats the events."""
        self._require_signed(post)
        event = parse(post.body)
        status = _STATUSES.get(text(event, "status"))
        channel = _CHANNELS.get(text(event, "channel"))
        reference = match(_REQUEST_ID, text(event, "request_id"))
        if text(event, "type") != "event" or not (status and channel and reference):
            return []
        return [
            Delivery(
                event=_digest(post.body),
                provider="vonage",
                reference=Reference(reference),
                channel=channel,
                status=status,
                at=moment(text(event, "finalized_at")) or self.now(),
                reason="" if status is DeliveryStatus.DELIVERED else text(event, "status"),
            )
        ]

    def _require_signed(self, post: Post) -> None:
        claims = self._claims(post.headers.get("authorization", ""))
        told = claims["payload_hash"]
        if not isinstance(told, str) or not _same(told.lower(), _digest(post.body)):
            raise Forged
        ours = {"application_id": self.application_id, "api_key": self.api_key}
        # A claim that is not there contradicts nothing: the account's own secret has signed.
        if any(value and claims.get(name, value) != value for name, value in ours.items()):
            raise Forged
        if not self._is_fresh(claims["iat"]):
            raise Forged

    def _claims(self, authorization: str) -> Mapping[str, Any]:
        scheme, _, token = authorization.partition(" ")
        # By our own clock and not PyJWT's: how old it may be, it would not ask.
        options: Any = {"require": ["iat", "payload_hash"], "verify_iat": False}
        try:
            if scheme.lower() != "bearer":
                raise Forged
            return jwt.decode(token, self.secret, algorithms=["HS256"], options=options)
        except jwt.PyJWTError:
            raise Forged from None

    def _is_fresh(self, issued_at: object) -> bool:
        """A token may be posted again within its time: the report in it is kept only once."""
        now = int(self.now().timestamp())
        if not isinstance(issued_at, int | float):
            return False
        return abs(now - issued_at) <= MAX_AGE.total_seconds()


def _digest(body: bytes) -> str:
    """Names the body. A report that is posted again has a new token and the same body."""
    return hashlib.sha256(body).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())

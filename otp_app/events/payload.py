"""The JSON body of an event, in the structure that Standard Webhooks recommends.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#payload-structure
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from otp_app.verification.events import Event


def payload(event: Event) -> str:
    """Return `type`, `timestamp` and `data` as one line of ASCII. docs/events.md has the fields."""
    at = _written(event.at)
    data = {
        "id": event.id,
        "phone": event.phone.e164,
        "channel": event.channel,
        "provider": event.provider,
    }
    data |= {"reason": event.reason} if event.reason else {"approved_at": at}
    body = {"type": event.type, "timestamp": at, "data": data}
    return json.dumps(body, separators=(",", ":"))


def _written(at: datetime) -> str:
    """Return *at* by RFC 3339, in UTC with microseconds."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")

"""Outgoing webhooks: the end of each verification as one signed POST, by Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from aiohttp import (
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from standardwebhooks import Webhook

from otp_app.verification.outbox import DEADLINE, WebhookOutcome, WebhookResult

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from aiohttp import ClientResponse

    from otp_app.verification.outbox import WebhookEvent


def payload(event: WebhookEvent) -> str:
    """Return `type`, `timestamp` and `data` as one line of ASCII. docs/events.md has the fields."""
    at = _rfc3339(event.at)
    data = {
        "id": event.id,
        "phone": event.phone.e164,
        "channel": event.channel,
        "provider": event.provider,
    }
    data |= {"reason": event.reason} if event.reason else {"approved_at": at}
    body = {"type": event.type, "timestamp": at, "data": data}
    return json.dumps(body, separators=(",", ":"))


def _rfc3339(at: datetime) -> str:
    """Return *at* by RFC 3339, in UTC with microseconds."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


_BUSY = {429, 502, 503, 504}  # the specification recommends to slow down after these
_GONE = 410
_LONGEST_WAIT = timedelta(hours=24)  # the longest interval of the retry schedule


class HttpWebhookEndpoint:
    """Posts events to *url*. It is bound to the event loop that it is made on.

    No redirect is followed, and no proxy of the environment is used. Only the status and
    `Retry-After` of a response are used. The body is not read.

    Args:
        url: the endpoint of the team's backend.
        secrets: signing secrets, each `whsec_` and base64. Every secret signs every request, so a
            backend needs to know only one of them.
        now: the clock.
        seconds: the timeout of an attempt.
    """

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        now: Callable[[], datetime],
        seconds: float = DEADLINE.total_seconds(),
    ) -> None:
        self._url = url
        self._signers = [Webhook(secret) for secret in secrets]
        self._now = now
        self._session = ClientSession(
            connector=TCPConnector(force_close=True),  # an idle connection may be closed unnoticed
            timeout=ClientTimeout(total=seconds),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def post(self, event: WebhookEvent) -> WebhookResult:
        """Post *event* once, and return the result. A response after the timeout does not count."""
        body = payload(event)
        try:
            async with self._session.post(
                self._url,
                data=body.encode(),
                headers=self._headers(event.id, body),
                allow_redirects=False,
            ) as answer:
                return _result_of(answer)
        except ClientConnectorError:  # includes failures of DNS and TLS
            return WebhookResult(WebhookOutcome.BUSY, "not reached")
        except TimeoutError:
            return WebhookResult(WebhookOutcome.BUSY, "no response in time")
        except ClientError:
            return WebhookResult(WebhookOutcome.BUSY, "the response is not HTTP")

    def _headers(self, id_: str, body: str) -> dict[str, str]:
        now = self._now()
        return {
            "Content-Type": "application/json",
            "User-Agent": "otp_app",
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(
                signer.sign(msg_id=id_, timestamp=now, data=body) for signer in self._signers
            ),
        }


def _result_of(answer: ClientResponse) -> WebhookResult:
    status = answer.status
    if 200 <= status < 300:
        return WebhookResult(WebhookOutcome.ACCEPTED)
    if status == _GONE:
        return WebhookResult(WebhookOutcome.GONE, "HTTP 410")
    verdict = WebhookOutcome.BUSY if status in _BUSY else WebhookOutcome.FAILED
    return WebhookResult(verdict, f"HTTP {status}", _wait(answer.headers.get("Retry-After", "")))


def _wait(retry_after: str) -> timedelta:
    """Return the time of a `Retry-After` in seconds, in bounds. The date form counts as none."""
    if not re.fullmatch("[0-9]{1,9}", retry_after):
        return timedelta()
    return min(timedelta(seconds=int(retry_after)), _LONGEST_WAIT)

"""A team's backend as the receiver: one signed POST for each attempt, by Standard Webhooks.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

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

from otp_app.events.payload import payload
from otp_app.verification.events import DEADLINE, Receipt, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from aiohttp import ClientResponse

    from otp_app.verification.events import Event

_BUSY = {429, 502, 503, 504}  # the specification recommends to throttle
_GONE = 410
_LONGEST_WAIT = timedelta(hours=24)  # the longest of the schedule's own


class WebhookReceiver:
    """Posts events to *url*, bound to the event loop it is made on.

    It goes there alone: no redirect is followed, no proxy of the environment used. Of an answer the
    status and `Retry-After` count, its body is not read.

    Args:
        secrets: each is `whsec_` and base64. All sign: who knows one of them is content.
        seconds: after which an attempt is given up.
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
            connector=TCPConnector(force_close=True),  # one that idled may be closed unseen
            timeout=ClientTimeout(total=seconds),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def receive(self, event: Event) -> Receipt:
        """Post *event* once. What has not come by the deadline has not come."""
        body = payload(event)
        try:
            async with self._session.post(
                self._url,
                data=body.encode(),
                headers=self._headers(event.id, body),
                allow_redirects=False,
            ) as answer:
                return _judged(answer)
        except ClientConnectorError:  # also DNS and TLS
            return Receipt(Verdict.BUSY, "not reached")
        except TimeoutError:
            return Receipt(Verdict.BUSY, "no answer in time")
        except ClientError:
            return Receipt(Verdict.BUSY, "no answer that is HTTP")

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


def _judged(answer: ClientResponse) -> Receipt:
    status = answer.status
    if 200 <= status < 300:
        return Receipt(Verdict.TAKEN)
    if status == _GONE:
        return Receipt(Verdict.GONE, "HTTP 410")
    verdict = Verdict.BUSY if status in _BUSY else Verdict.FAILED
    return Receipt(verdict, f"HTTP {status}", _wait(answer.headers.get("Retry-After", "")))


def _wait(retry_after: str) -> timedelta:
    """What a `Retry-After` asks for in seconds, in bounds; its date form is not read."""
    if not re.fullmatch("[0-9]{1,9}", retry_after):
        return timedelta()
    return min(timedelta(seconds=int(retry_after)), _LONGEST_WAIT)

"""Delivery of events to the team's backend: one signed POST an attempt, by Standard Webhooks.

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

_BUSY = {429, 502, 503, 504}  # the specification recommends to slow down after these
_GONE = 410
_LONGEST_WAIT = timedelta(hours=24)  # the longest interval of the retry schedule


class WebhookReceiver:
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

    async def receive(self, event: Event) -> Receipt:
        """Post *event* once, and return the result. A response after the timeout does not count."""
        body = payload(event)
        try:
            async with self._session.post(
                self._url,
                data=body.encode(),
                headers=self._headers(event.id, body),
                allow_redirects=False,
            ) as answer:
                return _judged(answer)
        except ClientConnectorError:  # includes failures of DNS and TLS
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
    """Return the time of a `Retry-After` in seconds, in bounds. The date form counts as none."""
    if not re.fullmatch("[0-9]{1,9}", retry_after):
        return timedelta()
    return min(timedelta(seconds=int(retry_after)), _LONGEST_WAIT)

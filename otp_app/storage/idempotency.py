"""The store of idempotency keys and of the responses to their requests."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from otp_app.errors import IdempotencyKeyInUse, IdempotencyKeyReused
from otp_app.storage.tables import idempotency

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from otp_app.storage.engine import Engine

RETENTION = timedelta(hours=24)
"""Lifetime of an idempotency key. The IETF draft leaves it to the implementation:
https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""

_i = idempotency.c


@dataclass(frozen=True)
class StoredResponse:
    """A stored response: its HTTP status, and its body as JSON."""

    status: int
    body: str


@dataclass(frozen=True)
class RequestKey:
    """A request with an idempotency key, both as HMACs."""

    key: str
    fingerprint: str


@dataclass(frozen=True)
class SqlIdempotencyStore:
    """The idempotency keys in the database of *engine*, hashed with *hash_key*.

    All methods that wait raise `StoreUnavailable`.
    """

    engine: Engine
    hash_key: bytes

    def request_key(self, caller: str, key: str, request: bytes) -> RequestKey:
        """Return the ticket of *request*. Keys are scoped to *caller*."""
        return RequestKey(self._hmac(f"{caller}\0{key}".encode()), self._hmac(request))

    async def begin(self, ticket: RequestKey, now: datetime) -> StoredResponse | None:
        """Claim *ticket*, or return the stored response of the first request.

        Returns:
            None if the request is new and must be processed.

        Raises:
            IdempotencyKeyReused: the key was used for a different request.
            IdempotencyKeyInUse: the first request has no response yet.
        """
        try:
            await self.engine.write(lambda connection: _claim(connection, ticket, now))
        except IntegrityError:
            return await self._earlier(ticket)
        return None

    async def store(self, ticket: RequestKey, answer: StoredResponse) -> None:
        """Store the response to the request of *ticket*."""
        values = {"status": answer.status, "body": answer.body}
        await self.engine.execute(update(idempotency).where(_i.key == ticket.key).values(values))

    async def release(self, ticket: RequestKey) -> None:
        """Delete the claim of a request that had no effect, so that it may be retried."""
        await self.engine.execute(delete(idempotency).where(_i.key == ticket.key))

    async def _earlier(self, ticket: RequestKey) -> StoredResponse:
        query = select(_i.fingerprint, _i.status, _i.body).where(_i.key == ticket.key)
        earlier = next(iter(await self.engine.rows(query)), None)
        if earlier and earlier["fingerprint"] != ticket.fingerprint:
            raise IdempotencyKeyReused
        if earlier is None or earlier["status"] is None:
            raise IdempotencyKeyInUse
        return StoredResponse(earlier["status"], earlier["body"])

    def _hmac(self, text: bytes) -> str:
        return hmac.new(self.hash_key, text, hashlib.sha256).hexdigest()


def _claim(connection: Connection, ticket: RequestKey, now: datetime) -> None:
    """Delete expired keys, then insert *ticket*. The primary key rejects a second one."""
    connection.execute(delete(idempotency).where(_i.ends <= now))
    row = {"key": ticket.key, "fingerprint": ticket.fingerprint, "ends": now + RETENTION}
    connection.execute(insert(idempotency).values(row))

"""What an approval is worth: a session of the browser that verified, for a while."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NewType

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import Flow
    from otp_app.verification.ports import SessionStore

Token = NewType("Token", str)
"""Whoever has it is the browser that verified. It lives in a cookie, and here as a hash only."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SessionPolicy:
    """How long a session lasts, by NIST SP 800-63B-4 section 2.2.3 (AAL2)."""

    idle: timedelta = timedelta(hours=1)
    """Without a sign of life."""

    lifetime: timedelta = timedelta(hours=24)
    """In all."""

    exchange: timedelta = timedelta(minutes=10)
    """How long after the approval a browser may come for its session: it takes a second."""


@dataclass(frozen=True)
class Session:
    """A browser's proof, for exactly this number. `verified_at` is aware, in UTC."""

    phone: PhoneNumber
    verified_at: datetime


@dataclass(frozen=True)
class Sessions:
    """Opens, finds and ends sessions. All methods raise `StoreUnavailable`."""

    store: SessionStore
    now: Callable[[], datetime]
    policy: SessionPolicy = SessionPolicy()

    async def open(self, flow: Flow, id_: str) -> Token | None:
        """Exchange the approval of *id_* in *flow* for a session: once, and soon after it.

        The caller has made sure that this browser entered the code: by a proof, or by the check
        that has just approved *id_*.

        The token is new: what the browser had before it verified, somebody else may know.
        """
        token, now = Token(secrets.token_urlsafe(32)), self.now()
        since, ends_at = now - self.policy.exchange, now + self.policy.lifetime
        if not await self.store.exchange(flow, id_, since, token, now, ends_at):
            return None
        log.info("session.opened")
        return token

    async def find(self, token: Token | None) -> Session | None:
        """The session of *token*, if it is not over. Being asked for is a sign of life."""
        now = self.now()
        return await self.store.session(token, now - self.policy.idle, now) if token else None

    async def end(self, token: Token | None) -> None:
        """End it everywhere: all sessions of its number, in every browser."""
        if token and await self.store.end_sessions(token):
            log.info("session.ended")

"""Sessions: the temporary proof that a browser has verified a number."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, NewType, Protocol

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from otp_app.phone import PhoneNumber
    from otp_app.verification.models import (
        Flow,
    )


class SessionStore(Protocol):
    """The sessions, by the hashes of their tokens. All methods raise `StoreUnavailable`."""

    async def exchange(
        self,
        flow: Flow,
        id_: str,
        since: datetime,
        token: Token,
        now: datetime,
        ends_at: datetime,
    ) -> bool:
        """Open a session until *ends_at* for the verification *id_*, approved after *since*.

        The session uses up every approval of *flow*.

        Returns:
            False if *flow* has no such approval, or the approval was used up before.
        """
        ...

    async def session(self, token: Token, since: datetime, now: datetime) -> Session | None:
        """Return the session of *token* and record *now* as its last use.

        Returns:
            None if the session has ended or was last used before *since*.
        """
        ...

    async def end_sessions(self, token: Token) -> bool:
        """End every session of the phone number that the session of *token* is for.

        Returns:
            False if *token* has no session.
        """
        ...


Token = NewType("Token", str)
"""Secret that identifies a session. The browser has it in a cookie, the database only its hash."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class SessionPolicy:
    """The lifetime of sessions, by NIST SP 800-63B-4 section 2.2.3 (AAL2)."""

    idle: timedelta = timedelta(hours=1)
    """Time without a request after which a session ends."""

    lifetime: timedelta = timedelta(hours=24)
    """Time after its opening at which a session ends in any case."""

    exchange: timedelta = timedelta(minutes=10)
    """Time after an approval in which the browser may open the session. A page needs a second."""


@dataclass(frozen=True)
class Session:
    """The proof that a browser has verified *phone*, at `verified_at` (aware, in UTC)."""

    phone: PhoneNumber
    verified_at: datetime


@dataclass(frozen=True)
class Sessions:
    """Opens, finds and ends sessions. All methods raise `StoreUnavailable`."""

    store: SessionStore
    now: Callable[[], datetime]
    policy: SessionPolicy = SessionPolicy()

    async def open(self, flow: Flow, id_: str) -> Token | None:
        """Exchange the approval of *id_* in *flow* for a session, once and within `exchange`.

        The caller must have established that this browser entered the code, by a proof or by the
        check that has just approved *id_*.

        The token is always new, because an attacker may know any value that the browser had before
        it verified (session fixation).

        Returns:
            None if there is no recent approval that was not exchanged before.
        """
        token, now = Token(secrets.token_urlsafe(32)), self.now()
        since, ends_at = now - self.policy.exchange, now + self.policy.lifetime
        if not await self.store.exchange(flow, id_, since, token, now, ends_at):
            return None
        log.info("session.opened")
        return token

    async def find(self, token: Token | None) -> Session | None:
        """Return the session of *token*, if it has not ended. The call resets the idle time."""
        now = self.now()
        return await self.store.session(token, now - self.policy.idle, now) if token else None

    async def end(self, token: Token | None) -> None:
        """End all sessions of the number that *token* is for, in every browser."""
        if token and await self.store.end_sessions(token):
            log.info("session.ended")

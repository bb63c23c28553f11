"""`SessionStore` on a database: each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, false, insert, select, update

from otp_app.storage.engine import execute, transact
from otp_app.storage.tables import sessions, sha256_hex, verifications
from otp_app.verification.models import Status
from otp_app.verification.sessions import Session

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Delete, Executable, RowMapping, Update
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from otp_app.storage.phone_encryption import PhoneEncryption
    from otp_app.verification.models import Flow
    from otp_app.verification.sessions import Token

SEEN_AGAIN_AFTER = timedelta(minutes=1)
"""Precision of the stored time of the last use, so that not every request causes a write."""

_s, _v = sessions.c, verifications.c
_with_verification = sessions.join(verifications, _s.verification == _v.id)


@dataclass(frozen=True)
class SqlSessions:
    """The sessions in the database of *engine*."""

    engine: AsyncEngine
    encryption: PhoneEncryption

    async def exchange(
        self,
        flow: Flow,
        id_: str,
        since: datetime,
        token: Token,
        now: datetime,
        ends_at: datetime,
    ) -> bool:
        """Use up the approval and insert the session, in one transaction."""

        async def work(connection: AsyncConnection) -> bool:
            if (await connection.execute(_use_up(flow, id_, since))).rowcount == 0:
                return False
            await connection.execute(_use_up_others(flow))
            await connection.execute(delete(sessions).where(_s.ends_at <= now))
            row = {"token": sha256_hex(token), "verification": id_}
            times = {"seen_at": now, "ends_at": ends_at}
            await connection.execute(insert(sessions).values(row | times))
            return True

        return await transact(self.engine, work)

    async def session(self, token: Token, since: datetime, now: datetime) -> Session | None:
        """Return the session of *token*, and record its use once in `SEEN_AGAIN_AFTER`."""

        async def work(connection: AsyncConnection) -> RowMapping | None:
            found = (await connection.execute(_find(token, since, now))).mappings().first()
            if found and found["seen_at"] <= now - SEEN_AGAIN_AFTER:
                await connection.execute(_see(token, now))
            return found

        row = await transact(self.engine, work)
        return Session(self.encryption.decrypt(row["phone"]), row["approved_at"]) if row else None

    async def end_sessions(self, token: Token) -> bool:
        """End the sessions of the number that *token* is for, in every browser."""
        return await execute(self.engine, _end(token)) > 0


def _use_up(flow: Flow, id_: str, since: datetime) -> Update:
    """Use up the approval of *id_*. No row changes if it is too old or was used up before."""
    fresh = (_v.id == id_, _v.approved_at > since)
    return _use_up_others(flow).where(*fresh)


def _use_up_others(flow: Flow) -> Update:
    """Use up every remaining approval of *flow*."""
    left = (_v.status == Status.APPROVED, _v.exchanged == false())
    return update(verifications).where(_v.flow == sha256_hex(flow), *left).values(exchanged=True)


def _find(token: Token, since: datetime, now: datetime) -> Executable:
    alive = (_s.seen_at > since, _s.ends_at > now)
    found = select(_v.phone, _v.approved_at, _s.seen_at).select_from(_with_verification)
    return found.where(_s.token == sha256_hex(token), *alive)


def _see(token: Token, now: datetime) -> Executable:
    return update(sessions).where(_s.token == sha256_hex(token)).values(seen_at=now)


def _end(token: Token) -> Delete:
    number = (
        select(_v.phone_key).select_from(_with_verification).where(_s.token == sha256_hex(token))
    )
    same_number = select(_v.id).where(_v.phone_key == number.scalar_subquery())
    return delete(sessions).where(_s.verification.in_(same_number))

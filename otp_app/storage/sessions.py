"""`SessionStore` on a database: each method is one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, false, insert, select, update

from otp_app.storage.statements import Statement
from otp_app.storage.tables import sessions, sha256_hex, verifications
from otp_app.verification.models import Status
from otp_app.verification.sessions import Session

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Delete

    from otp_app.storage.engine import Engine
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

    engine: Engine
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

        def work(connection: Connection) -> bool:
            mine = sha256_hex(flow)
            if not _USE_UP.execute(connection, flow=mine, id_=id_, since=since):
                return False
            _USE_UP_OTHERS.execute(connection, flow=mine)
            _DELETE_EXPIRED.execute(connection, now=now)
            row = {"token": sha256_hex(token), "verification": id_}
            _INSERT.execute(connection, **row, seen_at=now, ends_at=ends_at)
            return True

        return await self.engine.write(work)

    async def session(self, token: Token, since: datetime, now: datetime) -> Session | None:
        """Return the session of *token*, and record its use once in `SEEN_AGAIN_AFTER`."""
        mine = sha256_hex(token)
        row = await self.engine.read(
            lambda connection: _FIND.first(connection, token=mine, since=since, now=now)
        )
        if row is None:
            return None
        if row["seen_at"] <= now - SEEN_AGAIN_AFTER:
            await self.engine.write(
                lambda connection: _SEE.execute(connection, token_=mine, now=now)
            )
        return Session(self.encryption.decrypt(row["phone"]), row["approved_at"])

    async def end_sessions(self, token: Token) -> bool:
        """End the sessions of the number that *token* is for, in every browser."""
        return await self.engine.execute(_end(token)) > 0


_approvals = update(verifications).where(
    _v.flow == bindparam("flow"), _v.status == Status.APPROVED, _v.exchanged == false()
)
_USE_UP = Statement(
    _approvals.where(_v.id == bindparam("id_"), _v.approved_at > bindparam("since")).values(
        exchanged=True
    )
)
"""Use up an approval. No row changes if it is too old or was used up before."""

_USE_UP_OTHERS = Statement(_approvals.values(exchanged=True))
_DELETE_EXPIRED = Statement(delete(sessions).where(_s.ends_at <= bindparam("now")))
_INSERT = Statement(
    insert(sessions).values({column.name: bindparam(column.name) for column in sessions.columns})
)
_FIND = Statement(
    select(_v.phone, _v.approved_at, _s.seen_at)
    .select_from(_with_verification)
    .where(
        _s.token == bindparam("token"),
        _s.seen_at > bindparam("since"),
        _s.ends_at > bindparam("now"),
    )
)
_SEE = Statement(
    update(sessions).where(_s.token == bindparam("token_")).values(seen_at=bindparam("now"))
)


def _end(token: Token) -> Delete:
    number = (
        select(_v.phone_key).select_from(_with_verification).where(_s.token == sha256_hex(token))
    )
    same_number = select(_v.id).where(_v.phone_key == number.scalar_subquery())
    return delete(sessions).where(_s.verification.in_(same_number))

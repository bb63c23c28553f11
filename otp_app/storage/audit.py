"""The audit table, which is append-only. Triggers of the migration enforce this.

A provider call has a row with the stage `asked`. When the call ends, a row with the stage
`answered` is added that repeats the call and has its result. The `answered` rows alone are
therefore the complete record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, insert, literal, or_, select

from otp_app.storage.engine import INSERTS
from otp_app.storage.statements import Statement
from otp_app.storage.tables import Stage, audit, sha256_hex, verifications
from otp_app.verification.audit import AuditEntry, CallResult, Outcome
from otp_app.verification.limits import block_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Insert, RowMapping

    from otp_app.phone import PhoneNumber
    from otp_app.storage.phone_encryption import PhoneEncryption
    from otp_app.verification.audit import ProviderCall

ABANDONED = CallResult(Outcome.UNKNOWN, "abandoned", None)
"""Result of a call whose process crashed, or whose request was canceled, before the call ended."""

_a = audit.c
_QUESTION = [
    _a.attempt,
    _a.event,
    _a.verification,
    _a.provider,
    _a.channel,
    _a.region,
    _a.number,
    _a.block,
    _a.flow,
    _a.source,
]
_SAID = ("outcome", "detail", "duration_ms")
_ANSWER = [_a.stage, _a.at, *(_a[name] for name in _SAID)]


@dataclass(frozen=True)
class SqlAudit:
    """The audit in the transaction of *connection*. It contains phone numbers as keyed hashes."""

    connection: Connection
    encryption: PhoneEncryption

    def record_call(self, call: ProviderCall, at: datetime, source: str = "") -> None:
        """Record a call, in the transaction that counts it.

        *source*, the address or API key of the client, is stored as a keyed hash.
        """
        verification = call.verification
        _INSERT_CALL.execute(
            self.connection,
            attempt=call.id,
            stage=Stage.ASKED,
            at=at,
            event=call.action,
            verification=verification.id,
            provider=verification.provider,
            channel=call.channel,
            region=verification.phone.region,
            number=self.encryption.search_key(verification.phone),
            block=self.encryption.keyed_hash("block", block_of(verification.phone)),
            flow=sha256_hex(verification.flow),
            source=self.encryption.keyed_hash("source", source) if source else None,
        )

    def record_result(self, id_: str, result: CallResult, at: datetime) -> None:
        """Record the result of call *id_*, unless it has one."""
        _insert_result(self.connection.dialect.name).execute(
            self.connection,
            attempt_=id_,
            at_=at,
            outcome_=result.outcome,
            detail_=f"{result.detail} {result.vendor_code}".strip(),
            duration_=result.duration_ms,
        )

    def abandon(self, now: datetime, since: datetime, until: datetime) -> None:
        """Record `unknown` for calls made from *since* to *until* that have no result."""
        answered = audit.alias("answered").c
        has_answer = select(answered.id).where(
            answered.attempt == _a.attempt, answered.stage == Stage.ANSWERED
        )
        left = (_a.at >= since, _a.at <= until, ~has_answer.exists())
        values = {
            "at_": now,
            "outcome_": ABANDONED.outcome,
            "detail_": ABANDONED.detail,
            "duration_": ABANDONED.duration_ms,
        }
        abandoned = _answering(self.connection.dialect.name, *left)
        self.connection.execute(abandoned, values)

    def of_number(self, phone: PhoneNumber, most: int) -> Sequence[AuditEntry]:
        """Return the last *most* calls for *phone*, for the operator, the newest first.

        Rows from before a change of the hash's key are found by the verifications of *phone*.
        """
        answered, hashed = audit.alias("answered"), self.encryption.search_key(phone)
        its_own = select(verifications.c.id).where(verifications.c.phone_key == hashed)
        of_number = or_(_a.number == hashed, _a.verification.in_(its_own))
        same = and_(answered.c.attempt == _a.attempt, answered.c.stage == Stage.ANSWERED)
        query = (
            select(audit, *(answered.c[name].label(f"its_{name}") for name in _SAID))
            .outerjoin(answered, same)
            .where(of_number, _a.stage == Stage.ASKED)
            .order_by(_a.at.desc(), _a.id.desc())
            .limit(most)
        )
        return [_entry(row) for row in self.connection.execute(query).mappings()]


_INSERT_CALL = Statement(
    insert(audit).values(
        {column.name: bindparam(column.name) for column in (*_QUESTION, _a.stage, _a.at)}
    )
)


@cache
def _insert_result(dialect: str) -> Statement:
    return Statement(_answering(dialect, _a.attempt == bindparam("attempt_")))


def _answering(dialect: str, *which: ColumnElement[bool]) -> Insert:
    """Return the INSERT of a result for the calls that match *which*, except for a second one."""
    said = (
        literal(Stage.ANSWERED, _a.stage.type),
        bindparam("at_", type_=_a.at.type),
        bindparam("outcome_", type_=_a.outcome.type),
        bindparam("detail_", type_=_a.detail.type),
        bindparam("duration_", type_=_a.duration_ms.type),
    )
    asked = select(*_QUESTION, *said).where(_a.stage == Stage.ASKED, *which)
    insertion = INSERTS[dialect](audit).from_select([*_QUESTION, *_ANSWER], asked)
    return insertion.on_conflict_do_nothing()


def _entry(row: RowMapping) -> AuditEntry:
    said = {name: row[f"its_{name}"] for name in _SAID}
    answer = CallResult(**said) if said["outcome"] else None
    return AuditEntry(row["at"], row["event"], row["provider"], row["channel"], answer)

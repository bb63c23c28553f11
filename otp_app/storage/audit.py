"""The audit table, which is append-only. Triggers of the migration enforce this.

A provider call has a row with the stage `asked`. When the call ends, a row with the stage
`answered` is added that repeats the call and has its result. The `answered` rows alone are
therefore the complete record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, distinct, func, insert, literal, null, or_, select

from otp_app.storage.engine import execute, insert_into, rows
from otp_app.storage.tables import Stage, audit, sha256_hex, verifications
from otp_app.verification.audit import AuditEntry, CallResult, Conversion, Outcome
from otp_app.verification.limits import Action, block_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Insert, RowMapping, Select
    from sqlalchemy.ext.asyncio import AsyncEngine

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
class SqlAuditStore:
    """The audit in the database of *engine*. It contains phone numbers as keyed hashes only."""

    engine: AsyncEngine
    encryption: PhoneEncryption

    def pseudonym(self, phone: PhoneNumber) -> str:
        """Return the keyed hash that represents *phone* in audit and log: 64 hexadecimal digits."""
        return self.encryption.search_key(phone)

    def insert_call(self, call: ProviderCall, at: datetime, source: str = "") -> Insert:
        """Return the INSERT that records a call, for the transaction that counts it.

        *source*, the address or API key of the client, is stored as a keyed hash.
        """
        verification = call.verification
        return insert(audit).values(
            attempt=call.id,
            stage=Stage.ASKED,
            at=at,
            event=call.action,
            verification=verification.id,
            provider=verification.provider,
            channel=call.channel,
            region=verification.phone.region,
            number=self.pseudonym(verification.phone),
            block=self._block(verification.phone),
            flow=sha256_hex(verification.flow),
            source=self.encryption.keyed_hash("source", source) if source else None,
        )

    async def record_result(self, id_: str, result: CallResult, at: datetime) -> None:
        """Record the result of call *id_*, unless it has one."""
        await execute(self.engine, self._insert_result(result, at, _a.attempt == id_))

    async def abandon(self, now: datetime, since: datetime, until: datetime) -> None:
        """Record `unknown` for calls made from *since* to *until* that have no result."""
        answered = audit.alias("answered").c
        has_answer = select(answered.id).where(
            answered.attempt == _a.attempt, answered.stage == Stage.ANSWERED
        )
        left = (_a.at >= since, _a.at <= until, ~has_answer.exists())
        await execute(self.engine, self._insert_result(ABANDONED, now, *left))

    async def conversions_by_country(
        self, since: datetime, until: datetime, by_source: int
    ) -> Mapping[str, Conversion]:
        """Return the conversion of verifications sent from *since* to *until*, by region.

        At most *by_source* verifications of one address or API key count.
        """
        one = _one_by_one(since, until).subquery().c
        counted = (func.count().label("sent"), func.sum(one.approved).label("approved"))
        some = select(one.region, *counted).where(one.place <= by_source)
        found = await rows(self.engine, some.group_by(one.region))
        return {row["region"]: Conversion(row["sent"], row["approved"]) for row in found}

    async def block_conversion(
        self, phone: PhoneNumber, since: datetime, until: datetime
    ) -> Conversion:
        """Return the conversion of verifications sent to the block of *phone* in that period."""
        of_block = _sent(since, until).where(_a.block == self._block(phone))
        (row,) = await rows(self.engine, of_block)
        return Conversion(row["sent"], row["approved"])

    async def of_number(self, phone: PhoneNumber, most: int) -> Sequence[AuditEntry]:
        """Return the last *most* calls for *phone*, for the operator, the newest first.

        Rows from before a change of the hash's key are found by the verifications of *phone*.
        """
        answered, hashed = audit.alias("answered"), self.pseudonym(phone)
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
        return [_entry(row) for row in await rows(self.engine, query)]

    def _insert_result(
        self, answer: CallResult, at: datetime, *which: ColumnElement[bool]
    ) -> Insert:
        said = (
            literal(Stage.ANSWERED, _a.stage.type),
            literal(at, _a.at.type),
            literal(answer.outcome, _a.outcome.type),
            literal(f"{answer.detail} {answer.vendor_code}".strip()),
            null() if answer.duration_ms is None else literal(answer.duration_ms),
        )
        asked = select(*_QUESTION, *said).where(_a.stage == Stage.ASKED, *which)
        writing = insert_into(self.engine, audit).from_select([*_QUESTION, *_ANSWER], asked)
        return writing.on_conflict_do_nothing()

    def _block(self, phone: PhoneNumber) -> str:
        return self.encryption.keyed_hash("block", block_of(phone))


def _sent(since: datetime, until: datetime) -> Select[int, int]:
    """Count the verifications whose message the provider accepted, and those that were approved."""
    right = audit.alias("right")
    approved = and_(
        right.c.verification == _a.verification,
        right.c.event == Action.CHECK,
        right.c.outcome == Outcome.OK,
    )
    taken = (_a.event == Action.SEND, _a.outcome == Outcome.OK, _a.at > since, _a.at <= until)
    return (
        select(
            func.count(distinct(_a.verification)).label("sent"),
            func.count(distinct(right.c.verification)).label("approved"),
        )
        .select_from(audit)
        .outerjoin(right, approved)
        .where(*taken)
    )


def _one_by_one(since: datetime, until: datetime) -> Select[Any]:
    """Select each verification whose message the provider accepted, and whether it was approved.

    The column `place` numbers the verifications of one source in the order of their ids. Ids are
    random, so a client cannot choose which verifications come first.
    """
    right = audit.alias("right").c
    is_right = (right.event == Action.CHECK, right.outcome == Outcome.OK)
    succeeded = select(right.id).where(right.verification == _a.verification, *is_right).exists()
    taken = (_a.event == Action.SEND, _a.outcome == Outcome.OK, _a.at > since, _a.at <= until)
    sent = (
        select(
            _a.verification,
            _a.region,
            func.min(func.coalesce(_a.source, _a.verification)).label("source"),
            case((succeeded, 1), else_=0).label("approved"),
        )
        .where(*taken)
        .group_by(_a.verification, _a.region)
        .subquery()
        .c
    )
    of_source = [sent.region, sent.source]
    place = func.row_number().over(partition_by=of_source, order_by=sent.verification)
    return select(sent.region, sent.approved, place.label("place"))


def _entry(row: RowMapping) -> AuditEntry:
    said = {name: row[f"its_{name}"] for name in _SAID}
    answer = CallResult(**said) if said["outcome"] else None
    return AuditEntry(row["at"], row["event"], row["provider"], row["channel"], answer)

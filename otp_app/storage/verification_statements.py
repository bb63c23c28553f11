"""The transitions of a verification, each one conditional UPDATE.

The WHERE is the precondition, so one of two concurrent callers wins.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    update,
)

from otp_app.storage import verification_queries
from otp_app.storage.engine import INSERTS
from otp_app.storage.statements import Statement
from otp_app.storage.tables import COLUMNS, is_open, sha256_hex, users, verifications
from otp_app.verification.models import JOINED_ATTEMPTS, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import BindParameter, ColumnElement, Delete, Update

    from otp_app.verification.models import Reference, Send, Verification

DELETED_AT_ONCE = 100
"""Rows that one statement deletes at most, so that it does not block the database for long."""

_v = verifications.c
_is_open = is_open(_v)
_is_sent = _v.status.in_((Status.PENDING, Status.UNKNOWN))
_update = update(verifications)


_flow: BindParameter[Any] = bindparam("flow")
_now: BindParameter[Any] = bindparam("now", type_=_v.sent_at.type)
_id: BindParameter[Any] = bindparam("id_")
_is_over = _v.expires_at <= _now
_is_another = _v.phone_key.is_distinct_from(bindparam("phone_key"))
_status = case(
    (_is_over, literal(Status.EXPIRED, _v.status.type)),
    else_=literal(Status.CANCELED, _v.status.type),
)
MAKE_ROOM = Statement(
    _update.where(_v.flow == _flow, _is_open, or_(_is_over, _is_another))
    .values(status=_status)
    .returning(_v.id, _v.status)
)
"""End the open verification of a flow: it expires if its time is over, and is canceled if it is for
another number."""


def expire_left(since: datetime, until: datetime) -> Update:
    """Expire open verifications whose time ended between *since* and *until*."""
    over = _update.where(_v.expires_at > since, _v.expires_at <= until, _is_open)
    return over.values(status=Status.EXPIRED)


def record(verification: Verification, send: Send) -> Update:
    """Count *send*, unless another message was counted since *verification* was read."""
    return _update.where(
        _v.id == verification.id,
        _v.flow == sha256_hex(verification.flow),
        _v.sends == verification.sends,
        _v.resend_at <= send.at,
        _v.expires_at > send.at,
        _is_open,
    ).values(sends=send.number, channel=send.channel, sent_at=send.at, resend_at=send.next_at)


def _settle(*, is_sent: bool) -> Update:
    """Store the reference, become `PENDING` if still open, and return the row.

    Twilio gives several flows one reference, whose lifetime began with the first of them. A flow
    that joins expires with the first, and gets the guesses that are not reserved for the others.
    """
    reference: BindParameter[Any] = bindparam("reference_")
    at: BindParameter[Any] = bindparam("at", type_=_v.sent_at.type)
    other = verifications.alias("shared").c
    same = (other.provider == _v.provider, other.reference == reference, other.id != _id)
    sooner = and_(*same, other.expires_at < _v.expires_at)
    joined = verification_queries.joins(reference, _v.flow, at)
    most = case((joined, JOINED_ATTEMPTS), else_=_v.attempts_left)
    left = verification_queries.least(
        _v.attempts_left, most, verification_queries.room(reference, _v.flow, at)
    )
    return (
        _update.where(_v.id == _id, _v.sends == bindparam("number"))
        .values(
            reference=reference,
            attempts_left=verification_queries.greatest(left, 0),
            guesses=case((_v.reference == reference, _v.guesses), else_=0),
            joined=joined,
            channel=bindparam("channel_"),
            sent_at=at,
            resend_at=bindparam("next_at"),
            canceled=False,
            expires_at=_least(other.expires_at, (sooner,), _v.expires_at),
            status=case((_is_open, literal(Status.PENDING, _v.status.type)), else_=_v.status),
            **({"counted_at": func.coalesce(_v.counted_at, at)} if is_sent else {}),
        )
        .returning(*COLUMNS, _v.counted_at, _v.source)
    )


def _adopt() -> Update:
    """Settle a message under a reference that the provider was running before.

    The reference must belong to this flow and must not have ended. An adopted verification keeps
    the lifetime and the guesses that are left of the reference.
    """
    other = verifications.alias("other").c
    same = (other.provider == _v.provider, other.reference == bindparam("reference_"))
    held_by_another = exists().where(*same, other.flow != _v.flow)
    mine = (*same, other.id != _id)
    used_up = (Status.EXHAUSTED, Status.EXPIRED, Status.APPROVED)
    at = bindparam("at", type_=_v.sent_at.type)
    is_over = or_(other.expires_at <= at, other.status.in_(used_up))
    asked_before = or_(_v.sends > 1, exists().where(*mine))
    return (
        _settle(is_sent=False)
        .where(~held_by_another, ~exists().where(*mine, is_over), asked_before)
        .values(
            expires_at=_least(other.expires_at, mine, _v.expires_at),
            attempts_left=_least(other.attempts_left, mine, _v.attempts_left),
        )
    )


def _least(
    column: ColumnElement[Any], of: Sequence[ColumnElement[bool]], default: ColumnElement[Any]
) -> ColumnElement[Any]:
    """Return the minimum of *column* over the rows that match *of*, or *default* without a row."""
    return func.coalesce(select(func.min(column)).where(*of).scalar_subquery(), default)


def fail(id_: str, send: Send, status: Status) -> Update:
    """Set *status* on an open verification, if *send* is still its last message."""
    return _update.where(_is_last(id_, send), _is_open).values(status=status)


def lose_reference(id_: str, send: Send) -> Update:
    """Clear the reference, which *send* may have replaced, and become `UNKNOWN`."""
    lost = {"status": Status.UNKNOWN, "reference": None}
    return _update.where(_is_last(id_, send), _is_open).values(lost)


def release(before: Verification, send: Send) -> Update:
    """Uncount *send*, if it is still the last message, and allow the next one at once."""
    uncounted = {
        "sends": before.sends,
        "channel": before.channel,
        "sent_at": before.sent_at,
        "resend_at": send.at,
    }
    return _update.where(_is_last(before.id, send), _is_open).values(uncounted)


def _take_attempt() -> Update:
    """Spend one guess and return the verification, with the guesses that its flow has left."""
    room = verification_queries.room(_v.reference, _flow, _now)
    return (
        _update.where(
            _v.id == _id,
            _v.flow == _flow,
            _v.attempts_left > 0,
            _v.expires_at > _now,
            _v.reference.is_not(None),
            _is_sent,
            room > 0,
        )
        .values(
            attempts_left=verification_queries.least(_v.attempts_left - 1, room - 1),
            guesses=_v.guesses + 1,
        )
        .returning(*COLUMNS)
    )


def close_used_up(id_: str, now: datetime) -> Update:
    """Expire a verification whose reference has no guess left, although the flow has some.

    The verification stays open while another flow has guesses reserved at the same reference.
    """
    room = verification_queries.room(_v.reference, _v.flow, now)
    kept = verification_queries.kept(_v.reference, _v.flow, now)
    mine = (_v.id == id_, _is_open, _v.attempts_left > 0, _v.reference.is_not(None))
    return _update.where(*mine, room <= 0, kept == 0).values(status=Status.EXPIRED)


def use_up(id_: str, reference: Reference) -> Update:
    """Expire an open verification and count all guesses of *reference* as made, for every flow."""
    mine = (_v.id == id_, _is_open, _v.reference == reference)
    return _update.where(*mine).values(status=Status.EXPIRED, guesses=_v.attempts)


def close(id_: str, status: Status, reference: Reference | None) -> Update:
    """End an open verification with *status*, if it still has *reference*."""
    same = _v.reference.is_not_distinct_from(reference)
    return _update.where(_v.id == id_, _is_open, same).values(status=status)


def take_cancel(over: Verification, again_at: datetime) -> Update:
    """Count a cancel, unless another one was counted since *over* was read."""
    return _update.where(
        _v.id == over.id,
        _v.reference == over.reference,
        _v.canceled == false(),
        _v.cancels == over.cancels,
    ).values(cancels=over.cancels + 1, cancel_at=again_at)


def mark_canceled(id_: str, reference: Reference | None) -> Update:
    """Mark the verification as canceled at the provider, if it still has *reference*."""
    same = _v.reference.is_not_distinct_from(reference)
    return _update.where(_v.id == id_, same).values(canceled=True)


def forget(before: datetime, *which: ColumnElement[bool]) -> Delete:
    """Delete up to `AT_ONCE` verifications that expired before *before* and match *which*."""
    old = select(_v.id).where(_v.expires_at <= before, *which)
    some = old.order_by(_v.expires_at).limit(DELETED_AT_ONCE)
    return delete(verifications).where(_v.id.in_(some))


def _is_last(id_: str, send: Send) -> ColumnElement[bool]:
    return and_(_v.id == id_, _v.sends == send.number)


SETTLE, SETTLE_ADOPTED, ADOPT, TAKE_ATTEMPT = map(
    Statement, (_settle(is_sent=True), _settle(is_sent=False), _adopt(), _take_attempt())
)

APPROVE = Statement(
    _update.where(_v.id == _id, _is_sent)
    .values(status=Status.APPROVED, approved_at=_now, canceled=True)
    .returning(_v.phone, _v.counted_at, _v.source)
)
"""Approve a verification and return its stored phone number, and how it was counted."""


def settling(id_: str, send: Send, reference: Reference) -> dict[str, Any]:
    """Return the parameters of `SETTLE`, `SETTLE_ADOPTED` and `ADOPT`."""
    return {
        "id_": id_,
        "number": send.number,
        "reference_": reference,
        "channel_": send.channel,
        "at": send.at,
        "next_at": send.next_at,
    }


@cache
def insert_verification(dialect: str) -> Statement:
    """Insert a verification, unless its flow has an open one."""
    names = [*(column.name for column in COLUMNS), "phone_key", "attempts", "created_at", "source"]
    values: dict[str, Any] = {name: bindparam(name) for name in names}
    return Statement(INSERTS[dialect](verifications).values(values).on_conflict_do_nothing())


@cache
def upsert_user(dialect: str) -> Statement:
    """Insert the user of a number, or renew its encryption and proof."""
    names = ("phone_number", "phone_verified_at", "phone_key", "created_at")
    insertion = INSERTS[dialect](users).values({name: bindparam(name) for name in names})
    anew = {name: insertion.excluded[name] for name in ("phone_number", "phone_verified_at")}
    return Statement(insertion.on_conflict_do_update(index_elements=["phone_key"], set_=anew))

"""The queries of the verifications, and the guesses that are left at a shared reference."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, String, and_, bindparam, case, exists, false, func, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from otp_app.storage.statements import Statement
from otp_app.storage.tables import COLUMNS, is_open, sha256_hex, users, verifications
from otp_app.verification.budget import CANCELS
from otp_app.verification.models import JOINED_ATTEMPTS, Status

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnCollection, ColumnElement, Executable, Select
    from sqlalchemy.sql.compiler import SQLCompiler

    from otp_app.verification.models import Flow

    Columns = ColumnCollection[str, Any]
    Number = ColumnElement[int]
    Value = ColumnElement[Any] | str | datetime | None

_v = verifications.c
_used, _other = verifications.alias("used").c, verifications.alias("other").c
_first, _own = verifications.alias("first").c, verifications.alias("own").c


class least(GenericFunction[int]):  # noqa: N801 - the name in SQL
    """The SQL function `least`, which SQLite calls `min`."""

    type = Integer()
    inherit_cache = True


class greatest(GenericFunction[int]):  # noqa: N801
    """The SQL function `greatest`, which SQLite calls `max`."""

    type = Integer()
    inherit_cache = True


@compiles(least, "sqlite")
def _as_min(element: least, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"min{compiler.process(element.clause_expr, **options)}"


@compiles(greatest, "sqlite")
def _as_max(element: greatest, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"max{compiler.process(element.clause_expr, **options)}"


def room(reference: Value, flow: Value, now: Value) -> Number:
    """Return the guesses at *reference* that *flow* may make: neither used nor reserved."""
    used = _sum(_used.guesses).where(*_same(_used, reference))
    return _v.attempts - used.scalar_subquery() - kept(reference, flow, now)


def kept(reference: Value, flow: Value, now: Value) -> Number:
    """Return the guesses at *reference* that are reserved for open flows other than *flow*.

    A flow that joined later keeps all guesses that it was given. The first flow keeps all but
    `JOINED_ATTEMPTS`.
    """
    share = least(_other.attempts_left, _other.attempts - JOINED_ATTEMPTS - _other.guesses)
    keeps = case((_other.joined, _other.attempts_left), else_=greatest(share, 0))
    waiting = (_other.flow != flow, is_open(_other), _other.expires_at > now)
    return _sum(keeps).where(*_same(_other, reference), *waiting).scalar_subquery()


def joins(reference: Value, flow: Value, now: Value) -> ColumnElement[bool]:
    """Match if another open flow has *reference* already, and *flow* did not have it first."""
    is_another = (_first.flow != flow, is_open(_first), _first.expires_at > now)
    was_first = (_own.flow == flow, ~_own.joined)
    return and_(
        exists().where(*_same(_first, reference), *is_another),
        ~exists().where(*_same(_own, reference), *was_first),
    )


def _sum(number: Number) -> Select[int]:
    """Select the sum of *number*, or 0 without rows."""
    return select(func.coalesce(func.sum(number), 0))


def _same(row: Columns, reference: Value) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that *row* has *reference* and the provider of the updated row."""
    return row.provider == _v.provider, row.reference == reference


CANCELABLE_AFTER = timedelta(seconds=30)
"""Minimum age of a message before its verification is canceled. Vonage refuses earlier cancels."""

FORGOTTEN_AFTER = timedelta(minutes=20)
"""Time after its expiry at which a verification has ended at every provider by itself."""

SWEPT_AT_ONCE = 100
"""Largest number of ended verifications that one query returns."""
_is_open = is_open(_v)


_of_flow = select(*COLUMNS).where(_v.flow == bindparam("flow")).limit(1)

NEWEST = Statement(_of_flow.order_by(_is_open.desc(), _v.created_at.desc()))
"""Select the open verification of a flow, else the one that was recorded last.

The status comes first in the order because the clocks of several servers may differ."""

LOCKED = Statement(
    _of_flow.where(
        _v.phone_key == bindparam("phone_key"),
        _v.status == Status.EXHAUSTED,
        _v.expires_at > bindparam("now"),
    ).order_by(_v.expires_at.desc())
)
"""Select the verification of a flow and number whose lock ends last, if one is locked."""


def of_number(phone_key: str, most: int) -> Executable:
    """Select the last *most* verifications of a number over all flows, the newest first."""
    mine = select(*COLUMNS).where(_v.phone_key == phone_key)
    return mine.order_by(_v.created_at.desc()).limit(most)


def running_elsewhere(phone_key: str, provider: str, flow: Flow, now: datetime) -> Executable:
    """Select an open verification that *provider* runs for the number and a different flow."""
    its = (_v.phone_key == phone_key, _v.provider == provider, _v.reference.is_not(None))
    others = (_v.flow != sha256_hex(flow), _is_open, _v.expires_at > now)
    return select(_v.id).where(*its, *others).limit(1)


_reference_of_id = select(_v.reference).where(_v.id == bindparam("id_")).scalar_subquery()
_subject = func.coalesce(bindparam("subject", type_=String), _reference_of_id)
LOCK = Statement(select(func.pg_advisory_xact_lock(func.hashtextextended(_subject, 0))))
"""Lock a flow, a reference or the reference of a verification until the transaction ends."""


def shared(phone_key: str, provider: str, flow: Flow, now: datetime) -> Executable:
    """Select verifications of a number that *provider* may still run and *flow* would share.

    Additional columns are `room`, the guesses that *flow* would get, and `kept`, those that are
    reserved for other flows.
    """
    gone = verifications.alias("gone").c
    same = (gone.provider == _v.provider, gone.reference == _v.reference)
    is_gone = exists().where(*same, or_(gone.canceled, gone.status == Status.APPROVED))
    place = (_v.reference, sha256_hex(flow), now)
    columns = (*COLUMNS, room(*place).label("room"), kept(*place).label("kept"))
    return select(*columns).where(
        _v.phone_key == phone_key,
        _v.provider == provider,
        _v.reference.is_not(None),
        _v.expires_at > now,
        ~is_gone,
    )


USER = Statement(select(users.c.id).where(users.c.phone_key == bindparam("phone_key")))
"""Select the user with a proved number."""


def ended(now: datetime) -> Executable:
    """Select verifications that the sweeper has to close or to cancel, the oldest first.

    These are open verifications whose time is over, and ended ones that the provider may still run
    and whose next cancel is due.
    """
    over = and_(_is_open, _v.expires_at <= now)
    is_due = or_(_v.cancel_at.is_(None), _v.cancel_at <= now)
    running = and_(~_is_open, _v.reference.is_not(None), _v.cancels < CANCELS, is_due)
    return (
        select(*COLUMNS)
        .where(
            _v.canceled == false(),
            _v.expires_at > now - FORGOTTEN_AFTER,
            _v.sent_at <= now - CANCELABLE_AFTER,
            or_(over, running),
            ~_is_in_use(now),
        )
        .order_by(_v.expires_at)
        .limit(SWEPT_AT_ONCE)
    )


def _is_in_use(now: datetime) -> ColumnElement[bool]:
    """Match rows whose reference is also that of an open verification, so it must not be canceled.

    A reference that was adopted belongs to two verifications.
    """
    other = verifications.alias("other").c
    return exists().where(
        other.provider == _v.provider,
        other.reference == _v.reference,
        is_open(other),
        other.expires_at > now,
    )

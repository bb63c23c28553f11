"""What is asked of the tables without changing them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, false, or_, select

from otp_app.storage import shares
from otp_app.storage.rows import COLUMNS, hashed, is_open
from otp_app.storage.tables import users, verifications
from otp_app.verification.budget import CANCELS
from otp_app.verification.models import Status

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Executable

    from otp_app.verification.models import Flow

CANCELABLE_AFTER = timedelta(seconds=30)
"""Vonage refuses to cancel a younger request."""

FORGOTTEN_AFTER = timedelta(minutes=20)
"""Past its time by this much, a verification has ended at any provider by itself."""

AT_ONCE = 100
"""Rows of one look at what has ended."""

_v = verifications.c
_is_open = is_open(_v)


def newest(flow: Flow) -> Executable:
    """The open one, whatever the clocks of several servers say; else the last recorded."""
    order = (_is_open.desc(), _v.created_at.desc())
    return select(*COLUMNS).where(_v.flow == hashed(flow)).order_by(*order).limit(1)


def locked(flow: Flow, phone_key: str, now: datetime) -> Executable:
    """What wrong codes ended and time has not, the longest first."""
    mine = (_v.flow == hashed(flow), _v.phone_key == phone_key)
    is_locked = (_v.status == Status.EXHAUSTED, _v.expires_at > now)
    return select(*COLUMNS).where(*mine, *is_locked).order_by(_v.expires_at.desc()).limit(1)


def of_number(phone_key: str, most: int) -> Executable:
    """The last *most* of a number, whoever asked, the newest first."""
    mine = select(*COLUMNS).where(_v.phone_key == phone_key)
    return mine.order_by(_v.created_at.desc()).limit(most)


def running_elsewhere(phone_key: str, provider: str, flow: Flow, now: datetime) -> Executable:
    """What *provider* runs for the number and for another flow than *flow*."""
    its = (_v.phone_key == phone_key, _v.provider == provider, _v.reference.is_not(None))
    others = (_v.flow != hashed(flow), _is_open, _v.expires_at > now)
    return select(_v.id).where(*its, *others).limit(1)


def reference_of(id_: str) -> ColumnElement[str | None]:
    """The reference of one verification, as a value within another query."""
    return select(_v.reference).where(_v.id == id_).scalar_subquery()


def shared(phone_key: str, provider: str, flow: Flow, now: datetime) -> Executable:
    """Verifications of the number that *provider* has not ended, with the guesses for *flow*."""
    gone = verifications.alias("gone").c
    same = (gone.provider == _v.provider, gone.reference == _v.reference)
    is_gone = exists().where(*same, or_(gone.canceled, gone.status == Status.APPROVED))
    place = (_v.reference, hashed(flow), now)
    columns = (*COLUMNS, shares.room(*place).label("room"), shares.kept(*place).label("kept"))
    return select(*columns).where(
        _v.phone_key == phone_key,
        _v.provider == provider,
        _v.reference.is_not(None),
        _v.expires_at > now,
        ~is_gone,
    )


def user(phone_key: str) -> Executable:
    """Who has proved to hold the number."""
    return select(users.c.id).where(users.c.phone_key == phone_key)


def ended(now: datetime) -> Executable:
    """What is over here and may go on at the provider, or was left open."""
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
        .limit(AT_ONCE)
    )


def _is_in_use(now: datetime) -> ColumnElement[bool]:
    """Whether another verification waits for the same code: an adopted reference has two."""
    other = verifications.alias("other").c
    return exists().where(
        other.provider == _v.provider,
        other.reference == _v.reference,
        is_open(other),
        other.expires_at > now,
    )

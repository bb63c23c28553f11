"""The SELECT statements about verifications and users."""

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
"""Minimum age of a message before its verification is canceled. Vonage refuses earlier cancels."""

FORGOTTEN_AFTER = timedelta(minutes=20)
"""Time after its expiry at which a verification has ended at every provider by itself."""

AT_ONCE = 100
"""Largest number of ended verifications that one query returns."""

_v = verifications.c
_is_open = is_open(_v)


def newest(flow: Flow) -> Executable:
    """Select the open verification of *flow*, else the one that was recorded last.

    The status comes first in the order because the clocks of several servers may differ.
    """
    order = (_is_open.desc(), _v.created_at.desc())
    return select(*COLUMNS).where(_v.flow == hashed(flow)).order_by(*order).limit(1)


def locked(flow: Flow, phone_key: str, now: datetime) -> Executable:
    """Select the verification of the flow and number whose lock ends last, if one is locked."""
    mine = (_v.flow == hashed(flow), _v.phone_key == phone_key)
    is_locked = (_v.status == Status.EXHAUSTED, _v.expires_at > now)
    return select(*COLUMNS).where(*mine, *is_locked).order_by(_v.expires_at.desc()).limit(1)


def of_number(phone_key: str, most: int) -> Executable:
    """Select the last *most* verifications of a number over all flows, the newest first."""
    mine = select(*COLUMNS).where(_v.phone_key == phone_key)
    return mine.order_by(_v.created_at.desc()).limit(most)


def running_elsewhere(phone_key: str, provider: str, flow: Flow, now: datetime) -> Executable:
    """Select an open verification that *provider* runs for the number and a different flow."""
    its = (_v.phone_key == phone_key, _v.provider == provider, _v.reference.is_not(None))
    others = (_v.flow != hashed(flow), _is_open, _v.expires_at > now)
    return select(_v.id).where(*its, *others).limit(1)


def reference_of(id_: str) -> ColumnElement[str | None]:
    """Return a scalar subquery for the reference of verification *id_*."""
    return select(_v.reference).where(_v.id == id_).scalar_subquery()


def shared(phone_key: str, provider: str, flow: Flow, now: datetime) -> Executable:
    """Select verifications of a number that *provider* may still run and *flow* would share.

    Additional columns are `room`, the guesses that *flow* would get, and `kept`, those that are
    reserved for other flows.
    """
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
    """Select the user with a proved number."""
    return select(users.c.id).where(users.c.phone_key == phone_key)


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
        .limit(AT_ONCE)
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

"""The distribution of guesses among flows that share a reference, as SQL expressions.

A provider may give one code, and one count of guesses, to all flows that verify a number. A flow
can use the guesses that the reference has left, except those reserved for other open flows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, and_, case, exists, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

from otp_app.storage.rows import is_open
from otp_app.storage.tables import verifications
from otp_app.verification.models import JOINED_ATTEMPTS

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Column, ColumnCollection, ColumnElement, Select
    from sqlalchemy.sql.compiler import SQLCompiler

    from otp_app.verification.models import Reference

    Columns = ColumnCollection[str, Any]
    Number = ColumnElement[int]

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


def room(
    reference: Reference | ColumnElement[Any], flow: str | Column[Any], now: datetime
) -> Number:
    """Return the guesses at *reference* that *flow* may make: neither used nor reserved."""
    used = _sum(_used.guesses).where(*_same(_used, reference))
    return _v.attempts - used.scalar_subquery() - kept(reference, flow, now)


def kept(
    reference: Reference | ColumnElement[Any], flow: str | Column[Any], now: datetime
) -> Number:
    """Return the guesses at *reference* that are reserved for open flows other than *flow*.

    A flow that joined later keeps all guesses that it was given. The first flow keeps all but
    `JOINED_ATTEMPTS`.
    """
    share = least(_other.attempts_left, _other.attempts - JOINED_ATTEMPTS - _other.guesses)
    keeps = case((_other.joined, _other.attempts_left), else_=greatest(share, 0))
    waiting = (_other.flow != flow, is_open(_other), _other.expires_at > now)
    return _sum(keeps).where(*_same(_other, reference), *waiting).scalar_subquery()


def joins(reference: Reference, flow: str | Column[Any], now: datetime) -> ColumnElement[bool]:
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


def _same(
    row: Columns, reference: Reference | ColumnElement[Any]
) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that *row* has *reference* and the provider of the updated row."""
    return row.provider == _v.provider, row.reference == reference

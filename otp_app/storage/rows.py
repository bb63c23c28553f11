"""The conversion between `Verification` objects and rows of the database."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from otp_app.storage.tables import verifications
from otp_app.verification.models import OPEN, Flow, Status, Verification

if TYPE_CHECKING:
    from sqlalchemy import ColumnCollection, ColumnElement, RowMapping

    from otp_app.storage.numbers import Numbers
    from otp_app.verification.sessions import Token

COLUMNS = [verifications.c[field.name] for field in fields(Verification)]
"""The columns that make up a `Verification`."""


def hashed(secret: Flow | Token) -> str:
    """Return the SHA-256 of *secret* in hexadecimal, the only form in which it is stored.

    A stolen copy of the database therefore opens no verification or session.
    """
    return hashlib.sha256(secret.encode()).hexdigest()


def is_open(row: ColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Match open verifications. A flow has at most one of them, by a unique index."""
    status: ColumnElement[Status] = row["status"]
    return status.in_(sorted(OPEN))


def to_row(verification: Verification, numbers: Numbers) -> dict[str, Any]:
    """Return the column values of a new row, with the number encrypted and the flow hashed."""
    return vars(verification) | {
        "flow": hashed(verification.flow),
        "phone": numbers.sealed(verification.phone),
        "phone_key": numbers.key(verification.phone),
        "attempts": verification.attempts_left,
        "created_at": verification.sent_at,
    }


def from_row(row: RowMapping, numbers: Numbers, flow: Flow | None = None) -> Verification:
    """Return the verification in *row*. Without *flow*, its `flow` is the stored hash.

    Raises:
        NumbersUnreadable: *numbers* cannot decrypt the phone number.
    """
    phone = numbers.opened(row["phone"])
    values = {column.name: row[column.name] for column in COLUMNS}
    return Verification(**values | {"flow": flow or row["flow"], "phone": phone})

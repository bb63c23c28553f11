"""A verification as a row, and back."""

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
"""What a verification is made of."""


def hashed(secret: Flow | Token) -> str:
    """What is stored of it: a copy of the database opens nobody's verification or session."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_open(row: ColumnCollection[str, Any]) -> ColumnElement[bool]:
    """Whether it is in the one place a flow has for what is not over."""
    status: ColumnElement[Status] = row["status"]
    return status.in_(sorted(OPEN))


def to_row(verification: Verification, numbers: Numbers) -> dict[str, Any]:
    """The values of a new row."""
    return vars(verification) | {
        "flow": hashed(verification.flow),
        "phone": numbers.sealed(verification.phone),
        "phone_key": numbers.key(verification.phone),
        "attempts": verification.attempts_left,
        "created_at": verification.sent_at,
    }


def from_row(row: RowMapping, numbers: Numbers, flow: Flow | None = None) -> Verification:
    """The verification of *flow*; where that is not known its hash must do."""
    phone = numbers.opened(row["phone"])
    values = {column.name: row[column.name] for column in COLUMNS}
    return Verification(**values | {"flow": flow or row["flow"], "phone": phone})

"""Conversion rates, counted as messages are sent and codes approved, in the rows of `limits`.

The row of a country and the row of a block of numbers have two lists each: verifications with a
sent message, and those of them that were approved, both by the time of the message.

At most `COUNTED_BY_ADDRESS` verifications of one address or API key count towards a country. The
hash of a verification's random id decides which ones, so a client cannot choose them. The row of
the source keeps those that count now. A further one takes the place of one with a larger hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING

from sqlalchemy import select

from otp_app.storage.limit_rows import (
    BLOCK,
    COUNTRY,
    SOURCE,
    LimitRow,
    Window,
    duration,
    hash_tag,
    list_id,
    microseconds,
    row_key,
)
from otp_app.storage.statements import Statement
from otp_app.storage.tables import limits
from otp_app.verification.audit import Conversion
from otp_app.verification.limits import COUNTED_BY_ADDRESS, MINUTE, TRUSTED_FOR, block_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from otp_app.phone import PhoneNumber
    from otp_app.storage.limit_counts import SqlLimits

_SENT, _APPROVED, _COUNTED = map(list_id, ("sent", "approved", "counted"))
_SLOT = duration(MINUTE)
_BLOCK_SLOT = 5 * _SLOT
_BLOCK_KEPT = duration(TRUSTED_FOR)


@dataclass(frozen=True)
class SqlConversions:
    """The conversion rates in the transaction of *limits*."""

    limits: SqlLimits

    def source_key(self, phone: PhoneNumber, source: str) -> bytes:
        """Return the key of the row of *source*, an address or API key, for the country."""
        return row_key(self.limits.hash_key, SOURCE, f"{phone.region}\0{source}")

    def count_sent(
        self, phone: PhoneNumber, source: bytes, id_: str, at: datetime, kept: timedelta
    ) -> None:
        """Count a verification whose first message was sent at *at*. `save` has to follow.

        Args:
            phone: the number of the verification.
            source: the key of the row of the client that requested the message.
            id_: the id of the verification.
            at: the time of the message.
            kept: the time for which the verification counts towards its country.
        """
        of_source, country, block = self._rows(phone, source)
        then, length = microseconds(at), duration(kept)
        _add(block, _SENT, then, _BLOCK_SLOT, _BLOCK_KEPT)
        new = (then, 1, hash_tag(self.limits.hash_key, id_))
        counted = Window(0, length, 0, of_source.uses(_COUNTED)).recent(then)
        counted = sorted([*counted, new], key=itemgetter(2))
        chosen = counted[:COUNTED_BY_ADDRESS]
        if new in chosen:
            _add(country, _SENT, then, _SLOT, length)
            for sent_at, number, _ in counted[COUNTED_BY_ADDRESS:]:
                _remove(country, _SENT, sent_at, length)
                if number == _WAS_APPROVED:
                    _remove(country, _APPROVED, sent_at, length)
            of_source.set(_COUNTED, sorted(chosen), length)

    def count_approved(
        self, phone: PhoneNumber, source: bytes, id_: str, at: datetime, kept: timedelta
    ) -> None:
        """Count the approval of the verification that `count_sent` has counted at *at*.

        `save` has to follow.
        """
        of_source, country, block = self._rows(phone, source)
        then, length = microseconds(at), duration(kept)
        _add(block, _APPROVED, then, _BLOCK_SLOT, _BLOCK_KEPT)
        tag = hash_tag(self.limits.hash_key, id_)
        counted = of_source.uses(_COUNTED)
        if any(its_tag == tag for _, _, its_tag in counted):
            _add(country, _APPROVED, then, _SLOT, length)
            approved = [
                (sent_at, _WAS_APPROVED if its_tag == tag else number, its_tag)
                for sent_at, number, its_tag in counted
            ]
            of_source.set(_COUNTED, approved, length)

    def by_country(self, since: datetime, until: datetime) -> Mapping[str, Conversion]:
        """Return the conversion of verifications sent from *since* to *until*, by region.

        Both times are rounded to minutes.
        """
        found = _countries().rows(self.limits.connection)
        rows = {row["key"][1:].decode(): LimitRow.read(row) for row in found}
        counted = {region: _between(row, since, until, _SLOT) for region, row in rows.items()}
        return {region: conversion for region, conversion in counted.items() if conversion.sent}

    def of_block(self, phone: PhoneNumber, since: datetime, until: datetime) -> Conversion:
        """Return the conversion of verifications sent to the block of *phone* in that period.

        Both times are rounded to five minutes.
        """
        key = self._block(phone)
        return _between(self.limits.rows({key})[key], since, until, _BLOCK_SLOT)

    def _rows(self, phone: PhoneNumber, source: bytes) -> tuple[LimitRow, LimitRow, LimitRow]:
        """Return the rows of *source*, and of the country and the block of *phone*, locked."""
        keys = (source, self._country(phone), self._block(phone))
        rows = self.limits.lock(set(keys))
        of_source, country, block = (rows[key] for key in keys)
        return of_source, country, block

    def _block(self, phone: PhoneNumber) -> bytes:
        return row_key(self.limits.hash_key, BLOCK, block_of(phone))

    def _country(self, phone: PhoneNumber) -> bytes:
        return row_key(self.limits.hash_key, COUNTRY, phone.region)


_WAS_APPROVED = 2  # the count of a verification in the row of its source


@cache
def _countries() -> Statement:
    first, last = bytes([COUNTRY]), bytes([COUNTRY + 1])
    columns = (limits.c.key, limits.c.until, limits.c.state)
    return Statement(select(*columns).where(limits.c.key >= first, limits.c.key < last))


def _add(row: LimitRow, list_: int, at: int, width: int, length: int) -> None:
    row.set(list_, Window(0, length, width, row.uses(list_)).add(at), length)


def _remove(row: LimitRow, list_: int, at: int, length: int) -> None:
    row.set(list_, Window(0, length, _SLOT, row.uses(list_)).remove(at), length)


def _between(row: LimitRow, since: datetime, until: datetime, width: int) -> Conversion:
    period = (microseconds(since), microseconds(until))
    sent, approved = (
        Window(0, 0, width, row.uses(list_)).between(*period) for list_ in (_SENT, _APPROVED)
    )
    return Conversion(sent, approved)

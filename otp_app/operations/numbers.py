"""Checks of the encryption of numbers in the database.

Every number is read, which takes about a second for each 10,000.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from otp_app.errors import StoreUnavailable
from otp_app.operations.findings import Finding, fail, ok, warn
from otp_app.operations.installation import find_numbers, open_existing
from otp_app.storage.numbers import Condition, Numbers
from otp_app.storage.renewal import survey

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from otp_app.config import Settings

_ROTATE = "python -m otp_app rotate"
_DUE = {
    Condition.CLEAR: "stand in the clear",
    Condition.OLD: "are sealed with a key that is not the first",
    Condition.FOREIGN: "are not found: SECRET_KEY was changed",
}


def numbers(settings: Settings) -> Iterator[Finding]:
    """Report numbers that cannot be decrypted, or were stored with other keys than today's."""
    found = find_numbers(settings)
    if found is None:
        yield ok("numbers", "not looked at: that needs SECRET_KEY")
        return
    try:
        conditions = asyncio.run(_survey(settings, found))
    except (StoreUnavailable, ValueError):
        return  # `database` reports this failure already
    yield from _judged(conditions)


async def _survey(settings: Settings, numbers: Numbers) -> Counter[Condition]:
    engine = open_existing(settings)
    try:
        return await survey(engine, numbers)
    finally:
        await engine.dispose()


def _judged(found: Counter[Condition]) -> Iterator[Finding]:
    if lost := found[Condition.LOST]:
        fix = "add the key that sealed them behind the first of NUMBER_KEYS"
        yield fail("numbers", f"{lost} cannot be opened", fix)
    for condition, what in _DUE.items():
        if count := found[condition]:
            yield warn("numbers", f"{count} {what}", _ROTATE)
    if found.total() == found[Condition.GOOD]:
        yield ok("numbers", f"all {found.total()} are as they would be stored now")

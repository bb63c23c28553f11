"""`python -m otp_app rotate`: encrypt all numbers with the first key, and hash them anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from sqlalchemy.exc import IntegrityError

from otp_app.cli import NO_DATABASE, NO_SECRET, existing_database, find_encryption, say
from otp_app.config import Settings, SettingsError, load_settings
from otp_app.errors import StoreUnavailable
from otp_app.storage.phone_encryption import EncryptionState, PhoneEncryption, reencrypt

if TYPE_CHECKING:
    from collections import Counter

_UNREADABLE = (
    "The numbers that cannot be decrypted were left unchanged. Add their key behind the first of "
    "PHONE_ENCRYPTION_KEYS, and run this again"
)
_TWICE = (
    "users: two rows have the same number, and the newer row cannot be deleted: another row refers "
    "to it, or another process changed it first. Resolve this and run the command again"
)


def run() -> int:
    """Store the numbers again and print the counts. Return the exit code.

    The exit code is 1 if a number cannot be decrypted or stored, or if the settings, the secret or
    the database cannot be used, else 0.
    """
    try:
        settings = load_settings()
        numbers = find_encryption(settings)
        if numbers is None:
            return say(NO_SECRET, code=1)
        found = asyncio.run(_renew(settings, numbers))
    except SettingsError as exc:
        return say(str(exc), code=1)
    except (StoreUnavailable, ValueError):
        return say(NO_DATABASE, code=1)
    except IntegrityError:
        return say(_TWICE, code=1)
    return _report(found, is_sealed=bool(settings.phone_encryption_key_list))


async def _renew(settings: Settings, numbers: PhoneEncryption) -> Counter[EncryptionState]:
    async with existing_database(settings) as engine:
        return await reencrypt(engine, numbers)


def _report(found: Counter[EncryptionState], *, is_sealed: bool) -> int:
    good, lost = found[EncryptionState.CURRENT], found[EncryptionState.UNREADABLE]
    renewed = found.total() - good - lost
    how = (
        "encrypted with the first of PHONE_ENCRYPTION_KEYS"
        if is_sealed
        else "not encrypted, because no key is set"
    )
    counts = f"{renewed} renewed, {good} unchanged, {lost} cannot be decrypted"
    more = (_UNREADABLE,) if lost else ()
    return say(f"Numbers, {how}: {counts}", *more, code=int(lost > 0))

"""Encryption, decryption and search keys of phone numbers."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import String
from structlog.testing import capture_logs

from otp_app.errors import PhoneDecryptionFailed
from otp_app.phone import PhoneNumber
from otp_app.storage.phone_encryption import EncryptionState, PhoneEncryption
from otp_app.storage.tables import users, verifications

if TYPE_CHECKING:
    from sqlalchemy import Column

SECRET, OTHER_SECRET = b"secret of the tests", b"another secret"
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
PHONE = PhoneNumber("+14155552671")
LONGEST = PhoneNumber("+881234567890123")  # 15 digits: ITU-T E.164 allows no more

CLEAR = PhoneEncryption(SECRET)
BEFORE = PhoneEncryption(SECRET, [OLD])
BOTH = PhoneEncryption(SECRET, [NEW, OLD])
AFTER = PhoneEncryption(SECRET, [NEW])


@pytest.mark.parametrize("numbers", [CLEAR, BEFORE, BOTH])
@pytest.mark.parametrize("phone", [PHONE, LONGEST])
def test_what_was_stored_is_opened_again(numbers: PhoneEncryption, phone: PhoneNumber) -> None:
    assert numbers.decrypt(numbers.encrypt(phone)) == phone


def test_a_sealed_number_does_not_show_and_is_another_text_each_time() -> None:
    first, second = AFTER.encrypt(PHONE), AFTER.encrypt(PHONE)

    assert first != second
    assert "4155552671" not in first + base64.urlsafe_b64decode(first).decode("latin-1")


@pytest.mark.parametrize("column", [verifications.c.phone, users.c.phone_number])
def test_the_longest_number_has_room(column: Column[str]) -> None:
    assert isinstance(column.type, String)
    assert column.type.length
    assert len(AFTER.encrypt(LONGEST)) <= column.type.length


def test_the_first_key_seals_and_all_open() -> None:
    old, new = BEFORE.encrypt(PHONE), BOTH.encrypt(PHONE)

    assert BOTH.decrypt(old) == BOTH.decrypt(new) == AFTER.decrypt(new) == PHONE
    with pytest.raises(PhoneDecryptionFailed):
        BEFORE.decrypt(new)


def test_what_stands_in_the_clear_is_read_when_there_is_a_key() -> None:
    assert AFTER.decrypt(CLEAR.encrypt(PHONE)) == PHONE


@pytest.mark.parametrize("numbers", [CLEAR, AFTER, PhoneEncryption(SECRET, [LOST])])
@pytest.mark.parametrize(
    "text", [BEFORE.encrypt(PHONE), "", "canary", "gAAAAA", "1\u0664155552671"]
)
def test_what_no_key_opens_is_an_error_that_names_the_setting_and_no_number(
    numbers: PhoneEncryption, text: str
) -> None:
    with capture_logs() as logs, pytest.raises(PhoneDecryptionFailed) as raised:
        numbers.decrypt(text)

    (line,) = logs
    assert line == {
        "event": "phone_decryption.failed",
        "setting": "PHONE_ENCRYPTION_KEYS",
        "log_level": "error",
    }
    assert raised.value.code == "store_unavailable"
    assert not text or text not in repr(raised.value)


def test_a_changed_text_is_not_opened() -> None:
    raw = bytearray(base64.urlsafe_b64decode(AFTER.encrypt(PHONE)))
    raw[30] ^= 1

    with pytest.raises(PhoneDecryptionFailed):
        AFTER.decrypt(base64.urlsafe_b64encode(raw).decode())


def test_two_spellings_of_a_number_have_one_key() -> None:
    spellings = {PhoneNumber.parse("(415) 555-2671", "US"), PhoneNumber.parse("001 415 5552671")}

    assert {AFTER.search_key(phone) for phone in spellings} == {CLEAR.search_key(PHONE)}


def test_the_key_hangs_on_the_number_and_the_secret_alone() -> None:
    keys = [
        CLEAR.search_key(PHONE),
        CLEAR.search_key(LONGEST),
        PhoneEncryption(OTHER_SECRET).search_key(PHONE),
    ]

    assert len({*keys}) == 3
    assert {len(key) for key in keys} == {64}
    assert CLEAR.search_key(PHONE) == BEFORE.search_key(PHONE)


@pytest.mark.parametrize(
    ("numbers", "text", "condition"),
    [
        (CLEAR, CLEAR.encrypt(PHONE), EncryptionState.CURRENT),
        (CLEAR, BEFORE.encrypt(PHONE), EncryptionState.UNREADABLE),
        (BOTH, BOTH.encrypt(PHONE), EncryptionState.CURRENT),
        (BOTH, BEFORE.encrypt(PHONE), EncryptionState.OLD_KEY),
        (BOTH, CLEAR.encrypt(PHONE), EncryptionState.PLAINTEXT),
        (AFTER, BEFORE.encrypt(PHONE), EncryptionState.UNREADABLE),
    ],
)
def test_how_a_stored_number_is(
    numbers: PhoneEncryption, text: str, condition: EncryptionState
) -> None:
    assert numbers.state(text, numbers.search_key(PHONE)) is condition


@pytest.mark.parametrize(
    "key", [None, PhoneEncryption(OTHER_SECRET).search_key(PHONE), AFTER.search_key(LONGEST)]
)
def test_a_number_that_is_not_found_by_its_key_is_foreign(key: str | None) -> None:
    assert AFTER.state(AFTER.encrypt(PHONE), key) is EncryptionState.WRONG_HASH_KEY

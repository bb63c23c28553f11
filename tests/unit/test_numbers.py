"""How numbers are sealed, opened and compared."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import String
from structlog.testing import capture_logs

from otp_app.errors import NumbersUnreadable
from otp_app.phone import PhoneNumber
from otp_app.storage.numbers import Condition, Numbers
from otp_app.storage.tables import users, verifications

if TYPE_CHECKING:
    from sqlalchemy import Column

SECRET, OTHER_SECRET = b"secret of the tests", b"another secret"
OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
PHONE = PhoneNumber("+14155552671")
LONGEST = PhoneNumber("+881234567890123")  # 15 digits: ITU-T E.164 allows no more

CLEAR = Numbers(SECRET)
BEFORE = Numbers(SECRET, [OLD])
BOTH = Numbers(SECRET, [NEW, OLD])
AFTER = Numbers(SECRET, [NEW])


@pytest.mark.parametrize("numbers", [CLEAR, BEFORE, BOTH])
@pytest.mark.parametrize("phone", [PHONE, LONGEST])
def test_what_was_stored_is_opened_again(numbers: Numbers, phone: PhoneNumber) -> None:
    assert numbers.opened(numbers.sealed(phone)) == phone


def test_a_sealed_number_does_not_show_and_is_another_text_each_time() -> None:
    first, second = AFTER.sealed(PHONE), AFTER.sealed(PHONE)

    assert first != second
    assert "4155552671" not in first + base64.urlsafe_b64decode(first).decode("latin-1")


@pytest.mark.parametrize("column", [verifications.c.phone, users.c.phone_number])
def test_the_longest_number_has_room(column: Column[str]) -> None:
    assert isinstance(column.type, String)
    assert column.type.length
    assert len(AFTER.sealed(LONGEST)) <= column.type.length


def test_the_first_key_seals_and_all_open() -> None:
    old, new = BEFORE.sealed(PHONE), BOTH.sealed(PHONE)

    assert BOTH.opened(old) == BOTH.opened(new) == AFTER.opened(new) == PHONE
    with pytest.raises(NumbersUnreadable):
        BEFORE.opened(new)


def test_what_stands_in_the_clear_is_read_when_there_is_a_key() -> None:
    assert AFTER.opened(CLEAR.sealed(PHONE)) == PHONE


@pytest.mark.parametrize("numbers", [CLEAR, AFTER, Numbers(SECRET, [LOST])])
@pytest.mark.parametrize("text", [BEFORE.sealed(PHONE), "", "canary", "gAAAAA", "1\u0664155552671"])
def test_what_no_key_opens_is_an_error_that_names_the_setting_and_no_number(
    numbers: Numbers, text: str
) -> None:
    with capture_logs() as logs, pytest.raises(NumbersUnreadable) as raised:
        numbers.opened(text)

    (line,) = logs
    assert line == {
        "event": "numbers.unreadable",
        "setting": "NUMBER_KEYS",
        "log_level": "error",
    }
    assert raised.value.code == "store_unavailable"
    assert not text or text not in repr(raised.value)


def test_a_changed_text_is_not_opened() -> None:
    raw = bytearray(base64.urlsafe_b64decode(AFTER.sealed(PHONE)))
    raw[30] ^= 1

    with pytest.raises(NumbersUnreadable):
        AFTER.opened(base64.urlsafe_b64encode(raw).decode())


def test_two_spellings_of_a_number_have_one_key() -> None:
    spellings = {PhoneNumber.parse("(415) 555-2671", "US"), PhoneNumber.parse("001 415 5552671")}

    assert {AFTER.key(phone) for phone in spellings} == {CLEAR.key(PHONE)}


def test_the_key_hangs_on_the_number_and_the_secret_alone() -> None:
    keys = [CLEAR.key(PHONE), CLEAR.key(LONGEST), Numbers(OTHER_SECRET).key(PHONE)]

    assert len({*keys}) == 3
    assert {len(key) for key in keys} == {64}
    assert CLEAR.key(PHONE) == BEFORE.key(PHONE)


@pytest.mark.parametrize(
    ("numbers", "text", "condition"),
    [
        (CLEAR, CLEAR.sealed(PHONE), Condition.GOOD),
        (CLEAR, BEFORE.sealed(PHONE), Condition.LOST),
        (BOTH, BOTH.sealed(PHONE), Condition.GOOD),
        (BOTH, BEFORE.sealed(PHONE), Condition.OLD),
        (BOTH, CLEAR.sealed(PHONE), Condition.CLEAR),
        (AFTER, BEFORE.sealed(PHONE), Condition.LOST),
    ],
)
def test_how_a_stored_number_is(numbers: Numbers, text: str, condition: Condition) -> None:
    assert numbers.condition(text, numbers.key(PHONE)) is condition


@pytest.mark.parametrize("key", [None, Numbers(OTHER_SECRET).key(PHONE), AFTER.key(LONGEST)])
def test_a_number_that_is_not_found_by_its_key_is_foreign(key: str | None) -> None:
    assert AFTER.condition(AFTER.sealed(PHONE), key) is Condition.FOREIGN
